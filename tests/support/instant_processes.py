"""A stage that takes no time, as a process: `python -m tests.support.instant_processes asr|translate|tts|mixer`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from onevoice.asr.v1 import asr_service_pb2 as asr
from onevoice.asr.v1 import asr_service_pb2_grpc as asr_grpc
from onevoice.common.v1.engine_pb2 import Engine
from onevoice.mixer.v1 import mixer_service_pb2_grpc as mixer_grpc
from onevoice.translate.v1 import translate_service_pb2 as translate
from onevoice.translate.v1 import translate_service_pb2_grpc as translate_grpc
from onevoice.tts.v1 import tts_service_pb2 as tts
from onevoice.tts.v1 import tts_service_pb2_grpc as tts_grpc
from onevoice_kit.grpc.server import serve
from onevoice_kit.settings import GrpcServerSettings
from onevoice_kit.telemetry.setup import setup
from tests.support.access import ACCESS

from . import instant_stages as instant
from .instant_stages import Script

SEGMENTS = "INSTANT_SEGMENTS"
"""Environment variable: lines of every source."""
SOURCE, TARGETS = "en", ("es", "ca")


class Asr(instant.Asr):
    """Recognizes English."""

    async def ListEngines(self, _request: asr.ListEnginesRequest, _: object) -> asr.ListEnginesResponse:
        return asr.ListEnginesResponse(transcription=[_engine(SOURCE)], diarization=[_engine(SOURCE)])


class Translate(instant.Translate):
    """Translates to Spanish and Catalan."""

    async def ListEngines(self, _request: translate.ListEnginesRequest, _: object) -> translate.ListEnginesResponse:
        pairs = [translate.LanguagePair(source=SOURCE, target=target) for target in TARGETS]
        return translate.ListEnginesResponse(engines=[translate.TranslationEngine(engine=_engine(SOURCE), pairs=pairs)])


class Tts(instant.Tts):
    """Speaks both."""

    async def ListEngines(self, _request: tts.ListEnginesRequest, _: object) -> tts.ListEnginesResponse:
        return tts.ListEnginesResponse(engines=[_engine(*TARGETS)])


def _engine(*languages: str) -> Engine:
    return Engine(name="instant", model="none", version="1", languages=languages, available=True)


_ADD: Mapping[str, tuple[str, Callable[[Script, grpc.aio.Server], Any]]] = {
    "asr": (
        "onevoice.asr.v1.AsrService",
        lambda script, server: asr_grpc.add_AsrServiceServicer_to_server(Asr(script), server),
    ),
    "translate": (
        "onevoice.translate.v1.TranslateService",
        lambda script, server: translate_grpc.add_TranslateServiceServicer_to_server(Translate(script), server),
    ),
    "tts": (
        "onevoice.tts.v1.TtsService",
        lambda script, server: tts_grpc.add_TtsServiceServicer_to_server(Tts(script), server),
    ),
    "mixer": (
        "onevoice.mixer.v1.MixerService",
        lambda script, server: mixer_grpc.add_MixerServiceServicer_to_server(instant.Mixer(script), server),
    ),
}


async def main(name: str) -> None:
    """Serves one stage as its own `main` would."""
    settings = GrpcServerSettings()
    setup(settings, name)
    full_name, add = _ADD[name]
    # The requests are of no interest here, and would fill the memory.
    script = Script(segments=int(os.environ.get(SEGMENTS, "1")), calls=deque(maxlen=0))  # type: ignore[arg-type]
    await serve(settings, name, lambda server: add(script, server), services={full_name: ACCESS[full_name]})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
