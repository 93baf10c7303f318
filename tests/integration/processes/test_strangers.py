"""The real service processes refuse strangers, objects of other users, and a bind that would trust everyone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from onevoice.asr.v1 import asr_service_pb2, asr_service_pb2_grpc
from onevoice.common.v1.media_pb2 import ObjectRef
from onevoice.mixer.v1 import mixer_service_pb2, mixer_service_pb2_grpc
from onevoice.tts.v1 import tts_service_pb2, tts_service_pb2_grpc
from onevoice_kit.errors import Forbidden, OneVoiceError, Unavailable
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.context import object_scope
from onevoice_kit.settings import ClientSettings

SECRET = "the-secret-of-this-deployment-" + "x" * 8
WORDS = ObjectRef(uri="file:///users/bob/jobs/1/words.wav", sha256="0" * 64, size=1, content_type="audio/wav")
TIMEOUT_S = 30.0

Attack = Callable[[grpc.aio.Channel], Awaitable[Any]]


async def _read(call: Any) -> Any:
    return [message async for message in call]


def _listen(channel: grpc.aio.Channel) -> Awaitable[Any]:
    stub = asr_service_pb2_grpc.AsrServiceStub(channel)
    return _read(stub.DetectSpeech(asr_service_pb2.DetectSpeechRequest(audio=WORDS), timeout=TIMEOUT_S))


def _probe(channel: grpc.aio.Channel) -> Awaitable[Any]:
    stub = mixer_service_pb2_grpc.MixerServiceStub(channel)
    return _read(stub.Probe(mixer_service_pb2.ProbeRequest(source=WORDS), timeout=TIMEOUT_S))


def _overwrite(channel: grpc.aio.Channel) -> Awaitable[Any]:
    stub = tts_service_pb2_grpc.TtsServiceStub(channel)
    request = tts_service_pb2.SynthesizeRequest(text="hello", language="en", output_prefix="users/bob/jobs/1/tts")
    call: Awaitable[Any] = stub.Synthesize(request, timeout=TIMEOUT_S)
    return call


ATTACKS: dict[str, Attack] = {"asr": _listen, "mixer": _probe, "tts": _overwrite}
"""By service: a call that reads or writes what belongs to the user bob."""


def environment(**settings: str) -> dict[str, str]:
    path = os.pathsep.join(path for path in sys.path if path)
    return os.environ | {"PYTHONPATH": path, "GRPC_PORT": "0", "ASR_WORKERS": "1"} | settings


@asynccontextmanager
async def running(service: str, **settings: str) -> AsyncIterator[str]:
    """The address of a service process that is ready."""
    pipe, quiet = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"services.{service}", stdout=pipe, stderr=quiet, env=environment(**settings)
    )
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            record = json.loads(line)
            if record["message"] == f"{service} is ready":
                yield f"127.0.0.1:{record['port']}"
                return
        raise AssertionError(f"{service} ended before it was ready")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def refusal(address: str, attack: Attack, caller: str, secret: str, scope: str) -> OneVoiceError:
    settings = ClientSettings(grpc_shared_secrets=secret, grpc_client_max_attempts=1)
    async with connect(address, settings, caller=caller) as channel:
        with object_scope(scope), pytest.raises(OneVoiceError) as caught:
            await attack(channel)
    return caught.value


@pytest.mark.parametrize("service", ATTACKS)
async def test_a_stage_process_gives_nothing_of_another_user_away(service, tmp_path):
    async with running(service, GRPC_SHARED_SECRETS=SECRET, STORAGE_DIR=str(tmp_path)) as address:
        attack = ATTACKS[service]
        stranger = await refusal(address, attack, "", "", "users/bob")
        stage = await refusal(address, attack, "translate", SECRET, "users/bob")
        foreign = await refusal(address, attack, "orchestrator", SECRET, "users/ann")
    assert (type(stranger), stranger.reason) == (Unavailable, "caller_unidentified")
    assert (type(stage), stage.reason) == (Unavailable, "caller_not_allowed")
    assert (type(foreign), foreign.reason) == (Forbidden, "object_out_of_scope")
    assert list(tmp_path.rglob("*.wav")) == []


@pytest.mark.parametrize("service", ["asr", "translate", "tts", "mixer", "billing"])
async def test_a_service_bound_to_every_interface_without_identification_does_not_start(service):
    pipe = asyncio.subprocess.PIPE
    bare = environment(GRPC_HOST="0.0.0.0", DATABASE_URL="postgresql://127.0.0.1:1/none")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"services.{service}", stdout=pipe, stderr=pipe, env=bare
    )
    _, errors = await process.communicate()
    assert process.returncode not in (0, None)
    assert b"PreconditionFailed: A server on 0.0.0.0 would trust every caller. Set GRPC_SHARED_SECRETS" in errors
