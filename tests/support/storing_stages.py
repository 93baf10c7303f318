"""Instant stage services that store what they make, as the real ones do: once per distinct request."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from onevoice.asr.v1 import asr_service_pb2 as asr
from onevoice.asr.v1 import asr_service_pb2_grpc as asr_grpc
from onevoice.asr.v1.transcript_pb2 import Utterance, Word
from onevoice.common.v1.media_pb2 import ObjectRef, TimeRange
from onevoice.mixer.v1 import mixer_service_pb2 as mixer
from onevoice.mixer.v1 import mixer_service_pb2_grpc as mixer_grpc
from onevoice.translate.v1 import translate_service_pb2_grpc as translate_grpc
from onevoice.tts.v1 import tts_service_pb2 as tts
from onevoice.tts.v1 import tts_service_pb2_grpc as tts_grpc
from onevoice_kit.grpc.converters import ref_to_proto
from onevoice_kit.grpc.server import serve
from onevoice_kit.settings import GrpcServerSettings, StorageSettings
from onevoice_kit.storage import open_storage
from onevoice_kit.storage.base import Storage
from tests.support.access import ACCESS

from . import instant_stages as instant
from .crash_points import CrashPoints
from .instant_stages import ENGINE, LINE_MS, SPOKEN_MS, Script

LINES_PER_CHUNK = 2


class Cache:
    """The objects that the stages have stored, by request."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def ref(self, prefix: str, what: str, request: Any, suffix: str, content_type: str) -> ObjectRef:
        """The object that answers a request, stored under `prefix` unless it is there."""
        content = request.SerializeToString(deterministic=True)
        key = f"{prefix}/{what}-{hashlib.sha256(content).hexdigest()}.{suffix}"
        found = await self._storage.head(key)
        return ref_to_proto(found or await self._storage.put_bytes(key, content, content_type))


class Asr(instant.Asr):
    """Every line has words of its own; the stems are stored."""

    def __init__(self, script: Script, cache: Cache) -> None:
        super().__init__(script)
        self._cache = cache

    async def Separate(self, request: asr.SeparateRequest, _: object) -> AsyncIterator[asr.SeparateResponse]:
        await self.script.enter("Separate", request)
        prefix = request.output_prefix
        result = asr.SeparateResult(
            background=await self._cache.ref(prefix, "background", request, "flac", "audio/flac"),
            voice=await self._cache.ref(prefix, "stem", request, "flac", "audio/flac"),
            engine=ENGINE,
        )
        yield asr.SeparateResponse(result=result)

    async def DetectSpeech(
        self, request: asr.DetectSpeechRequest, _: object
    ) -> AsyncIterator[asr.DetectSpeechResponse]:
        await self.script.enter("DetectSpeech", request)
        regions = [TimeRange(start_ms=i * LINE_MS, end_ms=i * LINE_MS + SPOKEN_MS) for i in range(self.script.segments)]
        starts = range(0, len(regions), LINES_PER_CHUNK)
        chunks = [asr.SpeechChunk(regions=regions[i : i + LINES_PER_CHUNK]) for i in starts]
        result = asr.DetectSpeechResult(chunks=chunks, duration_ms=self.script.duration_ms, detector=ENGINE)
        yield asr.DetectSpeechResponse(result=result)

    async def Transcribe(self, request: asr.TranscribeRequest, _: object) -> AsyncIterator[asr.TranscribeResponse]:
        await self.script.enter("Transcribe", request)
        for region in request.regions:
            texts = ("line", "number", str(region.start_ms // LINE_MS))
            words = [
                Word(text=text, start_ms=region.start_ms + n * 500, end_ms=region.start_ms + n * 500 + 450)
                for n, text in enumerate(texts)
            ]
            yield asr.TranscribeResponse(utterance=Utterance(range=region, words=words))
        yield asr.TranscribeResponse(result=asr.TranscribeResult(engine=ENGINE))


class Tts(instant.Tts):
    """Stores each line."""

    def __init__(self, script: Script, cache: Cache) -> None:
        super().__init__(script)
        self._cache = cache

    async def Synthesize(self, request: tts.SynthesizeRequest, _: object) -> tts.SynthesizeResponse:
        await self.script.enter("Synthesize", request)
        audio = await self._cache.ref(request.output_prefix, f"tts-{request.language}", request, "wav", "audio/wav")
        engine = instant.speaker_of(request)
        return tts.SynthesizeResponse(audio=audio, natural_ms=1_400, engine=engine, voice=request.voice)


class Mixer(instant.Mixer):
    """Stores sound, pictures and films."""

    def __init__(self, script: Script, cache: Cache) -> None:
        super().__init__(script)
        self._cache = cache

    async def ExtractAudio(
        self, request: mixer.ExtractAudioRequest, _: object
    ) -> AsyncIterator[mixer.ExtractAudioResponse]:
        await self.script.enter("ExtractAudio", request)
        prefix = request.output_prefix
        result = mixer.ExtractAudioResult(
            speech=await self._cache.ref(prefix, "speech", request, "flac", "audio/flac"),
            programme=await self._cache.ref(prefix, "programme", request, "flac", "audio/flac"),
            loudness_lufs=-20,
            duration_ms=self.script.duration_ms,
        )
        yield mixer.ExtractAudioResponse(result=result)

    async def Thumbnail(self, request: mixer.ThumbnailRequest, _: object) -> AsyncIterator[mixer.ThumbnailResponse]:
        await self.script.enter("Thumbnail", request)
        image = await self._cache.ref(request.output_prefix, "thumbnail", request, "jpg", "image/jpeg")
        yield mixer.ThumbnailResponse(result=mixer.ThumbnailResult(image=image))

    async def Mix(self, request: mixer.MixRequest, _: object) -> AsyncIterator[mixer.MixResponse]:
        await self.script.enter("Mix", request)
        voice = f"voice-{_second_part(request.clips[0].audio)}"
        result = mixer.MixResult(
            audio=await self._cache.ref(request.output_prefix, "mix", request, "m4a", "audio/mp4"),
            loudness_lufs=-20.1,
            true_peak_dbtp=-2,
            duration_ms=request.duration_ms,
            placed_ms=[1_400] * len(request.clips),
            voice=await self._cache.ref(request.output_prefix, voice, request, "flac", "audio/flac"),
        )
        yield mixer.MixResponse(result=result)

    async def Mux(self, request: mixer.MuxRequest, _: object) -> AsyncIterator[mixer.MuxResponse]:
        await self.script.enter("Mux", request)
        media = await self._cache.ref(request.output_prefix, "mux", request, "mp4", "video/mp4")
        yield mixer.MuxResponse(result=mixer.MuxResult(media=media, info=self._info()))


def register_stages(
    server: grpc.aio.Server, script: Script, storage: Storage, wrap: Callable[[Any], Any] = lambda servicer: servicer
) -> None:
    """Adds the four stages to a server."""
    cache = Cache(storage)
    asr_grpc.add_AsrServiceServicer_to_server(wrap(Asr(script, cache)), server)
    translate_grpc.add_TranslateServiceServicer_to_server(wrap(instant.Translate(script)), server)
    tts_grpc.add_TtsServiceServicer_to_server(wrap(Tts(script, cache)), server)
    mixer_grpc.add_MixerServiceServicer_to_server(wrap(Mixer(script, cache)), server)


class _Pointed:
    """Stands for a servicer: each call has its two points, `METHOD[STEP]:before` and `:after`."""

    def __init__(self, servicer: Any, points: CrashPoints) -> None:
        self._servicer, self._points = servicer, points

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._servicer, method)
        if method in ("Synthesize", "ListVoices", "ListEngines"):

            async def unary(request: Any, context: Any) -> Any:
                return await self._points.around([self._effect(method, request)], lambda: found(request, context))

            return unary
        if method == "SynthesizeLines":
            # Its lines come through here one by one, as calls of Synthesize.
            lines: Any = type(self._servicer).SynthesizeLines
            return lambda request, context: lines(self, request, context)

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            async def work() -> list[Any]:
                return [message async for message in found(request, context)]

            for message in await self._points.around([self._effect(method, request)], work):
                yield message

        return stream

    def _effect(self, method: str, request: Any) -> str:
        # A request for the engines names no language, so its step is known by the service alone.
        step = type(self._servicer).__name__.lower() if method == "ListEngines" else step_of(method, request)
        return f"{method}[{step}]"


def step_of(method: str, request: Any) -> str:
    """The key of the step that makes a call."""
    if method in _ONCE:
        return _ONCE[method]
    key: str = _EACH[method](request)
    return key


_ONCE = {
    "Probe": "probe",
    "ExtractAudio": "extract",
    "DetectSpeech": "detect",
    "Diarize": "diarize",
    "Separate": "separate",
    "Thumbnail": "thumbnail",
}
_EACH: dict[str, Callable[[Any], str]] = {
    "Transcribe": lambda request: f"transcribe:{_chunk(request.regions[0].start_ms // LINE_MS)}",
    "Translate": lambda request: f"translate:{request.target_language}:{request.segments[0].id.split('.')[0]}",
    "Summarize": lambda request: f"terms:{request.target_language}",
    "ListVoices": lambda request: f"voices:{request.language}",
    "Synthesize": lambda request: f"speak:{request.language}:{_line(int(request.text.split()[-1].rstrip('.')))}",
    "Mix": lambda request: f"mix:{_second_part(request.clips[0].audio)}",
    "Mux": lambda request: f"mux:{request.tracks[0].language}",
    "Measure": lambda request: f"measure:{_second_part(request.voice)}",
}


def _second_part(ref: ObjectRef) -> str:
    """The language in the names of speech and voice stems."""
    return ref.uri.rpartition("/")[2].split("-")[1]


def _chunk(line: int) -> int:
    return line // LINES_PER_CHUNK


def _line(line: int) -> str:
    return f"{_chunk(line)}.{line % LINES_PER_CHUNK}"


async def run_stages(points: CrashPoints, segments: int) -> None:
    """A process with all four stages, set up by the environment as each of them is."""
    storage, script = open_storage(StorageSettings()), Script(segments=segments, summary=True)

    def register(server: grpc.aio.Server) -> None:
        register_stages(server, script, storage, lambda servicer: _Pointed(servicer, points))

    await serve(GrpcServerSettings(), "stages", register, services=ACCESS, on_close=(storage.close,))
