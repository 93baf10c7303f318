"""Calls to speech recognition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from onevoice.asr.v1 import asr_service_pb2 as pb
from onevoice.asr.v1.asr_service_pb2_grpc import AsrServiceStub
from onevoice.asr.v1.transcript_pb2 import SPEAKER_GENDER_FEMALE, SPEAKER_GENDER_MALE
from onevoice.asr.v1.transcript_pb2 import Word as WordMessage
from onevoice.common.v1.media_pb2 import TimeRange
from onevoice_jobs.records import Word
from onevoice_kit.grpc.converters import ref_from_proto, ref_to_proto
from onevoice_kit.grpc.streams import final_result
from onevoice_kit.storage.base import ObjectRef

from ..policy.line import EngineFailure, EngineUse
from ..policy.segmentation import DEFAULT_SPEAKER, Turn
from ..policy.voices import Speaker
from .base import SHORT_S, Recent, candidates, cost_from_proto, engine_from_proto, failures_from_proto, for_media

DETECTION = "detection"
"""Kinds of engines."""
DIARIZATION = "diarization"
IDENTIFICATION = "identification"
SEPARATION = "separation"
TRANSCRIPTION = "transcription"
CONVERSATION = "conversation"
"""Engines for transcription that find the speakers in the same call."""
_IDENTIFY_S = 300.0
"""The model may have to be loaded first, and other calls may occupy the service."""
_GENDERS = {SPEAKER_GENDER_FEMALE: "female", SPEAKER_GENDER_MALE: "male"}
NOT_SEPARATED = EngineUse("none", "", "1")
"""Stands for the engine where nothing was separated."""
Region = tuple[int, int]
"""Start and end of speech, milliseconds from the start of the source."""


@dataclass(frozen=True, slots=True)
class DetectedSpeech:
    """The regions of speech, before recognition."""

    chunks: tuple[tuple[Region, ...], ...]
    """Parts that can be transcribed by themselves."""
    duration_ms: int
    detector: EngineUse

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions of all chunks."""
        return tuple(region for chunk in self.chunks for region in chunk)


@dataclass(frozen=True, slots=True)
class SpokenLanguage:
    """The language that is heard."""

    language: str
    """BCP-47."""
    probability: float
    """0 to 1."""
    expected_probability: float | None = None
    """Of the language that was expected, 0 to 1; None where the engine does not know it."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The words of some regions."""

    utterances: tuple[tuple[Word, ...], ...]
    engine: EngineUse
    cost_microusd: int | None = 0
    """At list price, millionths of a US dollar; None where it is not known."""
    after: tuple[EngineFailure, ...] = ()
    """The engines that were to recognise them before, in order."""


@dataclass(frozen=True, slots=True)
class Speakers:
    """The turns of the speakers."""

    turns: tuple[Turn, ...]
    engine: EngineUse
    voices: tuple[Speaker, ...] = ()
    """Their gender and pitch, where the engine describes them."""
    words: ObjectRef | None = None
    """The words of all regions, for `transcribe`; None where the engine found speakers alone."""
    cost_microusd: int | None = 0
    """At list price, millionths of a US dollar; None where it is not known."""

    @property
    def each(self) -> tuple[Speaker, ...]:
        """Every speaker once, in the order of their numbers; the default one where there are no turns."""
        described = {speaker.name: speaker for speaker in self.voices}
        names = dict.fromkeys(turn.speaker for turn in self.turns) or [DEFAULT_SPEAKER]
        return tuple(described.get(name, Speaker(name)) for name in names)


@dataclass(frozen=True, slots=True)
class Separated:
    """The stems of a programme; none where it stays whole and is ducked."""

    engine: EngineUse
    background: ObjectRef | None = None
    voice: ObjectRef | None = None
    reason: str = ""
    """Sentences on the cause where there are no stems."""


@dataclass(frozen=True, slots=True)
class WantedWords:
    """The words that `transcribe` will be asked for; an engine that finds them with the speakers makes them too."""

    language: str
    """BCP-47."""
    engine: str
    """Empty: the first configured one that serves the language."""
    output_prefix: str
    """The folder for what is stored."""


class AsrClient:
    """Speech recognition."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = AsrServiceStub(channel)
        self._engines = Recent(lambda: self._stub.ListEngines(pb.ListEnginesRequest(), timeout=SHORT_S))

    async def engines(self, named: str, separator: str) -> dict[str, list[EngineUse]]:
        """
        Lists the engines that a job may get, by their kind and in the order of preference. For transcription and for
        separation: the named one, or all; for conversation: those for transcription that find speakers too.
        """
        listed: pb.ListEnginesResponse = await self._engines()
        transcription = candidates(listed.transcription, named)
        names = {engine.name for engine in transcription}
        return {
            CONVERSATION: [engine for engine in candidates(listed.conversation, "") if engine.name in names],
            DETECTION: candidates(listed.detection, ""),
            DIARIZATION: candidates(listed.diarization, ""),
            IDENTIFICATION: candidates(listed.identification, ""),
            SEPARATION: candidates(listed.separation, separator),
            TRANSCRIPTION: transcription,
        }

    async def detect(self, audio: ObjectRef, duration_ms: int) -> DetectedSpeech:
        """Finds speech; `PreconditionFailed` `no_speech` where there is none."""
        request = pb.DetectSpeechRequest(audio=ref_to_proto(audio))
        call = self._stub.DetectSpeech(request, timeout=for_media(duration_ms, 0.5))
        result: pb.DetectSpeechResult = await final_result(call)
        chunks = tuple(_regions(chunk.regions) for chunk in result.chunks)
        return DetectedSpeech(chunks, result.duration_ms, engine_from_proto(result.detector))

    async def transcribe(
        self, audio: ObjectRef, regions: Sequence[Region], language: str, engine: str, known: ObjectRef | None = None
    ) -> Transcript:
        """Recognises the words of the regions; those that `diarize` found are `known`, and cost nothing more."""
        spoken_ms = sum(end - start for start, end in regions)
        request = pb.TranscribeRequest(
            audio=ref_to_proto(audio),
            regions=_ranges(regions),
            language=language,
            engine=engine,
            known_words=ref_to_proto(known) if known else None,
        )
        # Chunks wait for each other in the service, so the deadline allows for a long line before this one.
        call = self._stub.Transcribe(request, timeout=for_media(spoken_ms, 10, base_s=600))
        utterances: list[tuple[Word, ...]] = []

        def keep(message: pb.TranscribeResponse) -> None:
            utterances.append(tuple(_word(word) for word in message.utterance.words))

        result: pb.TranscribeResult = await final_result(call, on_other=keep)
        used, after = engine_from_proto(result.engine), failures_from_proto(result.engine)
        return Transcript(tuple(utterances), used, cost_from_proto(result), after)

    async def identify(self, audio: ObjectRef, regions: Sequence[Region], expected: str = "") -> SpokenLanguage:
        """The language that is spoken in the regions, and the probability of the one that is expected."""
        request = pb.IdentifyLanguageRequest(audio=ref_to_proto(audio), regions=_ranges(regions), expected=expected)
        response = await self._stub.IdentifyLanguage(request, timeout=_IDENTIFY_S)
        known = response.HasField("expected_probability")
        return SpokenLanguage(response.language, response.probability, response.expected_probability if known else None)

    async def diarize(
        self,
        audio: ObjectRef,
        regions: Sequence[Region],
        duration_ms: int,
        count: int,
        words: WantedWords | None = None,
    ) -> Speakers:
        """
        Returns the turns of the speakers, found by the first engine that works. `count` is their number, 0 where it is
        to be estimated. `words` are those that are wanted as well.
        """
        request = pb.DiarizeRequest(audio=ref_to_proto(audio), regions=_ranges(regions), speakers=count)
        if words:
            request.words.language, request.words.engine = words.language, words.engine
            request.output_prefix = words.output_prefix
        call = self._stub.Diarize(request, timeout=for_media(duration_ms, 1))
        return _speakers(await final_result(call))

    async def separate(self, programme: ObjectRef, duration_ms: int, prefix: str, engine: str) -> Separated:
        """Separates voice and background and stores both under `prefix`."""
        request = pb.SeparateRequest(programme=ref_to_proto(programme), output_prefix=prefix, engine=engine)
        # Programmes wait for each other in the service, and its processes give way to recognition.
        call = self._stub.Separate(request, timeout=for_media(duration_ms, 4, base_s=1_200))
        result: pb.SeparateResult = await final_result(call)
        return Separated(
            engine_from_proto(result.engine),
            ref_from_proto(result.background) if result.HasField("background") else None,
            ref_from_proto(result.voice) if result.HasField("voice") else None,
            result.reason,
        )


def _speakers(result: pb.DiarizeResult) -> Speakers:
    known = result.HasField("words")
    return Speakers(
        tuple(Turn(t.range.start_ms, t.range.end_ms, t.speaker) for t in result.turns),
        engine_from_proto(result.engine),
        tuple(Speaker(s.name, _GENDERS.get(s.gender, ""), s.pitch_hz) for s in result.speakers),
        ref_from_proto(result.words) if known else None,
        cost_from_proto(result) if known else 0,
    )


def _regions(ranges: Sequence[TimeRange]) -> tuple[Region, ...]:
    return tuple((r.start_ms, r.end_ms) for r in ranges)


def _ranges(regions: Sequence[Region]) -> list[TimeRange]:
    return [TimeRange(start_ms=start, end_ms=end) for start, end in regions]


def _word(word: WordMessage) -> Word:
    return Word(word.text, word.start_ms, word.end_ms, round(word.confidence, 4))
