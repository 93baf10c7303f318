"""BCP-47 language tags: one spelling, one rule for which tag serves another, names, and ISO 639 for media files."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from langcodes import Language, standardize_tag, tag_distance
from langcodes.tag_parser import LanguageTagError

from onevoice_kit.errors import InvalidInput

MAX_DISTANCE = 9
"""CLDR distance up to which a tag serves another: regional differences; 10 and more need another training."""
UNKNOWN = "und"
_NOT_ONE = frozenset({UNKNOWN, "mul", "mis", "zxx", ""})
"""Codes that name no single language."""
_MAX_CHARS = 35


def normalise(tag: str) -> str:
    """
    The usual spelling of a tag (RFC 5646, CLDR): `en_us` → `en-US`, `spa` → `es`, `iw` → `he`, `cmn` → `zh`.

    Raises `InvalidInput` (reason `invalid_language`) for text that is no tag of a language.
    """
    found = _parsed(tag)
    if found is None:
        shown = tag[:_MAX_CHARS] if tag.isprintable() else ""
        raise InvalidInput(
            f"“{shown}” is not a BCP-47 language tag.", reason="invalid_language", details={"language": shown}
        )
    return found


def primary(tag: str) -> str:
    """The language of a tag without region, script and variant: `es_MX` → `es`. Raises as `normalise` does."""
    return normalise(tag).partition("-")[0]


def distance(wanted: str, served: str) -> int | None:
    """
    The distance between a wanted language and one that is served; 0 for the same, None where it does not serve.

    The distance is CLDR's, within one language: `es-419` is nearer to `es-MX` than `es` is. A bare language serves
    all its regions and scripts. Text that is no tag serves nothing and is served by nothing.
    """
    one, other = _parsed(wanted), _parsed(served)
    return None if one is None or other is None else _distance(one, other)


def ranked(wanted: str, served: Iterable[str]) -> list[str]:
    """The tags that serve a wanted one, nearest first, each once; between equals, fewer other subtags, then order."""
    found = [(distance(wanted, tag), tag) for tag in dict.fromkeys(served)]
    near = [(far, _other_subtags(wanted, tag), tag) for far, tag in found if far is not None]
    return [tag for _, _, tag in sorted(near, key=lambda one: one[:2])]


def best(wanted: str, served: Iterable[str]) -> str | None:
    """The nearest tag that serves a wanted one; None where none does."""
    return next(iter(ranked(wanted, served)), None)


def display_name(tag: str, shown_in: str = "en") -> str:
    """The name of a language for people: `pt-BR` → `Portuguese (Brazil)`. Raises as `normalise` does."""
    return Language.get(normalise(tag)).display_name(shown_in)


def to_iso639(tag: str) -> str:
    """Three letters (ISO 639-2/T) for the language tag of a media file: `es-MX` → `spa`; `und` where none fits."""
    found = _parsed(tag)
    if found is None:
        return UNKNOWN
    try:
        return Language.get(found).to_alpha3()
    except LookupError:
        return UNKNOWN


def from_media_tag(tag: str) -> str:
    """The BCP-47 language for a media file's tag (ISO 639-2/T or /B): `ger` → `de`; empty for none or `und`."""
    found = _parsed(tag)
    language = "" if found is None else found.partition("-")[0]
    return "" if language in _NOT_ONE else language


@lru_cache(maxsize=4096)
def _parsed(tag: str) -> str | None:
    if len(tag) > _MAX_CHARS or not tag.isascii():
        return None
    try:
        language = Language.get(standardize_tag(tag))
    except LanguageTagError:
        return None
    code = language.language or ""
    if not (2 <= len(code) <= 3 and code.isalpha()):
        return None
    # Mandarin is what “Chinese” means in tags, and what engines mean by either code.
    return (language.update_dict({"language": "zh"}) if code == "cmn" else language).to_tag()


@lru_cache(maxsize=65_536)
def _distance(wanted: str, served: str) -> int | None:
    if wanted == served:
        return 0
    bare = served == wanted.partition("-")[0]
    if not bare and _language(wanted) != _language(served):
        return None
    far = tag_distance(wanted, served)
    return min(far, MAX_DISTANCE) if bare or far <= MAX_DISTANCE else None


def _language(tag: str) -> str:
    # “Norwegian” is written as Bokmål where nothing else is declared.
    language = tag.partition("-")[0]
    return "nb" if language == "no" else language


def _other_subtags(wanted: str, served: str) -> int:
    return len(set(normalise(wanted).split("-")) ^ set(normalise(served).split("-")))
