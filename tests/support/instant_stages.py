"""Stage services that take no time: real gRPC servers, made-up results, failures on request."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from onevoice.asr.v1 import asr_service_pb2 as asr
from onevoice.asr.v1 import asr_service_pb2_grpc as asr_grpc
from onevoice.asr.v1.transcript_pb2 import Turn, Utterance, Word
from onevoice.billing.v1 import billing_service_pb2 as billing
from onevoice.billing.v1 import billing_service_pb2_grpc as billing_grpc
from onevoice.common.v1.engine_pb2 import Engine, EngineUse
from onevoice.common.v1.media_pb2 import ObjectRef, TimeRange
from onevoice.mixer.v1 import mixer_service_pb2 as mixer
from onevoice.mixer.v1 import mixer_service_pb2_grpc as mixer_grpc
from onevoice.mixer.v1.media_info_pb2 import AudioStream, MediaInfo, VideoStream
from onevoice.translate.v1 import translate_service_pb2 as translate
from onevoice.translate.v1 import translate_service_pb2_grpc as translate_grpc
from onevoice.tts.v1 import tts_service_pb2 as tts
from onevoice.tts.v1 import tts_service_pb2_grpc as tts_grpc
from onevoice_kit.errors import OneVoiceError
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.errors import error_to_proto
from onevoice_kit.grpc.server import GrpcServer
from onevoice_kit.settings import GrpcServerSettings
from services.orchestrator.clients import AsrClient, BillingClient, Clients, MixerClient, TranslateClient, TtsClient
from tests.support.access import ACCESS

LINE_MS = 2_000
SPOKEN_MS = 1_500
LINES_PER_CHUNK = 10
TARGETS = ("es", "ca")
CHUNK_COST, LINE_COST, TERMS_COST = 7_000, 300, 90
"""Of recognition, of speech and of a summary, millionths of a US dollar; that of translation is not known."""
ENGINE = EngineUse(name="instant", model="none", version="1")


def ref(name: str, content_type: str = "audio/wav") -> ObjectRef:
    """A reference to nothing; its checksum is that of its name."""
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return ObjectRef(uri=f"file:///{name}", sha256=sha256, size=1, content_type=content_type)


def engine(languages: Sequence[str], version: str = "1", name: str = "instant") -> Engine:
    """An engine, the only one of most kinds. Lists of engines are no calls that a script counts, holds or fails."""
    return Engine(name=name, model="none", version=version, languages=languages, available=True)


def speaker_of(request: Any) -> EngineUse:
    """The engine of the voice that is to speak."""
    return EngineUse(name=request.voice.partition(":")[0], model="none", version="1")


@dataclass
class Script:
    """The behaviour of the services, and their requests so far."""

    segments: int = 10
    summary: bool = False
    """True: the engine for translation wants a summary of the whole."""
    loops: bool = False
    """True: recognition gives every line the same words."""
    speakers: tuple[str, ...] = ("speaker_1",)
    """The source is shared out among them; none where diarization finds no turns."""
    faults: dict[str, Callable[[object], OneVoiceError | None]] = field(default_factory=dict)
    """By method name: the error that a request gets, if any."""
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    """By method name: what a call waits for."""
    gated: Callable[[Any], bool] = lambda _: True
    """True for requests that their gate holds."""
    calls: list[tuple[str, object]] = field(default_factory=list)
    unheard: Callable[[TimeRange], bool] = lambda _: False
    """Regions in which recognition finds no words."""
    versions: dict[str, str] = field(default_factory=dict)
    """By kind of engine: its version, as its service lists it; else 1."""
    engines: tuple[str, ...] = ("instant",)
    """The engines of synthesis, in the order of preference; each has three voices."""
    separates: bool = True
    """False: the programme stays whole, for a real mixer, which would read the stems."""
    spoken: tuple[str, float] | None = None
    """The language that recognition identifies, and its probability; None: it has no engine for that."""
    expected: float | None = None
    """The probability of the language that the job names; None: the engine does not know it."""
    settled_credits: int | None = None
    """Credits that a settlement spends by billing's reply; None: those of the request."""
    released_credits: int = 1
    """Credits that a release gives back by billing's reply."""
    reserved: list[str] = field(default_factory=list)
    """Reservations that billing lists as open for long."""
    cancelled: list[str] = field(default_factory=list)
    """Methods whose call was cancelled while its gate held it."""

    @property
    def duration_ms(self) -> int:
        """Length of the made-up source."""
        return self.segments * LINE_MS

    def count(self, method: str) -> int:
        """Number of calls of a method."""
        return sum(1 for name, _ in self.calls if name == method)

    def requests(self, method: str) -> list[Any]:
        """The requests of a method."""
        return [request for name, request in self.calls if name == method]

    async def enter(self, method: str, request: object) -> None:
        """Records the call, waits for its gate, raises its fault."""
        self.calls.append((method, request))
        if method in self.gates and self.gated(request):
            await self._through(method)
        error = self.faults.get(method, lambda _: None)(request)
        if error:
            raise error

    async def _through(self, method: str) -> None:
        try:
            await self.gates[method].wait()
        except asyncio.CancelledError:
            self.cancelled.append(method)
            raise


class Asr(asr_grpc.AsrServiceServicer):
    """Speech every two seconds."""

    def __init__(self, script: Script) -> None:
        self.script = script

    async def DetectSpeech(
        self, request: asr.DetectSpeechRequest, _: object
    ) -> AsyncIterator[asr.DetectSpeechResponse]:
        await self.script.enter("DetectSpeech", request)
        regions = [TimeRange(start_ms=i * LINE_MS, end_ms=i * LINE_MS + SPOKEN_MS) for i in range(self.script.segments)]
        chunks = [
            asr.SpeechChunk(regions=regions[i : i + LINES_PER_CHUNK]) for i in range(0, len(regions), LINES_PER_CHUNK)
        ]
        result = asr.DetectSpeechResult(chunks=chunks, duration_ms=self.script.duration_ms, detector=ENGINE)
        yield asr.DetectSpeechResponse(result=result)

    async def Transcribe(self, request: asr.TranscribeRequest, _: object) -> AsyncIterator[asr.TranscribeResponse]:
        await self.script.enter("Transcribe", request)
        for region in request.regions:
            if self.script.unheard(region):
                continue
            words = [
                Word(
                    text=word,
                    start_ms=region.start_ms + n * 500,
                    end_ms=region.start_ms + n * 500 + 450,
                    confidence=0.9,
                )
                for n, word in enumerate(
                    ("one", "two", f"three{self.script.loops or region.start_ms // LINE_MS or ''}")
                )
            ]
            yield asr.TranscribeResponse(utterance=Utterance(range=region, words=words))
        yield asr.TranscribeResponse(result=asr.TranscribeResult(engine=ENGINE, cost_microusd=CHUNK_COST))

    async def Diarize(self, request: asr.DiarizeRequest, _: object) -> AsyncIterator[asr.DiarizeResponse]:
        await self.script.enter("Diarize", request)
        speakers = self.script.speakers
        each = self.script.duration_ms // max(1, len(speakers))
        turns = [
            Turn(range=TimeRange(start_ms=i * each, end_ms=(i + 1) * each), speaker=speaker)
            for i, speaker in enumerate(speakers)
        ]
        yield asr.DiarizeResponse(result=asr.DiarizeResult(turns=turns, engine=ENGINE))

    async def Separate(self, request: asr.SeparateRequest, _: object) -> AsyncIterator[asr.SeparateResponse]:
        await self.script.enter("Separate", request)
        if not self.script.separates:
            yield asr.SeparateResponse(result=asr.SeparateResult(engine=ENGINE, reason="Separation is off."))
            return
        background, voice = ref("background.flac", "audio/flac"), ref("voice.flac", "audio/flac")
        yield asr.SeparateResponse(result=asr.SeparateResult(background=background, voice=voice, engine=ENGINE))

    async def IdentifyLanguage(self, request: asr.IdentifyLanguageRequest, _: object) -> asr.IdentifyLanguageResponse:
        await self.script.enter("IdentifyLanguage", request)
        language, probability = self.script.spoken or ("en", 1.0)
        return asr.IdentifyLanguageResponse(
            language=language, probability=probability, engine=ENGINE, expected_probability=self.script.expected
        )

    async def ListEngines(self, request: asr.ListEnginesRequest, _: object) -> asr.ListEnginesResponse:
        kinds = [
            "transcription",
            "diarization",
            "detection",
            "separation",
            *(["identification"] if self.script.spoken else []),
        ]
        return asr.ListEnginesResponse(
            **{kind: [engine(["en"], self.script.versions.get(kind, "1"))] for kind in kinds}
        )


class Translate(translate_grpc.TranslateServiceServicer):
    """Names the language before each line."""

    def __init__(self, script: Script) -> None:
        self.script = script

    async def Translate(
        self, request: translate.TranslateRequest, _: object
    ) -> AsyncIterator[translate.TranslateResponse]:
        await self.script.enter("Translate", request)
        segments = [
            translate.TranslatedSegment(id=s.id, text=f"{request.target_language}: {s.text}.", within_budget=True)
            for s in request.segments
        ]
        yield translate.TranslateResponse(result=translate.TranslateResult(segments=segments, engine=ENGINE))

    async def Summarize(
        self, request: translate.SummarizeRequest, _: object
    ) -> AsyncIterator[translate.SummarizeResponse]:
        await self.script.enter("Summarize", request)
        summary = translate.Summary(text="Numbers.", terms=[translate.GlossaryTerm(source="one", target="uno")])
        result = translate.SummarizeResult(summary=summary, engine=ENGINE, cost_microusd=TERMS_COST)
        yield translate.SummarizeResponse(result=result)

    async def ListEngines(self, request: translate.ListEnginesRequest, _: object) -> translate.ListEnginesResponse:
        pairs = [translate.LanguagePair(source="en", target=target) for target in TARGETS]
        listed = translate.TranslationEngine(
            engine=engine(["en"], self.script.versions.get("translation", "1")),
            pairs=pairs,
            wants_summary=self.script.summary,
        )
        return translate.ListEnginesResponse(engines=[listed])


def _alone(request: tts.SynthesizeLinesRequest, line: tts.SynthesizeLine) -> tts.SynthesizeRequest:
    """The request for one line of several."""
    return tts.SynthesizeRequest(
        text=line.text,
        language=request.language,
        voice=line.voice,
        rate=line.rate,
        output_prefix=request.output_prefix,
        engine=request.engine,
        previous_text=line.previous_text,
        next_text=line.next_text,
        wanted_ms=line.wanted_ms,
    )


async def _end_of_line(call: Awaitable[tts.SynthesizeResponse], line: str) -> tts.SynthesizeLinesResponse:
    try:
        return tts.SynthesizeLinesResponse(id=line, result=await call)
    except OneVoiceError as error:
        return tts.SynthesizeLinesResponse(id=line, error=error_to_proto(error))


class Tts(tts_grpc.TtsServiceServicer):
    """Every line takes 1.4 seconds."""

    def __init__(self, script: Script) -> None:
        self.script = script

    async def Synthesize(self, request: tts.SynthesizeRequest, _: object) -> tts.SynthesizeResponse:
        await self.script.enter("Synthesize", request)
        audio = ref(f"{request.output_prefix}/{hashlib.sha256(request.text.encode()).hexdigest()[:8]}.wav")
        return tts.SynthesizeResponse(
            audio=audio, natural_ms=1_400, engine=speaker_of(request), voice=request.voice, cost_microusd=LINE_COST
        )

    async def SynthesizeLines(
        self, request: tts.SynthesizeLinesRequest, context: object
    ) -> AsyncIterator[tts.SynthesizeLinesResponse]:
        """Each line is a call of Synthesize, to the script too."""
        calls = {line.id: self.Synthesize(_alone(request, line), context) for line in request.lines}
        lines = [asyncio.create_task(_end_of_line(call, line)) for line, call in calls.items()]
        try:
            for ready in asyncio.as_completed(lines):
                yield await ready
        finally:
            for task in lines:
                task.cancel()
            await asyncio.gather(*lines, return_exceptions=True)

    async def ListVoices(self, request: tts.ListVoicesRequest, _: object) -> tts.ListVoicesResponse:
        await self.script.enter("ListVoices", request)
        voices = [
            tts.Voice(id=f"{name}:{n}", language=request.language, engine=name)
            for name in self.script.engines
            for n in range(3)
        ]
        return tts.ListVoicesResponse(voices=voices)

    async def ListEngines(self, request: tts.ListEnginesRequest, _: object) -> tts.ListEnginesResponse:
        version = self.script.versions.get("synthesis", "1")
        return tts.ListEnginesResponse(engines=[engine(TARGETS, version, name) for name in self.script.engines])


class Mixer(mixer_grpc.MixerServiceServicer):
    """Returns a report without a fault."""

    def __init__(self, script: Script) -> None:
        self.script = script

    def _info(self) -> MediaInfo:
        ms = self.script.duration_ms
        video = VideoStream(codec="h264", width=640, height=360, frame_rate=25, duration_ms=ms)
        return MediaInfo(duration_ms=ms, container="mp4", video=video, audio=[AudioStream(index=1, codec="aac")])

    async def Probe(self, request: mixer.ProbeRequest, _: object) -> AsyncIterator[mixer.ProbeResponse]:
        await self.script.enter("Probe", request)
        yield mixer.ProbeResponse(result=self._info())

    async def ExtractAudio(
        self, request: mixer.ExtractAudioRequest, _: object
    ) -> AsyncIterator[mixer.ExtractAudioResponse]:
        await self.script.enter("ExtractAudio", request)
        result = mixer.ExtractAudioResult(
            speech=ref("speech.flac"),
            programme=ref("programme.flac"),
            loudness_lufs=-20,
            duration_ms=self.script.duration_ms,
        )
        yield mixer.ExtractAudioResponse(result=result)

    async def Thumbnail(self, request: mixer.ThumbnailRequest, _: object) -> AsyncIterator[mixer.ThumbnailResponse]:
        await self.script.enter("Thumbnail", request)
        yield mixer.ThumbnailResponse(result=mixer.ThumbnailResult(image=ref("thumbnail.jpg", "image/jpeg")))

    async def Mix(self, request: mixer.MixRequest, _: object) -> AsyncIterator[mixer.MixResponse]:
        await self.script.enter("Mix", request)
        result = mixer.MixResult(
            audio=ref("mix.m4a", "audio/mp4"),
            loudness_lufs=-20.1,
            true_peak_dbtp=-2,
            duration_ms=request.duration_ms,
            placed_ms=[1_400] * len(request.clips),
            voice=ref("voice.flac", "audio/flac"),
        )
        yield mixer.MixResponse(result=result)

    async def Mux(self, request: mixer.MuxRequest, _: object) -> AsyncIterator[mixer.MuxResponse]:
        await self.script.enter("Mux", request)
        yield mixer.MuxResponse(result=mixer.MuxResult(media=ref("dub.mp4", "video/mp4"), info=self._info()))

    async def Measure(self, request: mixer.MeasureRequest, _: object) -> AsyncIterator[mixer.MeasureResponse]:
        await self.script.enter("Measure", request)
        lines = [
            mixer.MeasuredLine(
                id=line.id, present=True, onset_ms=line.start_ms, end_ms=line.end_ms, correlation=0.9, level_db=0
            )
            for line in request.lines
        ]
        result = mixer.MeasureResult(
            lines=lines, residue_db=-20, loudness_lufs=-20.2, true_peak_dbtp=-1.9, duration_ms=self.script.duration_ms
        )
        yield mixer.MeasureResponse(result=result)


class Billing(billing_grpc.BillingServiceServicer):
    """Remembers what was settled and released."""

    def __init__(self, script: Script) -> None:
        self.script = script

    async def Quote(self, request: billing.QuoteRequest, _: object) -> billing.QuoteResponse:
        await self.script.enter("Quote", request)
        each = -(-request.duration_ms // 1000)
        return billing.QuoteResponse(credits=each * request.languages, credits_per_language=each)

    async def Settle(self, request: billing.SettleRequest, _: object) -> billing.SettleResponse:
        await self.script.enter("Settle", request)
        spent = request.credits if self.script.settled_credits is None else self.script.settled_credits
        return billing.SettleResponse(spent_credits=spent)

    async def Release(self, request: billing.ReleaseRequest, _: object) -> billing.ReleaseResponse:
        await self.script.enter("Release", request)
        return billing.ReleaseResponse(released_credits=self.script.released_credits)

    async def ListOpenReservations(
        self, request: billing.ListOpenReservationsRequest, _: object
    ) -> billing.ListOpenReservationsResponse:
        await self.script.enter("ListOpenReservations", request)
        return billing.ListOpenReservationsResponse(reservation_ids=self.script.reserved)


@asynccontextmanager
async def instant_stages(
    script: Script,
    *,
    synthesis: tts_grpc.TtsServiceServicer | None = None,
    mixing: mixer_grpc.MixerServiceServicer | None = None,
) -> AsyncIterator[Clients]:
    """The five services on free ports, and clients to them; two of them may be others than the instant ones."""

    def register(server: grpc.aio.Server) -> None:
        asr_grpc.add_AsrServiceServicer_to_server(Asr(script), server)
        translate_grpc.add_TranslateServiceServicer_to_server(Translate(script), server)
        tts_grpc.add_TtsServiceServicer_to_server(synthesis or Tts(script), server)
        mixer_grpc.add_MixerServiceServicer_to_server(mixing or Mixer(script), server)
        billing_grpc.add_BillingServiceServicer_to_server(Billing(script), server)

    settings = GrpcServerSettings(grpc_host="127.0.0.1", grpc_port=0)
    server = GrpcServer(settings, "instant", register, services=ACCESS)
    await server.start()
    channel = connect(server.address)
    try:
        yield Clients(
            AsrClient(channel),
            TranslateClient(channel),
            TtsClient(channel),
            MixerClient(channel),
            BillingClient(channel),
        )
    finally:
        await channel.close(None)
        await server.stop(0)


def only(**conditions: object) -> Callable[[object], bool]:
    """True if a request has these values."""
    return lambda request: all(getattr(request, name) == value for name, value in conditions.items())


def fails(
    error: OneVoiceError, when: Callable[[object], bool] = lambda _: True
) -> Callable[[object], OneVoiceError | None]:
    """A fault for requests that meet a condition."""
    return lambda request: error if when(request) else None


def calls_by_method(script: Script) -> Mapping[str, int]:
    """Number of calls by method."""
    return {name: script.count(name) for name in {name for name, _ in script.calls}}
