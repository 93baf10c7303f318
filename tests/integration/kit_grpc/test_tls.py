"""Mutual TLS: both ends show a certificate of the same authority, or there is no call."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from onevoice.tts.v1 import tts_service_pb2, tts_service_pb2_grpc
from onevoice_kit.errors import PreconditionFailed, Unavailable
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.transport import client_credentials, server_credentials
from onevoice_kit.settings import ClientSettings, GrpcServerSettings
from onevoice_kit.testing.waiting import eventually
from tests.support.certificates import Authority

REQUEST = tts_service_pb2.SynthesizeRequest(voice="heard")


@pytest.fixture
def stage_with_tls(authority, open_stage):
    return open_stage(**authority.server())


def tls_files(settings: ClientSettings) -> list[Path]:
    files = (settings.grpc_client_tls_ca, settings.grpc_client_tls_cert, settings.grpc_client_tls_key)
    return [path for path in files if path is not None]


async def ask(address: str, settings: ClientSettings) -> str:
    async with connect(address, settings) as channel:
        stub = tts_service_pb2_grpc.TtsServiceStub(channel)
        return (await stub.Synthesize(REQUEST, timeout=20)).voice


async def test_a_client_with_a_certificate_of_the_authority_is_served(authority, stage_with_tls):
    async with stage_with_tls as stage:
        assert await ask(stage.server.address, authority.client("tests")) == "heard"


async def test_a_client_without_a_certificate_is_refused(authority, stage_with_tls):
    settings = ClientSettings(grpc_client_tls_ca=authority.cert)
    async with stage_with_tls as stage:
        with pytest.raises(Unavailable):
            await ask(stage.server.address, settings)


async def test_a_client_without_tls_is_refused(stage_with_tls):
    async with stage_with_tls as stage:
        with pytest.raises(Unavailable):
            await ask(stage.server.address, ClientSettings())


async def test_certificates_rotate_without_a_restart(authority, stage_with_tls, tmp_path):
    folder = tmp_path / "next"
    folder.mkdir()
    following = Authority(folder)
    async with stage_with_tls as stage:
        assert await ask(stage.server.address, authority.client("tests")) == "heard"
        for ours, theirs in zip(authority.server().values(), following.server().values(), strict=True):
            theirs.replace(ours)
        # The next authority's file replaced the first one's, so each client has to trust it where it is now.
        known = following.client("tests").model_copy(update={"grpc_client_tls_ca": authority.cert})
        assert await ask(stage.server.address, known) == "heard"
        old = authority.client("tests")
        with pytest.raises(Unavailable):
            await ask(stage.server.address, old)


async def test_a_channel_shows_its_new_certificates_without_a_restart(authority, open_stage, tmp_path):
    folder = tmp_path / "next"
    folder.mkdir()
    following = Authority(folder)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def speak(request, context):
        begun.set()
        await go_on.wait()
        return tts_service_pb2.SynthesizeResponse(voice="long")

    client = authority.client("tests")
    async with open_stage(client=client, speak=speak, **authority.server()) as stage:
        running = asyncio.ensure_future(stage.tts.Synthesize(REQUEST, timeout=60))
        await begun.wait()
        for ours, theirs in zip(tls_files(client), tls_files(following.client("tests")), strict=True):
            theirs.replace(ours)
        with pytest.raises(Unavailable):  # opened anew; this server trusts the first authority
            await stage.tts.ListVoices(tts_service_pb2.ListVoicesRequest(), timeout=20)
        replaced = following.server() | {"grpc_tls_client_ca": authority.cert}
        for ours, theirs in zip(authority.server().values(), replaced.values(), strict=True):
            if ours != theirs:
                theirs.replace(ours)

        async def served() -> bool:
            with suppress(Unavailable):
                await stage.tts.ListVoices(tts_service_pb2.ListVoicesRequest(), timeout=20)
                return True
            return False

        await eventually(served, 30)
        go_on.set()
        assert (await running).voice == "long"


async def test_a_channel_whose_certificates_become_unreadable_keeps_them(authority, open_stage):
    client = authority.client("tests")
    async with open_stage(client=client, **authority.server()) as stage:
        tls_files(client)[2].unlink()
        assert (await stage.tts.Synthesize(REQUEST, timeout=20)).voice == "heard"


async def test_certificates_that_become_unreadable_stay_as_they_were(authority, stage_with_tls):
    async with stage_with_tls as stage:
        (authority.folder / "server.key").unlink()
        assert await ask(stage.server.address, authority.client("tests")) == "heard"


def test_half_a_configuration_is_refused_at_the_start(authority, tmp_path):
    pair = authority.pair("server")
    with pytest.raises(PreconditionFailed) as server:
        server_credentials(GrpcServerSettings(grpc_tls_cert=pair.cert))
    with pytest.raises(PreconditionFailed) as client:
        client_credentials(ClientSettings(grpc_client_tls_cert=pair.cert, grpc_client_tls_key=pair.key))
    with pytest.raises(PreconditionFailed) as missing:
        server_credentials(GrpcServerSettings(grpc_tls_cert=pair.cert, grpc_tls_key=tmp_path / "none.key"))
    reasons = [caught.value.reason for caught in (server, client, missing)]
    assert reasons == ["tls_incomplete", "tls_incomplete", "tls_unreadable"]
