"""An engine that needs no model, and a store that counts what is fetched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.registry import Registry
from onevoice_kit.errors import OneVoiceError
from onevoice_kit.storage.base import ObjectRef
from services.asr.audio import AudioFile
from services.asr.engines.base import Capabilities, TimeRange, Utterance, Word

REF = ObjectRef("file:///speech.wav", "0" * 64, 1, "audio/wav")


class FakeTranscription:
    """Finds one word in each region; `gate` holds it back, `failure` makes it fail."""

    def __init__(self, name: str = "fake", languages: tuple[str, ...] = ("en",), installed: bool = True) -> None:
        missing = "" if installed else f"The engine “{name}” needs a model."
        self.capabilities = Capabilities(info=EngineInfo(name, "words", "1"), languages=languages, missing=missing)
        self.name = name
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: OneVoiceError | None = None
        self.begun: list[TimeRange] = []
        self.given_up = 0
        self.closed = False

    async def describe(self) -> Capabilities:
        return self.capabilities

    async def warm(self) -> None:
        """Has nothing to load."""

    async def transcribe(self, audio: Path, regions: Sequence[TimeRange], language: str) -> AsyncGenerator[Utterance]:
        with AudioFile(audio):
            pass
        finished = 0
        try:
            for region in regions:
                self.begun.append(region)
                await self.gate.wait()
                if self.failure:
                    raise self.failure
                finished += 1
                yield Utterance(region, (Word("word", region.start_ms, region.end_ms, 1.0),))
        finally:
            self.given_up += len(regions) - finished

    async def close(self) -> None:
        self.closed = True


def registry_of(*engines: Any) -> Registry[Any, Capabilities]:
    """A registry that holds these engines, in order, by their names."""
    names = [getattr(engine, "name", f"engine{place}") for place, engine in enumerate(engines)]
    registry: Registry[Any, Capabilities] = Registry(dict.fromkeys(names, ""), names, None, capabilities=Capabilities)
    registry._made.update(zip(names, engines, strict=True))
    return registry


class CountingStorage:
    """The one method of a store that the service uses: opens a file and counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened = 0
        self.released = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: OneVoiceError | None = None

    @asynccontextmanager
    async def open_local(self, ref: ObjectRef) -> AsyncIterator[Path]:
        self.opened += 1
        await self.gate.wait()
        if self.failure:
            raise self.failure
        yield self.path
        self.released += 1


def any_storage(path: Path) -> Any:
    """The counting store, where a whole store is needed."""
    return CountingStorage(path)
