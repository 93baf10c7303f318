"""BCP-47 language tags: one spelling, and which tags serve a language."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TAG = re.compile(r"[A-Za-z]{2,4}([-_][A-Za-z0-9]{1,8}){0,5}")

_SYNONYMS = {"cmn": "zh", "no": "nb", "iw": "he", "in": "id", "mo": "ro", "tl": "fil"}
"""Two codes for one language: voices and requests may use either."""
_AMERICAN_SPANISH = "ar bo cl co cr cu do ec gt hn mx ni pa pe pr py sv us uy ve"
_BRITISH_ENGLISH = "au ie in nz za"
_STANDARD = {
    "en": "en-US",
    "fr": "fr-FR",
    "pt": "pt-PT",
    **{f"es-{region}": "es-419" for region in _AMERICAN_SPANISH.split()},
    **{f"en-{region}": "en-GB" for region in _BRITISH_ENGLISH.split()},
}
"""Which tag a more general or a neighbouring one means first."""


def canonical(tag: str) -> str:
    """Language lower case, Script with a capital, REGION in capitals (RFC 5646, 2.1.1); private use lower case."""
    language, *rest = re.split("[-_]", tag)
    parts = [_SYNONYMS.get(language.lower(), language.lower())]
    for index, part in enumerate(rest):
        if "x" in (one.lower() for one in rest[:index]) or len(part) not in (2, 4):
            parts.append(part.lower())
        else:
            parts.append(part.upper() if len(part) == 2 else part.title())
    return "-".join(parts)


def primary(tag: str) -> str:
    """The language of a tag, without region, script and variant."""
    return canonical(tag).partition("-")[0]


def serving(asked: str, tags: Iterable[str]) -> list[str]:
    """
    The tags that serve a language, best first: itself or the closest more general one (`ca-AD` is served by `ca`),
    and after it, for a language without region, every region of it. Empty for what is no tag.
    """
    if not _TAG.fullmatch(asked):
        return []
    wanted = canonical(asked)
    known = list(dict.fromkeys(tags))
    best = next((tag for tag in _lookup_order(wanted) if tag in known), None)
    if "-" in wanted:
        return [best] if best else _of(primary(wanted), known)[:1]
    return list(dict.fromkeys([*([best] if best else []), *_of(wanted, known)]))


def _of(language: str, known: list[str]) -> list[str]:
    """Every tag of a language, its standard first."""
    found = [tag for tag in known if primary(tag) == language]
    return sorted(found, key=lambda tag: tag != _STANDARD.get(language))


def _lookup_order(tag: str) -> list[str]:
    """RFC 4647 lookup, with the standard of each tag beside it."""
    parts = tag.split("-")
    shorter = ["-".join(parts[:size]) for size in range(len(parts), 0, -1)]
    return [one for tag in shorter for one in (tag, _STANDARD.get(tag.lower(), tag))]
