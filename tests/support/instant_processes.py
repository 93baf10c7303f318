"""A stage that takes no time, as a process: `python -m tests.support.instant_processes asr|translate|tts|mixer`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from onevoice.asr.v1 import asr_service_pb2_grpc as asr_grpc
from onevoice.mixer.v1 import mixer_service_pb2_grpc as mixer_grpc
from onevoice.translate.v1 import translate_service_pb2_grpc as translate_grpc
from onevoice.tts.v1 import tts_service_pb2_grpc as tts_grpc
from onevoice_kit.grpc.server import serve
from onevoice_kit.settings import GrpcServerSettings
from onevoice_kit.telemetry.setup import setup
from tests.support.access import ACCESS

from . import instant_stages as instant
from .instant_stages import Script

SEGMENTS = "INSTANT_SEGMENTS"
"""Environment variable: lines of every source."""

_ADD: Mapping[str, tuple[str, Callable[[Script, grpc.aio.Server], Any]]] = {
    "asr": (
        "onevoice.asr.v1.AsrService",
        lambda script, server: asr_grpc.add_AsrServiceServicer_to_server(instant.Asr(script), server),
    ),
    "translate": (
        "onevoice.translate.v1.TranslateService",
        lambda script, server: translate_grpc.add_TranslateServiceServicer_to_server(instant.Translate(script), server),
    ),
    "tts": (
        "onevoice.tts.v1.TtsService",
        lambda script, server: tts_grpc.add_TtsServiceServicer_to_server(instant.Tts(script), server),
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
