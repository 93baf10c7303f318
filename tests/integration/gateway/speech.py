"""A stand-in for speech synthesis: three voices, of which one has a sample, one a recording, and one neither."""

from __future__ import annotations

from onevoice.common.v1 import engine_pb2, media_pb2
from onevoice.tts.v1 import tts_service_pb2 as tts_pb
from onevoice.tts.v1 import tts_service_pb2_grpc as tts_grpc
from onevoice_kit.errors import NotFound

SAMPLE_KEY = "shared/samples/tts-1.wav"
RECORDING = "https://vendor.example/ca.mp3"


class Tts(tts_grpc.TtsServiceServicer):
    """Answers for the catalogue."""

    async def ListEngines(self, request, context):
        engine = engine_pb2.Engine(name="espeak", version="1.51", languages=["es", "ca", "fr"], available=True)
        return tts_pb.ListEnginesResponse(engines=[engine])

    async def ListVoices(self, request, context):
        female = tts_pb.VOICE_GENDER_FEMALE
        voices = [
            tts_pb.Voice(
                id=f"espeak:{language}",
                name=language,
                language=language,
                gender=female,
                engine="espeak",
                languages=[language],
                has_sample=language != "fr",
            )
            for language in ("es", "ca", "fr")
        ]
        return tts_pb.ListVoicesResponse(voices=voices)

    async def SampleVoice(self, request, context):
        if request.voice == "espeak:es":
            audio = media_pb2.ObjectRef(uri=f"file:///{SAMPLE_KEY}", sha256="0" * 64, content_type="audio/wav")
            return tts_pb.SampleVoiceResponse(audio=audio)
        if request.voice == "espeak:ca":
            return tts_pb.SampleVoiceResponse(url=RECORDING)
        raise NotFound("The voice has no sample.", reason="no_sample")
