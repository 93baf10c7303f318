"""Callers are identified, and each method accepts the callers of its table."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

import grpc
import pytest

from onevoice.asr.v1 import asr_service_pb2
from onevoice.tts.v1 import tts_service_pb2, tts_service_pb2_grpc
from onevoice_kit.errors import PreconditionFailed, Unavailable
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.identity import (
    CALLER_KEY,
    TOKEN_KEY,
    Calling,
    Tokens,
    caller_key,
    derived_keys,
    identification,
    process_keys,
)
from onevoice_kit.grpc.server import GrpcServer
from onevoice_kit.settings import ClientSettings, GrpcServerSettings
from tests.support.certificates import Authority

OLD, NEW = "old-secret-" + "o" * 32, "new-secret-" + "n" * 32
METHOD = "/onevoice.tts.v1.TtsService/Synthesize"
REQUEST = tts_service_pb2.SynthesizeRequest(voice="heard")


def client(secrets: str) -> ClientSettings:
    return ClientSettings(grpc_shared_secrets=secrets)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    """Status on the wire, and reason of the error that the client raises."""
    with pytest.raises(Unavailable) as caught:
        await call
    cause = caught.value.__cause__
    assert isinstance(cause, grpc.aio.AioRpcError)
    return cause.code(), caught.value.reason


async def sent_with(address: str, token: str, request: Any = REQUEST, caller: str = "tests") -> str:
    """The call as a foreign program makes it, with metadata of its own."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = tts_service_pb2_grpc.TtsServiceStub(channel)
        metadata = ((CALLER_KEY, caller), (TOKEN_KEY, token))
        try:
            return (await stub.Synthesize(request, timeout=10, metadata=metadata)).voice
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"


def token(at: float, secret: str = NEW, **facts: Any) -> str:
    calling = {"caller": "tests", "method": METHOD, "scope": "", "request": REQUEST.SerializeToString()} | facts
    return dict(Tokens(derived_keys([secret.encode()]), clock=lambda: at).metadata(Calling(**calling)))[TOKEN_KEY]


async def test_a_caller_that_proves_its_name_is_served(open_stage):
    async with open_stage(client=client(NEW), grpc_shared_secrets=NEW) as stage:
        assert (await stage.tts.Synthesize(REQUEST, timeout=10)).voice == "heard"


async def test_streams_are_proven_too(open_stage):
    async with open_stage(client=client(NEW), grpc_shared_secrets=NEW) as stage:
        call = stage.asr.DetectSpeech(asr_service_pb2.DetectSpeechRequest(), timeout=10)
        assert [message.WhichOneof("event") async for message in call] == ["result"]


async def test_a_caller_without_a_token_is_refused(open_stage):
    async with open_stage(grpc_shared_secrets=NEW) as stage:
        refused = await refusal(stage.tts.Synthesize(REQUEST, timeout=10))
    assert refused == (grpc.StatusCode.UNAUTHENTICATED, "caller_unidentified")


async def test_a_caller_with_another_secret_is_refused(open_stage):
    async with open_stage(client=client(OLD), grpc_shared_secrets=NEW) as stage:
        refused = await refusal(stage.tts.Synthesize(REQUEST, timeout=10))
    assert refused == (grpc.StatusCode.UNAUTHENTICATED, "caller_token_invalid")


async def test_a_stream_is_refused_to_a_caller_that_its_method_does_not_name(open_stage):
    async with open_stage(client=client(NEW), caller="stranger", grpc_shared_secrets=NEW) as stage:
        refused = await refusal(anext(aiter(stage.asr.DetectSpeech(asr_service_pb2.DetectSpeechRequest(), timeout=10))))
    assert refused == (grpc.StatusCode.PERMISSION_DENIED, "caller_not_allowed")


async def test_a_known_caller_may_use_only_methods_that_name_it(open_stage):
    async with open_stage(client=client(NEW), caller="stranger", grpc_shared_secrets=NEW) as stage:
        refused = await refusal(stage.tts.Synthesize(REQUEST, timeout=10))
    assert refused == (grpc.StatusCode.PERMISSION_DENIED, "caller_not_allowed")


@pytest.mark.parametrize("secret", ["", NEW])
async def test_a_method_that_is_not_declared_is_refused_to_everybody(open_stage, secret):
    async with open_stage(client=client(NEW), grpc_shared_secrets=secret) as stage:
        undeclared = GrpcServer(
            GrpcServerSettings(grpc_port=0, grpc_shared_secrets=secret), "undeclared", stage.register, services={}
        )
        await undeclared.start()
        try:
            async with connect(undeclared.address, client(NEW), caller="tests") as channel:
                stub = tts_service_pb2_grpc.TtsServiceStub(channel)
                refused = await refusal(stub.Synthesize(REQUEST, timeout=10))
        finally:
            await undeclared.stop(0)
    assert refused == (grpc.StatusCode.PERMISSION_DENIED, "method_not_declared")


async def test_secrets_are_rotated_without_a_refused_call(open_stage):
    steps = [(OLD, f"{OLD},{NEW}"), (f"{OLD},{NEW}", OLD), (f"{NEW},{OLD}", f"{OLD},{NEW}"), (NEW, f"{NEW},{OLD}")]
    for ours, theirs in steps:
        async with open_stage(client=client(ours), grpc_shared_secrets=theirs) as stage:
            assert (await stage.tts.Synthesize(REQUEST, timeout=10)).voice == "heard"
    async with open_stage(client=client(OLD), grpc_shared_secrets=NEW) as stage:
        assert (await refusal(stage.tts.Synthesize(REQUEST, timeout=10)))[1] == "caller_token_invalid"


async def test_a_token_serves_its_own_request_within_its_time_and_nothing_else(open_stage):
    now = time.time()
    other = tts_service_pb2.SynthesizeRequest(voice="other")
    async with open_stage(grpc_shared_secrets=NEW, grpc_token_window_s=60) as stage:
        address = stage.server.address
        assert await sent_with(address, token(now)) == "heard"
        invalid = "UNAUTHENTICATED: The caller's token is not valid."
        assert await sent_with(address, token(now), other) == invalid
        assert await sent_with(address, token(now), caller="gateway") == invalid
        assert await sent_with(address, token(now, method="/onevoice.tts.v1.TtsService/ListVoices")) == invalid
        assert await sent_with(address, token(now, scope="users/ann")) == invalid
        for at in (now - 3600, now + 3600):
            assert (await sent_with(address, token(at))).startswith("UNAUTHENTICATED: The caller's token has expired")


TTS, ASR = "onevoice.tts.v1.TtsService", "onevoice.asr.v1.AsrService"


def keys(served: str, caller: str, called: list[str], *secrets: str) -> dict[str, Any]:
    """The settings of a process that has keys in place of the secrets."""
    derived = process_keys([secret.encode() for secret in secrets or (NEW,)], served, caller, called)
    return {name.lower(): value for name, value in derived.items()}


async def result(open_stage: Any, server: dict[str, Any], holder: dict[str, Any], caller: str) -> str:
    """The response to a call of the holder of these settings, or the reason of its refusal."""
    settings = ClientSettings(**holder)
    async with open_stage(client=settings, caller=caller, **server) as stage:
        try:
            return str((await stage.tts.Synthesize(REQUEST, timeout=10)).voice)
        except Unavailable as error:
            return error.reason


@pytest.mark.parametrize(
    ("holder", "caller", "expected"),
    [
        (keys("onevoice.x", "tests", [TTS]), "tests", "heard"),
        (keys("onevoice.x", "tests", [TTS]), "gateway", "caller_token_invalid"),
        (keys("onevoice.x", "stranger", [TTS]), "tests", "caller_token_invalid"),
        (keys("onevoice.x", "stranger", [TTS]), "stranger", "caller_not_allowed"),
        (keys("onevoice.x", "tests", [ASR]), "tests", "caller_unidentified"),
        (keys(ASR, "asr", []), "tests", "caller_unidentified"),
    ],
    ids=["its own", "another name", "another's key", "not in the table", "another service", "a stage has none"],
)
async def test_a_key_calls_one_service_under_one_name_and_nothing_else(open_stage, holder, caller, expected):
    assert await result(open_stage, keys(TTS, "tts", []), holder, caller) == expected


async def test_a_stolen_server_key_forges_calls_to_its_own_service_only(open_stage):
    stolen = bytes.fromhex(keys(ASR, "asr", [])["grpc_server_keys"].partition("=")[2])
    forged = {"grpc_caller_keys": f"{TTS}={caller_key(stolen, 'tests').hex()}"}
    assert await result(open_stage, keys(TTS, "tts", []), forged, "tests") == "caller_token_invalid"


async def test_processes_with_keys_and_with_the_secret_accept_each_other_and_keys_rotate(open_stage):
    secret, server = {"grpc_shared_secrets": NEW}, keys(TTS, "tts", [])
    assert await result(open_stage, secret, keys("onevoice.x", "tests", [TTS]), "tests") == "heard"
    assert await result(open_stage, server, secret, "tests") == "heard"
    both = keys(TTS, "tts", [], OLD, NEW)
    for one in (OLD, NEW):
        assert await result(open_stage, both, keys("onevoice.x", "tests", [TTS], one), "tests") == "heard"


@pytest.mark.parametrize("setting", ["ab" * 32, "x=abab", f"={'ab' * 32}", f"x={'zz' * 32}"])
def test_an_unreadable_key_is_refused_and_not_shown(setting):
    with pytest.raises(PreconditionFailed) as caught:
        identification(GrpcServerSettings(grpc_server_keys=setting))
    assert caught.value.reason == "key_unreadable"
    assert setting.strip("x=") not in str(caught.value)


@pytest.mark.parametrize("garbage", ["", "v1", "v1..", "v1.0.", "v2.0.aa", "v1.x.y", "v1.9.9.9", "."])
async def test_garbage_is_no_token(open_stage, garbage):
    async with open_stage(grpc_shared_secrets=NEW) as stage:
        assert (await sent_with(stage.server.address, garbage)).startswith("UNAUTHENTICATED: ")


async def test_certificates_name_their_callers(open_stage, authority):
    async with open_stage(client=authority.client("tests"), **authority.server()) as stage:
        assert (await stage.tts.Synthesize(REQUEST, timeout=10)).voice == "heard"


async def test_a_certificate_with_another_name_is_refused(open_stage, authority):
    async with open_stage(client=authority.client("stranger"), **authority.server()) as stage:
        refused = await refusal(stage.tts.Synthesize(REQUEST, timeout=10))
    assert refused == (grpc.StatusCode.PERMISSION_DENIED, "caller_not_allowed")


async def test_a_certificate_of_another_authority_gets_no_connection(open_stage, authority, tmp_path):
    folder = tmp_path / "foreign"
    folder.mkdir()
    foreign = Authority(folder).client("tests")
    trusting = foreign.model_copy(update={"grpc_client_tls_ca": authority.cert})
    async with open_stage(client=trusting, **authority.server()) as stage:
        refused = await refusal(stage.tts.Synthesize(REQUEST, timeout=10))
    assert refused == (grpc.StatusCode.UNAVAILABLE, "service_unreachable")


async def test_with_certificates_a_name_in_metadata_means_nothing(open_stage, authority):
    async with open_stage(client=authority.client("stranger"), **authority.server()) as stage:
        call = stage.tts.Synthesize(REQUEST, timeout=10, metadata=((CALLER_KEY, "tests"),))
        assert (await refusal(call))[1] == "caller_not_allowed"


async def test_no_secret_and_no_token_is_ever_logged(open_stage, caplog):
    with caplog.at_level(logging.DEBUG):
        async with open_stage(client=client(OLD), grpc_shared_secrets=NEW) as stage:
            await refusal(stage.tts.Synthesize(REQUEST, timeout=10))
        async with open_stage(client=client(NEW), grpc_shared_secrets=NEW) as stage:
            await stage.tts.Synthesize(REQUEST, timeout=10)
    written = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "caller" in written
    assert not re.search(r"v1\.\d", written)
    assert OLD not in written
    assert NEW not in written


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "onevoice.example"])
def test_outside_loopback_a_server_without_identification_refuses_to_start(host):
    with pytest.raises(PreconditionFailed, match="Set GRPC_SHARED_SECRETS") as caught:
        identification(GrpcServerSettings(grpc_host=host))
    assert caught.value.reason == "callers_unidentified"


def test_in_production_a_server_on_loopback_identifies_its_callers_too():
    with pytest.raises(PreconditionFailed, match="would trust every caller"):
        identification(GrpcServerSettings(grpc_host="127.0.0.1", environment="production"))


async def test_a_refused_start_leaves_no_open_port(unused_tcp_port):
    server = GrpcServer(
        GrpcServerSettings(grpc_host="0.0.0.0", grpc_port=unused_tcp_port), "s", lambda _: None, services={}
    )
    with pytest.raises(PreconditionFailed):
        await server.start()
    async with connect(f"127.0.0.1:{unused_tcp_port}", client("")) as channel:
        stub = tts_service_pb2_grpc.TtsServiceStub(channel)
        assert (await refusal(stub.Synthesize(REQUEST, timeout=5)))[1] == "service_unreachable"


def test_the_default_is_loopback_and_a_short_secret_is_refused():
    assert GrpcServerSettings().grpc_host == "127.0.0.1"
    with pytest.raises(PreconditionFailed) as caught:
        identification(GrpcServerSettings(grpc_shared_secrets=f"{NEW},short"))
    assert caught.value.reason == "secret_too_short"
    assert "short" not in str(GrpcServerSettings(grpc_shared_secrets="short"))
