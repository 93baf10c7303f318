"""The language pairs of Apertium that are installed here, and the programs each is run by."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from onevoice_kit.languages import primary
from services.translate.engines.base import LanguagePair

_NAME = re.compile(r"([a-z]{2,3})-([a-z]{2,3})((?:_[A-Za-z0-9]+)*)")
_PACKAGE = re.compile(r"/(apertium-[a-z0-9-]+)/")
_FLUSHING = {
    "apertium-anaphora", "apertium-interchunk", "apertium-postchunk", "apertium-pretransfer", "apertium-tagger",
    "apertium-transfer", "cg-proc", "hfst-proc", "lrx-proc", "lsx-proc", "lt-proc", "rtx-proc",
}  # fmt: skip
"""Programs that with `-z` answer at every NUL instead of at the end of their input."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One direction of an installed pair."""

    name: str
    """As Apertium calls it, for example `eng-spa`."""
    pair: LanguagePair
    stages: tuple[tuple[str, ...], ...]
    """The programs with their arguments; each reads what the one before it writes."""
    package: str
    """The Debian package its data come from."""


def installed(folder: Path) -> dict[LanguagePair, Mode]:
    """Every mode in the folder that can be kept alive and has a BCP-47 name."""
    modes = [mode for path in sorted(folder.glob("*.mode")) if (mode := _read(path)) is not None]
    return {mode.pair: mode for mode in modes}


def _read(path: Path) -> Mode | None:
    pair = language_pair(path.stem)
    if pair is None:
        return None
    text = path.read_text(encoding="utf-8")
    stages = parse_stages(text)
    if not all(stage[0] in _FLUSHING and shutil.which(stage[0]) for stage in stages):
        return None
    package = _PACKAGE.search(text)
    return Mode(path.stem, pair, stages, package[1] if package else "")


def language_pair(name: str) -> LanguagePair | None:
    """`eng-spa` is en→es, `eng-cat_valencia` is en→ca-valencia; None for variants without a BCP-47 name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    target = _with_variant(primary(match[2]), match[3].removeprefix("_"))
    return None if target is None else LanguagePair(primary(match[1]), target)


def _with_variant(language: str, variant: str) -> str | None:
    if not variant:
        return language
    is_region = re.fullmatch("[A-Z]{2}", variant) is not None
    return f"{language}-{variant}" if is_region or (language, variant) == ("ca", "valencia") else None


def parse_stages(text: str) -> tuple[tuple[str, ...], ...]:
    """
    The pipe of a mode file as argument lists, every program with the option to answer at NUL.

    `$1` stands for how the generator marks words (`-g`: all marks), `$2` for an option of the tagger.
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|")
    lexer.whitespace_split = True
    stages: list[list[str]] = [[]]
    for token in lexer:
        if token == "|":  # noqa: S105 - a token of the shell, not a secret
            stages.append([])
        elif token != "$2":  # noqa: S105 - as above
            stages[-1].append("-g" if token == "$1" else token)  # noqa: S105 - as above
    return tuple((stage[0], "-z", *stage[1:]) for stage in stages if stage)
