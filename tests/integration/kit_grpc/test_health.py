"""Readiness is per service, liveness is the empty name."""

from __future__ import annotations

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from onevoice_kit.errors import Internal, NotFound

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
TTS = "onevoice.tts.v1.TtsService"


async def check(stage, service: str):
    stub = health_pb2_grpc.HealthStub(stage.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)).status


@pytest.mark.parametrize("service", ["", TTS, "onevoice.asr.v1.AsrService"])
async def test_a_started_server_is_alive_and_ready(open_stage, service):
    async with open_stage() as stage:
        assert await check(stage, service) == SERVING


async def test_an_unknown_service_is_not_found(open_stage):
    async with open_stage() as stage:
        with pytest.raises(NotFound):
            await check(stage, "onevoice.nothing.v1.Nothing")


async def test_a_service_can_be_alive_and_not_ready(open_stage):
    async with open_stage() as stage:
        await stage.server.set_ready(False)
        assert (await check(stage, TTS), await check(stage, "")) == (NOT_SERVING, SERVING)
        await stage.server.set_ready(True)
        assert await check(stage, TTS) == SERVING


async def test_a_watcher_sees_the_drain_and_does_not_hold_it_up(open_stage):
    async with open_stage() as stage:
        watch = health_pb2_grpc.HealthStub(stage.channel).Watch(health_pb2.HealthCheckRequest(service=TTS), timeout=60)
        seen = [(await anext(watch)).status]
        await stage.server.stop(60)
        seen += [message.status async for message in watch]
    assert seen == [SERVING, NOT_SERVING]


@pytest.mark.parametrize("elsewhere", [{"environment": "production"}, {"grpc_host": "0.0.0.0"}])
async def test_reflection_is_for_development_on_loopback_only(open_stage, elsewhere):
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    async def listed(stage) -> list[str]:
        stub = reflection_pb2_grpc.ServerReflectionStub(stage.channel)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=10)
        return [service.name async for answer in call for service in answer.list_services_response.service]

    async with open_stage() as development:
        assert TTS in await listed(development)
    async with open_stage(grpc_shared_secrets="s" * 32, **elsewhere) as deployed:
        with pytest.raises(Internal) as caught:
            await listed(deployed)
    assert caught.value.reason == "unimplemented"
