"""A stage service as a process, for the tests that need signals: `python stage_process.py [fail]`."""

from __future__ import annotations

import asyncio
import logging
import sys

import grpc

from onevoice.tts.v1 import tts_service_pb2, tts_service_pb2_grpc
from onevoice_kit.grpc.server import serve
from onevoice_kit.settings import GrpcServerSettings
from onevoice_kit.telemetry import setup

log = logging.getLogger("stage")


class Tts(tts_service_pb2_grpc.TtsServiceServicer):
    """Answers only after a drain has begun: it is the drain that cancels the background work."""

    def __init__(self) -> None:
        self.draining = asyncio.Event()

    async def Synthesize(self, request, context):
        log.info("taken up")
        await self.draining.wait()
        return tts_service_pb2.SynthesizeResponse(voice="finished")

    async def ListVoices(self, request, context):
        return tts_service_pb2.ListVoicesResponse()

    async def ListEngines(self, request, context):
        return tts_service_pb2.ListEnginesResponse()


async def main(fail: bool) -> None:
    settings = GrpcServerSettings(grpc_host="127.0.0.1", grpc_port=0)
    setup(settings, "stage")
    tts = Tts()

    async def background() -> None:
        if fail:
            raise RuntimeError("the background work broke")
        try:
            await asyncio.Event().wait()
        finally:
            tts.draining.set()

    async def close() -> None:
        log.info("closed")

    async def close_badly() -> None:
        raise OSError("cannot close")

    def register(server: grpc.aio.Server) -> None:
        tts_service_pb2_grpc.add_TtsServiceServicer_to_server(tts, server)

    services = {"onevoice.tts.v1.TtsService": {"Synthesize": {"tests"}}}
    await serve(settings, "stage", register, services=services, background=[background], on_close=[close, close_badly])


asyncio.run(main(sys.argv[1:] == ["fail"]))
