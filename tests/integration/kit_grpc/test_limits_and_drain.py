"""A server takes what it can work on, and ends without dropping what it has taken."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from onevoice.tts.v1 import tts_service_pb2
from onevoice_kit.errors import Busy, PreconditionFailed, Unavailable
from onevoice_kit.grpc.server import GrpcServer
from onevoice_kit.settings import GrpcServerSettings

REQUEST = tts_service_pb2.SynthesizeRequest()


class Gate:
    """A call that lasts until the test opens the gate."""

    def __init__(self) -> None:
        self.entered, self.open = asyncio.Event(), asyncio.Event()

    async def speak(self, request, context):
        self.entered.set()
        await self.open.wait()
        return tts_service_pb2.SynthesizeResponse(voice="finished")


async def asked(stage, timeout: float = 60):
    return await stage.tts.Synthesize(REQUEST, timeout=timeout)


async def test_a_full_service_answers_busy_with_a_time_and_stays_healthy(open_stage):
    gate = Gate()
    async with open_stage(speak=gate.speak, grpc_max_concurrent_rpcs=1) as stage:
        running = asyncio.create_task(asked(stage))
        await gate.entered.wait()
        with pytest.raises(Busy) as caught:
            await asked(stage)
        health = await health_pb2_grpc.HealthStub(stage.channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        gate.open.set()
        assert (await running).voice == "finished"
        assert (await asked(stage)).voice == "finished"
    assert (caught.value.reason, caught.value.retry_after) == ("too_many_calls", 1.0)
    assert health.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_drain_finishes_running_calls_and_refuses_new_ones(open_stage):
    gate = Gate()
    async with open_stage(speak=gate.speak) as stage:
        watch = health_pb2_grpc.HealthStub(stage.channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        running = asyncio.create_task(asked(stage))
        await gate.entered.wait()
        stopping = asyncio.create_task(stage.server.stop(60))
        assert [message.status async for message in watch] == [health_pb2.HealthCheckResponse.SERVING]
        with pytest.raises(Unavailable):
            await asked(stage)
        assert not stopping.done()
        gate.open.set()
        assert (await running).voice == "finished"
        await stopping


async def test_what_outlasts_the_grace_can_be_repeated_elsewhere(open_stage):
    gate = Gate()
    async with open_stage(speak=gate.speak) as stage:
        running = asyncio.create_task(asked(stage))
        await gate.entered.wait()
        await stage.server.stop(0.1)
        with pytest.raises(Unavailable) as caught:
            await running
    assert caught.value.retryable


async def test_a_call_outlives_the_age_of_its_connection(open_stage):
    gate = Gate()
    async with open_stage(speak=gate.speak, grpc_max_connection_age_s=1) as stage:
        running = asyncio.create_task(asked(stage))
        await gate.entered.wait()
        await stage.channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        gate.open.set()
        assert (await running).voice == "finished"
        assert (await asked(stage)).voice == "finished"


async def test_two_servers_on_one_port_are_refused(open_stage):
    async with open_stage() as stage:
        port = int(stage.server.address.rpartition(":")[2])
        settings = GrpcServerSettings(grpc_host="127.0.0.1", grpc_port=port)
        second = GrpcServer(settings, "second", lambda server: None, services={})
        with pytest.raises(PreconditionFailed) as caught:
            await second.start()
    assert caught.value.reason == "port_taken"
