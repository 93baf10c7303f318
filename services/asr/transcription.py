"""Transcribes regions of stored audio with one of the configured engines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import cast

from onevoice_kit.errors import Busy
from onevoice_kit.storage.base import ObjectRef
from onevoice_kit.telemetry.metrics import counter
from services.asr.audio_cache import AudioCache
from services.asr.engines.base import EngineInfo, TimeRange, TranscriptionEngine, Utterance
from services.asr.engines.registry import Registry
from services.asr.metrics import RECOGNISED_SECONDS
from services.asr.ranges import check_regions

_RETRY_AFTER_S = 5.0


class Transcription:
    """The use case behind Transcribe."""

    def __init__(self, audio: AudioCache, engines: Registry[TranscriptionEngine], *, max_calls: int) -> None:
        """`max_calls` may run or wait at once; one more is refused."""
        self._audio = audio
        self._engines = engines
        self._max_calls = max_calls
        self._calls = 0

    async def transcribe(
        self,
        ref: ObjectRef,
        regions: Sequence[TimeRange],
        language: str,
        engine_name: str,
        report: Callable[[float], None],
        emit: Callable[[Utterance], Awaitable[None]],
    ) -> EngineInfo:
        """
        Gives `emit` one utterance for each region, in time order, and `report` the share of speech done.

        Raises `InvalidInput` (reasons `invalid_regions`, `unknown_engine`, `unsupported_language`, those of
        `AudioFile`), `PreconditionFailed` (`engine_unavailable`), `Busy` (`queue_full`), `Unavailable`
        (`worker_lost`) and what the storage raises. A caller that is cancelled drops the regions not yet begun.
        """
        engine = self._engines.choose(engine_name, language)
        check_regions(regions, engine.capabilities.max_chunk_ms)
        total = sum(region.length_ms for region in regions)
        done = 0
        seconds = counter(RECOGNISED_SECONDS).labels(engine=engine.capabilities.info.name)
        with self._admitted():
            async with self._audio.open(ref) as path:
                # The protocol promises an iterator; every engine is a generator, closed here as soon as we leave.
                stream = cast("AsyncGenerator[Utterance]", engine.transcribe(path, regions, language))
                async with aclosing(stream):
                    async for utterance in stream:
                        await emit(utterance)
                        done += utterance.range.length_ms
                        seconds.inc(utterance.range.length_ms / 1000)
                        report(done / total)
        return engine.capabilities.info

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._calls >= self._max_calls:
            raise Busy("Speech recognition is full; try again later.", reason="queue_full", retry_after=_RETRY_AFTER_S)
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
