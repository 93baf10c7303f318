"""A synthesis engine that needs nothing: one second of tone for ten characters, silence around it."""

from __future__ import annotations

import array
import asyncio
from collections.abc import Sequence

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.errors import OneVoiceError, Unavailable
from services.tts.engines.base import Capabilities, Gender, Line, Voice
from services.tts.settings import TtsSettings

SAMPLE_RATE = 16_000
SILENCE_MS = 200


def create(settings: TtsSettings) -> FakeEngine:
    return FakeEngine()


def voice(name: str, language: str, gender: Gender = Gender.NEUTRAL, engine: str = "fake") -> Voice:
    return Voice(f"{engine}:{name}", name, language, gender, engine)


class FakeEngine:
    """
    Raises `Unavailable` for a line with the word "outage", and for all of a call with "blackout"; has no sound for
    "silence"; waits for `gate`.
    """

    def __init__(
        self,
        available: bool = True,
        name: str = "fake",
        version: str = "1",
        normalises: bool = False,
        batch: int = 1,
    ) -> None:
        self.spoken: list[tuple[str, str, float]] = []
        self.lines: list[Line] = []
        self.calls: list[list[str]] = []
        """The texts of each call."""
        self.batch = batch
        self.exact = False
        self.recorded: str | None = None
        """The address of the vendor's recording of each voice; None: the engine has no recordings."""
        self.recordings_asked = 0
        self.cancelled = 0
        """Calls that were given up."""
        self.gate: asyncio.Event | None = None
        self.waiting = 0
        self.info: EngineInfo | None = None
        """Another description of itself than by name and version."""
        self._name, self._version, self._available, self._normalises = name, version, available, normalises

    async def describe(self) -> Capabilities:
        voices = tuple(
            voice(f"{who}-{language}", language, gender, self._name)
            for language in ("es", "es-419", "en-GB", "en-US")
            for who, gender in (("ana", Gender.FEMALE), ("bob", Gender.MALE))
        )
        info = self.info or EngineInfo(self._name, "", self._version)
        missing = "" if self._available else f"The engine “{self._name}” needs a key."
        available = voices if self._available else ()
        return Capabilities(
            info=info,
            voices=available,
            sample_rate=SAMPLE_RATE,
            missing=missing,
            normalises=self._normalises,
            batch=self.batch,
            exact=self.exact,
            recordings=self.recorded is not None,
        )

    async def warm(self) -> None:
        """Has nothing to load."""

    async def speak(self, line: Line) -> bytes:
        await self._call([line])
        return self._sound(line)

    async def speak_many(self, lines: Sequence[Line]) -> Sequence[bytes | OneVoiceError]:
        await self._call(lines)
        return [_outage() if "outage" in line.text else self._sound(line) for line in lines]

    async def recording(self, voice: Voice) -> str:
        self.recordings_asked += 1
        return self.recorded or ""

    async def _call(self, lines: Sequence[Line]) -> None:
        self.lines += lines
        self.spoken += [(line.text, line.voice.id, line.rate) for line in lines]
        self.calls.append([line.text for line in lines])
        if self.gate is not None:
            self.waiting += 1
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            finally:
                self.waiting -= 1
        if any("blackout" in line.text for line in lines):
            raise _outage()

    def _sound(self, line: Line) -> bytes:
        if "outage" in line.text:
            raise _outage()
        pause = bytes(2 * SAMPLE_RATE * SILENCE_MS // 1000)
        level = 0 if "silence" in line.text else 8_000 + 1_000 * sorted({"ana", "bob"}).index(line.voice.name[:3])
        tone = array.array("h", [level, -level] * round(SAMPLE_RATE * len(line.text) / 20 / line.rate))
        return pause + tone.tobytes() + pause

    async def close(self) -> None:
        self.gate = None


def _outage() -> Unavailable:
    return Unavailable("The engine is out.", reason="engine_failed")
