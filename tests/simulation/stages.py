"""The stage services: their answers follow from their requests, so a repetition gives the same."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from onevoice_jobs.options import GlossaryTerm
from onevoice_jobs.records import Word
from onevoice_kit.engines.layers import FAILED_ENGINE
from onevoice_kit.errors import InvalidInput, PreconditionFailed, Unavailable
from onevoice_kit.grpc.streams import OnProgress
from onevoice_kit.storage.base import ObjectRef
from services.orchestrator.clients import AsrClient, BillingClient, Clients, MixerClient, TranslateClient, TtsClient
from services.orchestrator.clients.asr import (
    DETECTION,
    DIARIZATION,
    IDENTIFICATION,
    SEPARATION,
    TRANSCRIPTION,
    DetectedSpeech,
    Region,
    Separated,
    Speakers,
    Transcript,
    WantedWords,
)
from services.orchestrator.clients.mixer import Measurement, MeasureOrder, Media, Mix, MixOrder, MuxOrder, Sound
from services.orchestrator.clients.translate import NO_CONTEXT, SUMMARY, TRANSLATION, Context, SourceLine
from services.orchestrator.policy.line import EngineUse, Measured, Translation
from services.orchestrator.policy.line import Speech as Spoken
from services.orchestrator.policy.segmentation import Turn
from services.orchestrator.policy.terminology import Terminology
from services.orchestrator.policy.voices import Voice

from .ledger import Ledger
from .scenario import Spec, price

T = TypeVar("T")
_ENGINE, _FIRST = EngineUse("simulated", "none", "1"), EngineUse("first", "none", "1")


class Line(Protocol):
    """A worker's line to the stages; has the job that a call is for."""

    async def stage(self, name: str, answer: Callable[[Spec], T], detail: str = "") -> T:
        """Calls a stage, whose answer follows from the request and from the source."""
        ...


def simulated_stages(line: Line, ledger: Ledger) -> Clients:
    """The five services at the other end of a line."""
    return Clients(_Asr(line), _Translate(line), _Tts(line), _Mixer(line), _Billing(line, ledger))


def _made(prefix: str, name: str, content_type: str, *of: object) -> ObjectRef:
    """An object whose content follows from what it is made of."""
    made = hashlib.sha256(repr((name, of)).encode()).hexdigest()
    return ObjectRef(f"file:///{prefix}/{name}-{made[:16]}", made, len(made), content_type)


async def _progress(on_progress: OnProgress) -> None:
    told = on_progress(0.5)
    if inspect.isawaitable(told):
        await told


class _Asr(AsrClient):
    def __init__(self, line: Line) -> None:
        self._line = line

    async def engines(self, named: str, separator: str) -> dict[str, list[EngineUse]]:
        # Kept by the client, so hardly ever a call.
        kinds = DETECTION, DIARIZATION, SEPARATION, TRANSCRIPTION
        return {kind: [_ENGINE] for kind in kinds} | {IDENTIFICATION: []}

    async def detect(self, audio: ObjectRef, duration_ms: int) -> DetectedSpeech:
        def answer(spec: Spec) -> DetectedSpeech:
            if spec.bad == "asr.detect":
                raise PreconditionFailed("No speech was found in the video.", reason="no_speech")
            return DetectedSpeech(spec.regions, duration_ms, _ENGINE)

        return await self._line.stage("asr.detect", answer)

    async def transcribe(
        self, audio: ObjectRef, regions: Sequence[Region], language: str, engine: str, known: ObjectRef | None = None
    ) -> Transcript:
        def words(start: int) -> tuple[Word, ...]:
            return tuple(Word(f"w{start}.{n}", start + 500 * n, start + 500 * n + 450, 0.9) for n in range(3))

        said = Transcript(tuple(words(start) for start, _ in regions), _ENGINE)
        return await self._line.stage("asr.transcribe", lambda _: said)

    async def diarize(
        self,
        audio: ObjectRef,
        regions: Sequence[Region],
        duration_ms: int,
        count: int,
        words: WantedWords | None = None,
    ) -> Speakers:
        speakers = Speakers((Turn(0, duration_ms, "speaker_1"),), _ENGINE)
        return await self._line.stage("asr.diarize", lambda _: speakers)

    async def separate(self, programme: ObjectRef, duration_ms: int, prefix: str, engine: str) -> Separated:
        background, voice = (_made(prefix, name, "audio/flac", programme.sha256) for name in ("background", "voice"))
        return await self._line.stage("asr.separate", lambda _: Separated(_ENGINE, background, voice))


class _Translate(TranslateClient):
    def __init__(self, line: Line) -> None:
        self._line = line

    async def engines(self, source: str, target: str, named: str) -> dict[str, list[EngineUse]]:
        # One of the languages waits for its terminology, the others do not.
        return {TRANSLATION: [_ENGINE], SUMMARY: [_ENGINE] if target == "ca" else []}

    async def summarize(
        self, source: str, target: str, lines: Sequence[str], glossary: Sequence[GlossaryTerm], engine: str
    ) -> Terminology:
        found = Terminology(f"{len(lines)} lines", (), _ENGINE)
        return await self._line.stage("translate.summarize", lambda _: found)

    async def translate(
        self,
        source: str,
        target: str,
        lines: Sequence[SourceLine],
        glossary: Sequence[GlossaryTerm],
        engine: str,
        context: Context = NO_CONTEXT,
    ) -> dict[str, Translation]:
        def answer(spec: Spec) -> dict[str, Translation]:
            if target in spec.refused:
                raise InvalidInput(f"There is no way from {source} to {target}.", reason="unsupported_language_pair")
            return {line.id: Translation(f"{target} {line.text}", (), True, _ENGINE) for line in lines}

        return await self._line.stage("translate.translate", answer)


class _Tts(TtsClient):
    """Two engines, of which the first may not work."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def engines(self, language: str, named: str) -> list[EngineUse]:
        return [_FIRST, _ENGINE]

    async def voices(self, language: str, engine: str) -> list[Voice]:
        voices = [Voice(f"{use.name}:{n}", language, "", use.name) for use in (_FIRST, _ENGINE) for n in range(2)]
        return await self._line.stage("tts.voices", lambda _: voices)

    async def speak(
        self,
        text: str,
        language: str,
        voice: str,
        prefix: str,
        engine: str,
        neighbours: tuple[str, str] = ("", ""),
        wanted_ms: int = 0,
    ) -> Spoken:
        use = _FIRST if voice.startswith(f"{_FIRST.name}:") else _ENGINE
        spoken = Spoken(_made(prefix, "speech", "audio/wav", text, language, voice), 1_400, voice, use)

        def answer(spec: Spec) -> Spoken:
            if spec.broken and use is _FIRST:
                raise Unavailable("It is broken.", reason="engine_failed", details={FAILED_ENGINE: use.name})
            return spoken

        return await self._line.stage("tts.speak", answer)


class _Mixer(MixerClient):
    def __init__(self, line: Line) -> None:
        self._line = line

    async def probe(self, source: ObjectRef) -> Media:
        def answer(spec: Spec) -> Media:
            if spec.bad == "mixer.probe":
                raise InvalidInput("This is no video.", reason="unreadable_media")
            return Media(spec.duration_ms, spec.has_video, "en")

        return await self._line.stage("mixer.probe", answer)

    async def extract(self, source: ObjectRef, duration_ms: int, prefix: str, on_progress: OnProgress) -> Sound:
        await _progress(on_progress)
        speech, programme = (_made(prefix, name, "audio/flac", source.sha256) for name in ("speech", "programme"))
        return await self._line.stage("mixer.extract", lambda spec: Sound(speech, programme, -20.0, spec.duration_ms))

    async def thumbnail(self, source: ObjectRef, at_ms: int, prefix: str) -> ObjectRef:
        image = _made(prefix, "thumbnail", "image/jpeg", source.sha256, at_ms)
        return await self._line.stage("mixer.thumbnail", lambda _: image)

    async def mix(self, order: MixOrder, prefix: str, on_progress: OnProgress) -> Mix:
        await _progress(on_progress)
        clips = [(clip.audio.sha256, clip.start_ms, clip.speed) for clip in order.clips]
        audio = _made(prefix, "mix", "audio/mp4", order.background.sha256, clips, order.duck_ranges)
        voice = _made(prefix, "voice", "audio/wav", clips)
        return await self._line.stage("mixer.mix", lambda _: Mix(audio, -20.1, -2.0, 1.0, voice))

    async def mux(self, order: MuxOrder, prefix: str) -> tuple[ObjectRef, int]:
        subtitles = [track.ref.sha256 for track in order.subtitles]
        media = _made(prefix, "mux", "video/mp4", order.source.sha256, order.dub.ref.sha256, subtitles)
        return await self._line.stage("mixer.mux", lambda _: (media, order.duration_ms))

    async def measure(self, order: MeasureOrder) -> Measurement:
        lines = {line_id: Measured(True, start, end, 0, 0, 0, 0.9, 0.0) for line_id, start, end in order.lines}
        measured = Measurement(lines, -20.0, -20.1, -2.0, order.duration_ms)
        return await self._line.stage("mixer.measure", lambda _: measured)


class _Billing(BillingClient):
    def __init__(self, line: Line, ledger: Ledger) -> None:
        self._line = line
        self._ledger = ledger

    async def price(self, duration_ms: int, languages: int) -> int:
        return await self._line.stage("billing.price", lambda _: price(duration_ms, languages))

    async def settle(self, job_id: UUID | str, amount: int) -> int:
        return await self._line.stage("billing.settle", lambda _: self._ledger.settle(str(job_id), amount), f"{amount}")

    async def release(self, job_id: UUID | str) -> int:
        return await self._line.stage("billing.release", lambda _: self._ledger.release(str(job_id)), f"{job_id}")
