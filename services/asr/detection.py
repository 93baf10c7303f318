"""Finds the regions of speech in stored audio and proposes chunks of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.registry import first_result
from onevoice_kit.errors import InvalidInput, PreconditionFailed
from onevoice_kit.storage.base import ObjectRef
from services.asr.audio import SAMPLES_PER_MS, AudioFile, Samples
from services.asr.audio_cache import AudioCache
from services.asr.engines.base import FRAME_MS, FRAME_SAMPLES, DetectionEngine, SpeechScan, TimeRange
from services.asr.engines.registry import DetectionEngines
from services.asr.regions import Floats, FrameScores, RegionRules, find_regions, plan_chunks

MAX_CHUNK_MS = 60_000
MIN_CHUNK_MS = 1_000
_BLOCK_SAMPLES = 240 * FRAME_SAMPLES
"""About 8 s: large enough for fast matrix products, small enough to be cancelled between two."""


@dataclass(frozen=True, slots=True)
class SpeechMap:
    """The regions of speech in an audio."""

    chunks: tuple[tuple[TimeRange, ...], ...]
    """Regions by chunk, in time order, every region once."""
    duration_ms: int
    detector: EngineInfo


class SpeechDetection:
    """The use case behind DetectSpeech."""

    def __init__(
        self,
        audio: AudioCache,
        engines: DetectionEngines,
        *,
        chunk_ms: int,
        max_audio_ms: int,
        rules: RegionRules | None = None,
    ) -> None:
        """`chunk_ms` is the longest chunk where a call sets none; `max_audio_ms` the longest audio accepted."""
        self._audio = audio
        self._engines = engines
        self._chunk_ms = chunk_ms
        self._max_audio_ms = max_audio_ms
        self._rules = rules or RegionRules()

    async def detect(self, ref: ObjectRef, max_chunk_ms: int, report: Callable[[float], None]) -> SpeechMap:
        """
        Scans the audio; `report` gets the share done, 0 to 1. `max_chunk_ms` of 0 takes the default.

        Raises `PreconditionFailed` (reason `no_speech`), `InvalidInput` (reasons `invalid_max_chunk`,
        `audio_too_long`, `invalid_audio`, `unsupported_audio`), `PreconditionFailed` (`engine_unavailable`), and the
        errors of the storage.
        """
        chunk_ms = self._chunk_limit(max_chunk_ms)
        candidates = await self._engines.candidates("", lambda _: True, _no_engine())
        async with self._audio.open(ref) as path:
            used, (scores, duration_ms) = await first_result(
                "detection", candidates, lambda one: one.call(lambda engine: self._scan(engine, path, report))
            )
        rules = replace(self._rules, max_region_ms=min(self._rules.max_region_ms, _unpadded(chunk_ms, self._rules)))
        regions = await asyncio.to_thread(find_regions, scores, duration_ms, rules)
        if not regions:
            raise PreconditionFailed("There is no speech in the audio.", reason="no_speech")
        return SpeechMap(tuple(plan_chunks(regions, chunk_ms)), duration_ms, used.capabilities.info)

    def _chunk_limit(self, max_chunk_ms: int) -> int:
        if max_chunk_ms == 0:
            return self._chunk_ms
        if not MIN_CHUNK_MS <= max_chunk_ms <= MAX_CHUNK_MS:
            raise InvalidInput(
                f"max_chunk_ms must be 0 or between {MIN_CHUNK_MS} and {MAX_CHUNK_MS}.", reason="invalid_max_chunk"
            )
        return max_chunk_ms

    async def _scan(
        self, engine: DetectionEngine, path: Path, report: Callable[[float], None]
    ) -> tuple[FrameScores, int]:
        """Reads block by block: each in a thread, so that nothing else waits and a cancelled call stops soon."""
        scan = await asyncio.to_thread(engine.scan)
        probabilities: list[Floats] = []
        levels: list[Floats] = []
        samples = 0
        with await asyncio.to_thread(AudioFile, path) as audio:
            declared = max(1, audio.size_ms * SAMPLES_PER_MS)
            while (step := await asyncio.to_thread(_scan_block, audio, scan)) is not None:
                probabilities.append(step.scores.probabilities)
                levels.append(step.scores.levels)
                samples += step.samples
                self._check_length(samples // SAMPLES_PER_MS)
                report(min(1.0, samples / declared))
        if not samples:
            return FrameScores(), 0
        return FrameScores(np.concatenate(probabilities), np.concatenate(levels)), samples // SAMPLES_PER_MS

    def _check_length(self, duration_ms: int) -> None:
        if duration_ms > self._max_audio_ms:
            limit = self._max_audio_ms // 60_000
            raise InvalidInput(f"The audio is longer than {limit} minutes.", reason="audio_too_long")


@dataclass(frozen=True, slots=True)
class _Step:
    scores: FrameScores
    samples: int


def _scan_block(audio: AudioFile, scan: SpeechScan) -> _Step | None:
    block = audio.block(_BLOCK_SAMPLES)
    if not block.size:
        return None
    return _Step(FrameScores(scan.feed(block), _levels(block)), block.size)


def _levels(block: Samples) -> Floats:
    """Root mean square of each frame, 0 to 1."""
    frames = np.pad(block.astype(np.float32) / 32768, (0, -block.size % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
    levels: Floats = np.sqrt(np.mean(np.square(frames), axis=1))
    return levels


def _unpadded(chunk_ms: int, rules: RegionRules) -> int:
    """The longest region that still fits the chunk once it is padded."""
    return max(FRAME_MS, chunk_ms - rules.pad_start_ms - rules.pad_end_ms)


def _no_engine() -> InvalidInput:
    return InvalidInput("No engine here detects speech.", reason="unknown_engine")
