"""The progress of a job, published to its watchers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from onevoice_jobs.store import JobStore
from onevoice_kit.errors import OneVoiceError

_log = logging.getLogger(__name__)

PREPARE, TRANSCRIBE, LANGUAGES = 10.0, 45.0, 45.0
"""Shares of a job, percent: getting to the speech, recognising it, and the languages together."""
LINES, MIX = 70.0, 25.0
"""Shares of a language, percent: speaking the lines, mixing; the rest is muxing."""
MIN_INTERVAL_S = 0.5
"""Shortest time between two reports, per job and per language, so that their cost does not grow with the lines."""


class Progress:
    """Counts what is done. Percentages never go back, also when a job is resumed."""

    def __init__(self, store: JobStore, languages: Sequence[str]) -> None:
        self._store = store
        self._prepared = 0.0
        self._chunk_ms: list[int] = []
        self._transcribed: set[int] = set()
        self._spoken = dict.fromkeys(languages, 0.0)
        self._percent = dict.fromkeys(languages, 0.0)
        self._shown: dict[str, tuple[float, float]] = {}

    def expect_speech(self, chunks: Sequence[Sequence[tuple[int, int]]]) -> None:
        """Sets the amount of speech, by chunk."""
        self._prepared = 1.0
        self._chunk_ms = [sum(end - start for start, end in chunk) for chunk in chunks]

    async def prepare(self, fraction: float) -> None:
        """The source is this far from having its speech found."""
        self._prepared = max(self._prepared, fraction)
        await self._show_job("preparing")

    def heard(self, chunk: int) -> None:
        """Counts a chunk as recognised, also one that an earlier run recognised."""
        self._transcribed.add(chunk)

    async def transcribed(self, chunk: int) -> None:
        """A chunk is recognised."""
        self.heard(chunk)
        await self._show_job("transcribing")

    async def line_spoken(self, language: str, share_ms: float) -> None:
        """A line of `language` that stands for `share_ms` of speech is spoken."""
        self._spoken[language] += share_ms
        done = min(1.0, self._spoken[language] / max(1, sum(self._chunk_ms)))
        await self._language(language, "speaking", LINES * done)

    async def mixing(self, language: str, fraction: float) -> None:
        """The mix of `language` is this far."""
        await self._language(language, "mixing", LINES + MIX * fraction)

    async def muxing(self, language: str) -> None:
        """The mix of `language` is done."""
        await self._language(language, "muxing", LINES + MIX)

    def ended(self, language: str) -> None:
        """`language` is completed or failed."""
        self._percent[language] = 100.0

    async def _language(self, language: str, stage: str, percent: float) -> None:
        self._percent[language] = max(self._percent[language], percent)
        if self._due(language, self._percent[language]):
            await self._show(stage, self._percent[language], language)
            await self._show_job("dubbing" if self._all_transcribed() else "transcribing")

    async def _show_job(self, stage: str) -> None:
        percent = self.percent()
        if self._due("", percent):
            await self._show(stage, percent)

    async def _show(self, stage: str, percent: float, language: str | None = None) -> None:
        """A report that fails must not fail its step; the next one comes soon."""
        try:
            await self._store.set_progress(stage, percent, language=language)
        except OneVoiceError as error:
            if not error.retryable:
                raise
            _log.warning("Progress could not be stored: %s", error)

    def percent(self) -> float:
        """Of the whole job."""
        speech = sum(self._chunk_ms)
        heard = sum(self._chunk_ms[chunk] for chunk in self._transcribed) / speech if speech else 0.0
        dubbed = sum(self._percent.values()) / (100.0 * max(1, len(self._percent)))
        return min(99.0, PREPARE * self._prepared + TRANSCRIBE * heard + LANGUAGES * dubbed)

    def _all_transcribed(self) -> bool:
        return bool(self._chunk_ms) and len(self._transcribed) == len(self._chunk_ms)

    def _due(self, who: str, percent: float) -> bool:
        now = asyncio.get_running_loop().time()
        last, shown = self._shown.get(who, (-MIN_INTERVAL_S, -1.0))
        if now - last < MIN_INTERVAL_S or percent <= shown:
            return False
        self._shown[who] = (now, percent)
        return True
