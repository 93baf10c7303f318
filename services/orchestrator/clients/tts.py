"""Calls to speech synthesis."""

from __future__ import annotations

import grpc

from onevoice.tts.v1 import tts_service_pb2 as pb
from onevoice.tts.v1.tts_service_pb2_grpc import TtsServiceStub
from onevoice_kit.grpc.context import current_scope
from onevoice_kit.grpc.converters import ref_from_proto
from onevoice_kit.languages import best

from ..policy.line import EngineUse, Speech
from ..policy.voices import Voice
from .base import SHORT_S, Recent, candidates, cost_from_proto, engine_from_proto
from .lines import Common, LineCalls

_GENDERS = {
    pb.VOICE_GENDER_FEMALE: "female",
    pb.VOICE_GENDER_MALE: "male",
    pb.VOICE_GENDER_NEUTRAL: "neutral",
}


class TtsClient:
    """Speech synthesis."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = TtsServiceStub(channel)
        self._lines = LineCalls(channel)
        self._engines = Recent(lambda: self._stub.ListEngines(pb.ListEnginesRequest(), timeout=SHORT_S))
        self._voices: dict[str, Recent[pb.ListVoicesResponse]] = {}
        """By language."""

    async def engines(self, language: str, named: str) -> list[EngineUse]:
        """Lists the engines that a job in this language may get: the named one, or all that serve the language."""
        listed: pb.ListEnginesResponse = await self._engines()
        return candidates([engine for engine in listed.engines if best(language, engine.languages)], named)

    async def voices(self, language: str, engine: str) -> list[Voice]:
        """Voices of a language, of one engine where it is named."""
        if language not in self._voices:
            request = pb.ListVoicesRequest(language=language)
            self._voices[language] = Recent(lambda: self._stub.ListVoices(request, timeout=SHORT_S))
        listed = await self._voices[language]()
        voices = [
            Voice(
                voice.id,
                voice.language,
                _GENDERS.get(voice.gender, ""),
                voice.engine,
                voice.pitch_hz,
                native=voice.language in voice.languages[:1] or not voice.languages,
            )
            for voice in listed.voices
        ]
        return [voice for voice in voices if engine in ("", voice.engine)]

    async def speak(
        self,
        text: str,
        language: str,
        voice: str,
        prefix: str,
        engine: str,
        neighbours: tuple[str, str] = ("", ""),
        wanted_ms: int = 0,
    ) -> Speech:
        """
        Speaks a line at its natural rate, or by an engine of exact lengths in the wanted one, and stores it under
        `prefix`. `neighbours` are the texts of the same speaker before and after it; the result is found again whatever
        they are.
        """
        line = pb.SynthesizeLine(text=text, voice=voice, rate=1.0, wanted_ms=wanted_ms)
        line.previous_text, line.next_text = neighbours
        response = await self._lines.speak(Common(language, prefix, engine, current_scope()), line)
        return Speech(
            ref_from_proto(response.audio),
            response.natural_ms,
            response.voice,
            engine_from_proto(response.engine),
            cost_from_proto(response),
        )
