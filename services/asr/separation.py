"""Separates voice and background of a programme and stores both under keys that follow from it and the engine."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.layers import Limit
from onevoice_kit.engines.registry import Candidate
from onevoice_kit.errors import Busy, InvalidInput, NotFound, OneVoiceError, PreconditionFailed
from onevoice_kit.storage.base import ObjectRef, Storage, check_key
from onevoice_kit.telemetry.metrics import ENGINE_FALLBACKS, counter
from services.asr.engines.base import Capabilities, SeparationEngine, Stems
from services.asr.engines.none import INFO as NONE
from services.asr.engines.registry import SeparationEngines

_VERSION = "separation-1"
"""Part of every key; a new one when the same programme gives other stems."""
_SHA256 = re.compile("[0-9a-f]{64}")
_FLAC = "audio/flac"
_OFF = "Separation is off: the engine is “none”."
_log = logging.getLogger(__name__)

_Candidate = Candidate[SeparationEngine, Capabilities, bool]


@dataclass(frozen=True, slots=True)
class Separated:
    """The stems of a programme; none where it stays whole."""

    engine: EngineInfo
    background: ObjectRef | None = None
    """FLAC, 48 kHz, stereo."""
    voice: ObjectRef | None = None
    """FLAC, 16 kHz, mono."""
    reason: str = ""
    """Sentences on the cause where the programme stays whole."""


class Separation:
    """The use case behind Separate."""

    def __init__(self, storage: Storage, engines: SeparationEngines, limit: Limit) -> None:
        """`limit` bounds the programmes that are separated and wait at once; stems that are found need no place."""
        self._storage = storage
        self._engines = engines
        self._limit = limit

    async def separate(
        self, programme: ObjectRef, prefix: str, engine_name: str, report: Callable[[float], None]
    ) -> Separated:
        """
        Separates a programme, or finds its stems. An engine that lacks something or fails is no error: the next one
        takes over, at last the programme stays whole, and the reason is given.

        Raises `InvalidInput` (`invalid_audio`, `unsupported_audio`, `unverified_object`, `invalid_key`,
        `unknown_engine`), `Busy` (`queue_full`), and the errors of the storage.
        """
        check_key(prefix)
        if not _SHA256.fullmatch(programme.sha256):
            raise InvalidInput("The reference to an object has no checksum.", reason="unverified_object")
        try:
            candidates = await self._engines.candidates(engine_name, lambda _: True, _no_engine())
        except PreconditionFailed as error:
            return Separated(NONE, reason=error.message)
        reasons = [] if engine_name else await self._missing_before(candidates[0])
        for one in candidates:
            if not one.engine.separates:
                break
            try:
                return await self._stems(_Order(programme, prefix, one), report)
            except _EngineFailed as failed:
                reasons.append(str(failed))
        return Separated(NONE, reason=" ".join(reasons) or _OFF)

    async def _missing_before(self, first: _Candidate) -> list[str]:
        """Sentences on the engines that were configured to come before this one and lack something."""
        described = await self._engines.describe()
        before = takewhile(lambda one: one.info.name != first.capabilities.info.name, described)
        return [one.missing for one in before if one.missing]

    async def _stems(self, order: _Order, report: Callable[[float], None]) -> Separated:
        if (found := await self._find(order)) is not None:
            return found
        async with self._limit.place():
            # A repeat of a call whose reply was lost may have waited for that call's end.
            if (found := await self._find(order)) is not None:
                return found
            async with self._storage.open_local(order.programme) as path, _folder() as folder:
                stems = Stems(folder / "background.flac", folder / "voice.flac")
                await _called(order.candidate, path, stems, report)
                return Separated(
                    order.candidate.capabilities.info,
                    await self._storage.put_file(order.key("background"), stems.background, _FLAC),
                    await self._storage.put_file(order.key("voice"), stems.voice, _FLAC),
                )

    async def _find(self, order: _Order) -> Separated | None:
        voice = await self._storage.head(order.key("voice"))
        background = await self._storage.head(order.key("background")) if voice is not None else None
        if voice is None or background is None or not (voice.sha256 and background.sha256):
            return None
        return Separated(order.candidate.capabilities.info, background, voice)


@dataclass(frozen=True, slots=True)
class _Order:
    """A programme, the place for its stems, and an engine."""

    programme: ObjectRef
    prefix: str
    candidate: _Candidate

    def key(self, stem: str) -> str:
        """The key of a stem."""
        inputs = {
            "version": _VERSION,
            "programme": self.programme.sha256,
            "engine": dict(self.candidate.capabilities.info.identity),
        }
        canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
        return f"{self.prefix}/{stem}-{hashlib.sha256(canonical.encode()).hexdigest()}.flac"


class _EngineFailed(Exception):
    """The engine failed by this programme; the text is the error's sentence."""


async def _called(one: _Candidate, programme: Path, stems: Stems, report: Callable[[float], None]) -> None:
    try:
        await one.call(lambda engine: engine.separate(programme, stems, report))
    except (InvalidInput, NotFound, Busy):
        raise
    except OneVoiceError as error:
        name = one.capabilities.info.name
        counter(ENGINE_FALLBACKS).labels(stage="separation", engine=name).inc()
        _log.warning("an engine failed; the next one takes over", extra={"engine": name}, exc_info=True)
        raise _EngineFailed(error.message) from error


@asynccontextmanager
async def _folder() -> AsyncIterator[Path]:
    """A folder of one's own for the length of the context."""
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="onevoice-separation-")
    try:
        yield Path(folder.name)
    finally:
        # Shielded, so that a second cancellation does not leave the folder behind.
        await asyncio.shield(asyncio.to_thread(folder.cleanup))


def _no_engine() -> InvalidInput:
    return InvalidInput("No engine here separates voice and background.", reason="unknown_engine")
