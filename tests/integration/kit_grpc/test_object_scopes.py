"""A call names objects of this deployment's storage only, and of the one owner it is made for."""

from __future__ import annotations

from typing import Any

import pytest

from onevoice.asr.v1 import asr_service_pb2
from onevoice.common.v1.media_pb2 import ObjectRef
from onevoice.mixer.v1 import mixer_service_pb2 as mixer_pb
from onevoice.tts.v1 import tts_service_pb2
from onevoice_kit.errors import Forbidden, InvalidInput, OneVoiceError
from onevoice_kit.grpc.context import object_scope
from onevoice_kit.grpc.layers import ServedCall
from onevoice_kit.grpc.objects import Objects
from onevoice_kit.settings import ClientSettings, StorageSettings
from onevoice_kit.storage import open_storage
from services.tts.samples import PREFIX

SECRET = "a-secret-of-enough-characters-" + "x" * 32
ANN, BOB = "users/ann", "users/bob"


def ref(key: str, scheme: str = "file:///") -> ObjectRef:
    return ObjectRef(uri=f"{scheme}{key}", sha256="0" * 64, size=1, content_type="audio/wav")


def detect(key: str, **options: Any) -> asr_service_pb2.DetectSpeechRequest:
    return asr_service_pb2.DetectSpeechRequest(audio=ref(key, **options))


@pytest.fixture
def objects(tmp_path) -> Objects:
    return Objects(open_storage(StorageSettings(storage_dir=tmp_path)), depth=2)


@pytest.fixture
def identified(open_stage, objects):
    """A stage that identifies its callers, and a client that proves its name."""
    return open_stage(client=ClientSettings(grpc_shared_secrets=SECRET), objects=objects, grpc_shared_secrets=SECRET)


async def refusal(stage: Any, request: asr_service_pb2.DetectSpeechRequest, scope: str) -> str:
    with object_scope(scope), pytest.raises(OneVoiceError) as caught:
        _ = [message async for message in stage.asr.DetectSpeech(request, timeout=10)]
    assert isinstance(caught.value, Forbidden | InvalidInput)
    return caught.value.reason


async def test_a_call_reads_the_objects_of_its_scope(identified):
    async with identified as stage:
        with object_scope(ANN):
            call = stage.asr.DetectSpeech(detect(f"{ANN}/jobs/1/a.wav"), timeout=10)
            assert [message.WhichOneof("event") async for message in call] == ["result"]


async def test_another_users_words_are_not_read(identified):
    async with identified as stage:
        assert await refusal(stage, detect(f"{BOB}/jobs/1/words.json"), ANN) == "object_out_of_scope"


@pytest.mark.parametrize("scope", ["", "users", "users/an", "users/ann/jobs", "users/ann/", "*"])
async def test_a_scope_is_the_whole_owner_and_nothing_else(identified, scope):
    async with identified as stage:
        assert await refusal(stage, detect(f"{ANN}/jobs/1/a.wav"), scope) == "object_out_of_scope"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("file:///users/ann/../bob/words.json", "invalid_key"),
        ("file:///users/ann/./../bob/words.json", "invalid_key"),
        ("file:////etc/passwd", "invalid_key"),
        ("file:///users//ann/a.wav", "invalid_key"),
        ("file:///users/ann/%2e%2e/bob", "invalid_key"),
        ("s3://another-bucket/users/ann/a.wav", "foreign_uri"),
        ("https://storage.example/users/ann/a.wav", "foreign_uri"),
        ("users/ann/a.wav", "foreign_uri"),
    ],
)
async def test_an_object_elsewhere_or_a_path_that_climbs_is_refused(identified, uri, reason):
    async with identified as stage:
        assert await refusal(stage, detect("", scheme=uri), ANN) == reason


async def test_results_are_stored_within_the_scope_only(identified):
    async with identified as stage:
        with object_scope(ANN):
            for prefix, reason in ((f"{BOB}/tts", "object_out_of_scope"), ("users/ann/../bob", "invalid_key")):
                request = tts_service_pb2.SynthesizeRequest(text="a", output_prefix=prefix)
                with pytest.raises(OneVoiceError) as caught:
                    await stage.tts.Synthesize(request, timeout=10)
                assert caught.value.reason == reason
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(output_prefix=f"{ANN}/tts"), timeout=10)


async def test_what_the_deployment_shares_is_outside_the_scope_of_every_user(identified):
    async with identified as stage:
        assert await refusal(stage, detect(f"{PREFIX}/a.wav"), ANN) == "object_out_of_scope"
        with object_scope(ANN), pytest.raises(OneVoiceError) as caught:
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(output_prefix=PREFIX), timeout=10)
        assert caught.value.reason == "object_out_of_scope"


async def test_where_callers_are_unidentified_all_objects_of_a_call_still_have_one_owner(open_stage, objects):
    async with open_stage(objects=objects) as stage:
        call = stage.asr.DetectSpeech(detect(f"{ANN}/jobs/1/a.wav"), timeout=10)
        assert [message.WhichOneof("event") async for message in call] == ["result"]
        assert await refusal(stage, detect(f"{BOB}/words.json"), ANN) == "object_out_of_scope"


def mix(**fields: Any) -> mixer_pb.MixRequest:
    whole: dict[str, Any] = {
        "background": ref(f"{ANN}/bg.wav"),
        "clips": [mixer_pb.Clip(audio=ref(f"{ANN}/clip.wav")) for _ in range(3)],
        "output_prefix": f"{ANN}/mixer",
    }
    return mixer_pb.MixRequest(**whole | fields)


@pytest.mark.parametrize(
    "request_",
    [
        mix(background=ref(f"{BOB}/bg.wav")),
        mix(clips=[mixer_pb.Clip(audio=ref(f"{ANN}/clip.wav")), mixer_pb.Clip(audio=ref(f"{BOB}/clip.wav"))]),
        mix(output_prefix=f"{BOB}/mixer"),
    ],
    ids=["reference", "reference in a list", "prefix"],
)
async def test_references_are_found_however_deep_they_are(objects, request_):
    async def entered(request: Any) -> None:
        call = ServedCall("/onevoice.mixer.v1.MixerService/Mix", {}, None, b"", bytes, request)  # type: ignore[arg-type]
        async with objects(call):
            pass

    await entered(mix())
    with pytest.raises(Forbidden) as caught:
        await entered(request_)
    assert caught.value.reason == "object_out_of_scope"
