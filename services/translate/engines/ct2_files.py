"""The files of a translation model in CTranslate2's form: which family it is of, and which languages it has."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from onevoice_kit.engines.model_store import stored_models
from onevoice_kit.errors import InvalidInput
from onevoice_kit.languages import best, normalise
from services.translate.engines.base import LanguagePair

_LANGUAGE_TOKENS = {
    "opus": re.compile(r">>(\w+)<<"),
    "m2m100": re.compile(r"__([a-z]{2,3})__"),
    "nllb": re.compile(r"([a-z]{3}_[A-Z][a-z]{3})"),
}
_NAMED_PAIR = re.compile(r"opus-mt-(?:[a-z]+-)*?([a-z]{2})-(\w+?)(?:-ct(?:ranslate)?2.*)?$", re.IGNORECASE)
"""`opus-mt-en-es`, `ct2fast-opus-mt-en-ROMANCE`, `opus-mt-tc-big-en-pt-ctranslate2`."""

_CODES = (
    "als:sq arb:ar ayr:ay azj:az dik:din ekk:et fuv:ff gaz:om khk:mn kmr:ku knc:kr lvs:lv npi:ne ns:nso ory:or pbt:ps "
    "pes:fa plt:mg quy:qu swh:sw uzn:uz ydd:yi zsm:ms"
)
_INDIVIDUAL = dict(pair.split(":") for pair in _CODES.split())
"""Codes for the standard form of a language, by which models name it, and the code that people use (ISO 639-3)."""


class Unusable(Exception):
    """A folder that holds no model that can be used; the message is one sentence."""


class Family(enum.StrEnum):
    """The families of models, which differ in how they are given the languages."""

    OPUS = "opus"
    """One direction; a model with several target languages gets `>>spa<<` before the line."""
    M2M100 = "m2m100"
    """`__en__` before the line, `__es__` before its translation."""
    NLLB = "nllb"
    """`eng_Latn` before the line, `spa_Latn` before its translation."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on disk."""

    folder: Path
    name: str
    """For the lineage: its hub id, or the name of its folder."""
    revision: str
    """Empty where it was not fetched."""
    family: Family
    tokens: Mapping[str, str]
    """Its tokens for languages, by BCP-47 tag; of an OPUS-MT model, those of target languages."""
    adds_end: bool
    """True where the runtime appends the end of the line to the source."""


@dataclass(frozen=True, slots=True)
class Route:
    """A model and the language tokens by which it serves a pair; an empty token is not used."""

    model: ModelFiles
    source_token: str
    target_token: str


def routes(
    wanted: Sequence[str], models_folder: Path, languages: Sequence[str]
) -> tuple[dict[LanguagePair, Route], list[str]]:
    """
    The pairs that models serve, and a sentence about each model that cannot be used. `wanted` is the setting; empty
    takes every fetched model. A model for one pair goes before those for many, else the order decides.
    """
    own: dict[LanguagePair, Route] = {}
    shared: dict[LanguagePair, Route] = {}
    problems = []
    for item in wanted or [one.name for one in stored_models(models_folder)]:
        pair, _, model = item.rpartition("=")
        try:
            found = _routes(_located(model, models_folder), _pair(pair), languages)
        except Unusable as problem:
            problems.append(str(problem))
            continue
        for served, route in found.items():
            (own if len(found) == 1 else shared).setdefault(served, route)
    return shared | own, problems


def read(folder: Path, name: str = "", revision: str = "") -> ModelFiles:
    """The model of a folder; raises `Unusable`."""
    if not (folder / "model.bin").is_file():
        raise Unusable(f"The folder {folder} holds no model: there is no model.bin.")
    tokens = vocabulary(folder, "source")
    family = _family(folder, tokens)
    found = (_LANGUAGE_TOKENS[family].fullmatch(token) for token in tokens)
    by_tag = {tag: match[0] for match in found if match and (tag := _tag(match[1]))}
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = {}
    return ModelFiles(folder, name or folder.name, revision, family, by_tag, bool(config.get("add_source_eos")))


def vocabulary(folder: Path, side: str) -> list[str]:
    """The tokens of a model's `source` or `target`; raises `Unusable`."""
    for path in (folder / f"{name}_vocabulary.{kind}" for name in ("shared", side) for kind in ("json", "txt")):
        try:
            text = path.read_text(encoding="utf-8")
            return [str(token) for token in json.loads(text)] if path.suffix == ".json" else text.splitlines()
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            raise Unusable(f"The vocabulary {path} cannot be read.") from None
    raise Unusable(f"The folder {folder} holds no vocabulary of the model.")


def sentencepiece_files(model: ModelFiles) -> tuple[Path, Path]:
    """The files that cut the source into pieces, and join those of the target."""
    if model.family is Family.OPUS:
        return model.folder / "source.spm", model.folder / "target.spm"
    path = next(_multilingual_pieces(model.folder))
    return path, path


def _family(folder: Path, tokens: Sequence[str]) -> Family:
    if (folder / "source.spm").is_file() and (folder / "target.spm").is_file():
        return Family.OPUS
    if next(_multilingual_pieces(folder), None) is None:
        raise Unusable(f"The folder {folder} holds no SentencePiece model (source.spm, sentencepiece.bpe.model).")
    for family in (Family.M2M100, Family.NLLB):
        if any(_LANGUAGE_TOKENS[family].fullmatch(token) for token in tokens):
            return family
    raise Unusable(f"The model in {folder} is none of OPUS-MT, M2M100 and NLLB.")


def _multilingual_pieces(folder: Path) -> Iterator[Path]:
    names = ("sentencepiece.bpe.model", "sentencepiece.model", "spm.model")
    return (folder / name for name in names if (folder / name).is_file())


def _located(model: str, models_folder: Path) -> ModelFiles:
    stored = next((one for one in stored_models(models_folder) if model in (one.name, one.id)), None)
    if stored is None:
        folder = Path(model).expanduser()
        if not folder.is_dir():
            raise Unusable(f"There is no model “{model}” here; `onevoice models get {model}` fetches it.")
        return read(folder)
    if damaged := stored.damaged(hashes=False):
        command = f"onevoice models get {stored.name}"
        raise Unusable(f"The model “{stored.name}” lacks {damaged[0]}, or it is cut; `{command}` fetches it again.")
    return read(stored.folder, stored.id, stored.revision)


def _routes(model: ModelFiles, pair: LanguagePair | None, languages: Sequence[str]) -> dict[LanguagePair, Route]:
    if model.family is Family.OPUS:
        return _opus_routes(model, pair, languages)
    tags = [pair.source, pair.target] if pair else languages
    tokens = {tag: model.tokens[served] for tag in tags if (served := best(tag, model.tokens))}
    pairs = [LanguagePair(source, target) for source, target in permutations(tokens, 2)]
    found = {
        one: Route(model, tokens[one.source], tokens[one.target])
        for one in pairs
        # Two tags may share a token, as English here and there; there is nothing to translate.
        if tokens[one.source] != tokens[one.target] and pair in (None, one)
    }
    if not found:
        raise Unusable(f"The model “{model.name}” does not have the languages that it is to serve.")
    return found


def _opus_routes(model: ModelFiles, pair: LanguagePair | None, languages: Sequence[str]) -> dict[LanguagePair, Route]:
    named = _NAMED_PAIR.search(model.name.rpartition("/")[2])
    if pair:
        source, targets = pair.source, [pair.target]
    elif named:
        source, targets = named[1].lower(), list(languages) if model.tokens else [named[2]]
    else:
        source, targets = "", []
    if model.tokens:
        tokens = {tag: model.tokens[served] for tag in targets if (served := best(tag, model.tokens))}
    else:
        tokens = {tag: "" for one in targets if (tag := _tag(one))}
    found = {LanguagePair(source, tag): Route(model, "", token) for tag, token in tokens.items() if tag != source}
    if not found:
        name = model.name.rpartition("/")[2]
        raise Unusable(f"The model “{name}” does not name its languages; set TRANSLATE_CT2_MODELS=en:es={name}, say.")
    return found


def _pair(text: str) -> LanguagePair | None:
    if not text:
        return None
    source, _, target = text.partition(":")
    try:
        return LanguagePair(normalise(source), normalise(target))
    except InvalidInput:
        raise Unusable(f"“{text}” in TRANSLATE_CT2_MODELS is no pair of languages such as en:es.") from None


def _tag(code: str) -> str:
    """A language code of a model as a BCP-47 tag; empty where it is none."""
    language, _, rest = code.replace("_", "-").partition("-")
    try:
        return normalise("-".join(part for part in (_INDIVIDUAL.get(language, language), rest) if part))
    except InvalidInput:
        return ""
