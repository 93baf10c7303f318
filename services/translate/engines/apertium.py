"""Engine `apertium`: the rule-based translator of Debian, one pipeline for each language pair, kept running."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from onevoice_kit.engines.base import EngineInfo
from services.translate.engines import apertium_stream
from services.translate.engines.apertium_modes import Mode, installed
from services.translate.engines.apertium_pool import Pool
from services.translate.engines.apertium_stream import Encoded, Encoder, replace_words
from services.translate.engines.apertium_text import Restored, finish, restore
from services.translate.engines.base import (
    NO_CONTEXT,
    Capabilities,
    Context,
    LanguagePair,
    Line,
    Term,
    Translation,
)
from services.translate.settings import TranslateSettings

NAME = "apertium"
_BATCH = 50
"""Lines given to a pipeline at once: enough to keep all its programs busy, few enough to let others in between."""
_MISSING = (
    "The engine “apertium” has no language pair here; install the Debian packages `apertium` and, for example, "
    "`apertium-eng-spa` and `apertium-eng-cat`."
)


def create(settings: TranslateSettings) -> Apertium:
    """The engine as the settings want it."""
    return Apertium(settings.apertium_modes_dir, settings.apertium_max_pipelines, settings.apertium_line_timeout_s)


class Apertium:
    """The translation engine (see `base.TranslationEngine`)."""

    def __init__(self, modes_dir: Path, max_pipelines: int, line_timeout_s: float) -> None:
        """`modes_dir` is where installed pairs say how they run, usually `/usr/share/apertium/modes`."""
        self._modes_dir = modes_dir
        self._pool = Pool(max_pipelines, line_timeout_s)
        self._modes: Mapping[LanguagePair, Mode] = {}
        self._versions: Mapping[str, str] = {}

    async def describe(self) -> Capabilities:
        if not self._modes:
            modes = await asyncio.to_thread(installed, self._modes_dir)
            self._versions = await asyncio.to_thread(_versions, {mode.package for mode in modes.values()})
            self._modes = modes
        info = EngineInfo(NAME, "", self._versions.get(NAME, ""))
        return Capabilities(info=info, pairs=tuple(self._modes), missing="" if self._modes else _MISSING)

    async def warm(self) -> None:
        """Nothing to load: a pipeline starts with the first line of its pair, because each takes 100 MB and more."""

    def used_for(self, pair: LanguagePair) -> EngineInfo:
        mode = self._modes[pair]
        version = f"{self._versions.get(NAME, '')} ({mode.package} {self._versions.get(mode.package, '')})"
        return EngineInfo(NAME, mode.name, version)

    async def translate(
        self,
        pair: LanguagePair,
        lines: Sequence[Line],
        terms: Sequence[Term],
        report: Callable[[float], None],
        context: Context = NO_CONTEXT,  # noqa: ARG002 - each line is translated by itself
    ) -> list[Translation]:
        encoder = Encoder(terms)
        mode, kept = self._modes[pair], [term.target for term in terms]
        done: list[Translation] = []
        while len(done) < len(lines):
            batch = lines[len(done) : len(done) + _BATCH]
            sources = await asyncio.to_thread(_restored, batch, pair.source)
            found = await self._batch(mode, sources, encoder)
            done += await asyncio.to_thread(_finished, found, sources, pair.target, kept)
            report(len(done) / len(lines))
        return done

    async def close(self) -> None:
        await self._pool.close()

    async def _batch(self, mode: Mode, lines: Sequence[Restored], encoder: Encoder) -> list[Translation]:
        first = await self._texts(mode, [line.text for line in lines], encoder)
        # A name in lower case is an unknown word; with a capital it may be a known one.
        again = [i for i, line in enumerate(lines) if line.recased and _lower_case(first[i].unknown_words)]
        second = await self._texts(
            mode, [_with_capitals(lines[i].text, first[i].unknown_words) for i in again], encoder
        )
        for index, retried in zip(again, second, strict=True):
            first[index] = _better(first[index], retried)
        return first

    async def _texts(self, mode: Mode, texts: Sequence[str], encoder: Encoder) -> list[Translation]:
        encoded = await asyncio.to_thread(lambda: [encoder.encode(text) for text in texts])
        raw = await self._pool.translate(mode, [one.stream for one in encoded])
        decoded = [apertium_stream.decode(answer, one.masks) for one, answer in zip(encoded, raw, strict=True)]
        return [
            answer if answer is not None else await self._in_pieces(mode, one)
            for one, answer in zip(encoded, decoded, strict=True)
        ]

    async def _in_pieces(self, mode: Mode, line: Encoded) -> Translation:
        """A line whose masks did not come through: what stands between them is translated on its own."""
        raw = await self._pool.translate(mode, line.pieces)
        pieces = [apertium_stream.decode(answer, ()) for answer in raw]
        kept = [piece or Translation(source) for piece, source in zip(pieces, line.pieces, strict=True)]
        return apertium_stream.join(line, kept)


def _restored(lines: Sequence[Line], language: str) -> list[Restored]:
    return [restore(line.text, language) for line in lines]


def _finished(
    found: Sequence[Translation], sources: Sequence[Restored], language: str, kept: Sequence[str]
) -> list[Translation]:
    pairs = zip(found, sources, strict=True)
    return [Translation(finish(one.text, source, language, kept), one.unknown_words) for one, source in pairs]


def _lower_case(words: Sequence[str]) -> list[str]:
    return [word for word in words if word[0].islower()]


def _with_capitals(text: str, words: Sequence[str]) -> str:
    """The text with these words capitalised."""
    return replace_words(text, {word: word[0].upper() + word[1:] for word in _lower_case(words)})


def _better(first: Translation, retried: Translation) -> Translation:
    """The second try where it knows more words; those still unknown get their lower case back."""
    if len(retried.unknown_words) >= len(first.unknown_words):
        return first
    known_before = {word.lower(): word for word in first.unknown_words}
    written = {word: known_before.get(word.lower(), word) for word in retried.unknown_words}
    return Translation(replace_words(retried.text, written), tuple(written.values()))


def _versions(packages: set[str]) -> dict[str, str]:
    """Versions by Debian package, and Apertium's own; empty where it is unknown."""
    asked = {package: ["dpkg-query", "--show", "--showformat=${Version}", package] for package in packages if package}
    found = {package: _first_line(argv) for package, argv in asked.items()}
    return found | {NAME: _first_line(["apertium", "-V"]).removeprefix("Apertium ")}


def _first_line(argv: Sequence[str]) -> str:
    if shutil.which(argv[0]) is None:
        return ""
    answer = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    return answer.stdout.strip().split("\n")[0]
