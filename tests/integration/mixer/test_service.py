"""The mixer over gRPC: the whole way of a file, typed errors, progress, cancelling, and its own process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from onevoice.common.v1 import media_pb2
from onevoice.mixer.v1 import mixer_service_pb2 as pb
from onevoice.mixer.v1 import mixer_service_pb2_grpc as pb_grpc
from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import Busy, InvalidInput
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.converters import ref_from_proto, ref_to_proto
from onevoice_kit.grpc.server import GrpcServer
from onevoice_kit.grpc.streams import final_result
from onevoice_kit.settings import GrpcServerSettings
from onevoice_kit.testing.waiting import eventually
from services.mixer.servicer import ACCESS, SERVICE, MixerServicer, limit

TIMEOUT = 60
PREFIX = "users/u/jobs/j"


async def serving(use_cases, calls: Limit):
    servicer = MixerServicer(use_cases, calls, limit(2, 4))
    server = GrpcServer(
        GrpcServerSettings(grpc_host="127.0.0.1", grpc_port=0),
        "mixer",
        lambda grpc_server: pb_grpc.add_MixerServiceServicer_to_server(servicer, grpc_server),
        services={SERVICE: ACCESS},
    )
    await server.start()
    return server


@pytest.fixture
async def stub(use_cases):
    server = await serving(use_cases, limit(2, 4))
    async with connect(server.address) as channel:
        yield pb_grpc.MixerServiceStub(channel)
    await server.stop(0)


@pytest.fixture
async def full_stub(use_cases):
    server = await serving(use_cases, limit(1, 0))
    async with connect(server.address) as channel:
        yield pb_grpc.MixerServiceStub(channel)
    await server.stop(0)


async def test_a_file_goes_the_whole_way(stub, bench, left_over):
    source = ref_to_proto(await bench.store(bench.video(seconds=6), "video/mp4"))
    info = await final_result(stub.Probe(pb.ProbeRequest(source=source, require_audio=True), timeout=TIMEOUT))
    assert (info.duration_ms, info.video.width, len(info.audio)) == (6000, 160, 1)
    picture = await final_result(
        stub.Thumbnail(pb.ThumbnailRequest(source=source, at_ms=9999, output_prefix=PREFIX), timeout=TIMEOUT)
    )
    assert (await bench.fetch(ref_from_proto(picture.image))).read_bytes().startswith(b"\xff\xd8\xff")
    sound = await final_result(
        stub.ExtractAudio(pb.ExtractAudioRequest(source=source, output_prefix=PREFIX), timeout=TIMEOUT)
    )
    assert sound.duration_ms == info.duration_ms
    clip = bench.make("clip.wav", "-f", "lavfi", "-i", "sine=f=300:r=22050:d=2")
    fractions: list[float] = []
    mix = await final_result(
        stub.Mix(
            pb.MixRequest(
                background=sound.programme,
                clips=[pb.Clip(audio=ref_to_proto(await bench.store(clip)), start_ms=1000, speed=1.1)],
                duration_ms=sound.duration_ms,
                duck_ranges=[media_pb2.TimeRange(start_ms=1000, end_ms=2900)],
                duck_gain_db=-20,
                source_loudness_lufs=sound.loudness_lufs,
                output_prefix=PREFIX,
            ),
            timeout=TIMEOUT,
        ),
        on_progress=fractions.append,
    )
    assert list(mix.placed_ms) == [1818]
    assert mix.loudness_lufs == pytest.approx(sound.loudness_lufs, abs=1.0)
    assert fractions == sorted(fractions)
    muxed = await final_result(
        stub.Mux(
            pb.MuxRequest(
                source=source,
                tracks=[pb.AudioTrack(audio=mix.audio, language="es", title="Español")],
                keep_original_audio=True,
                original_language="en",
                duration_ms=sound.duration_ms,
                output_prefix=PREFIX,
            ),
            timeout=TIMEOUT,
        )
    )
    assert [audio.language for audio in muxed.info.audio] == ["es", "en"]
    assert muxed.info.duration_ms == pytest.approx(info.duration_ms, abs=40)
    measured = await final_result(
        stub.Measure(
            pb.MeasureRequest(
                media=muxed.media,
                voice=mix.voice,
                original=sound.speech,
                lines=[pb.PlannedLine(id="0.0", start_ms=1000, end_ms=2818)],
                speech_regions=[media_pb2.TimeRange(start_ms=1000, end_ms=2900)],
            ),
            timeout=TIMEOUT,
        )
    )
    assert [(line.id, line.present) for line in measured.lines] == [("0.0", True)]
    assert measured.lines[0].onset_ms == pytest.approx(1000, abs=10)
    assert measured.loudness_lufs == pytest.approx(mix.loudness_lufs, abs=0.2)
    assert measured.residue_db < -10
    assert left_over() == []


async def test_the_reason_of_bad_media_crosses_the_wire(stub, bench):
    text = ref_to_proto(await bench.store_text("video.mp4", "this is a text"))
    with pytest.raises(InvalidInput) as caught:
        await final_result(stub.Probe(pb.ProbeRequest(source=text), timeout=TIMEOUT))
    assert caught.value.reason == "not_media"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (pb.MixRequest(), "missing_object_ref"),
        (pb.MixRequest(background=media_pb2.ObjectRef(uri="file:///in/a"), loudness=99), "bad_loudness"),  # type: ignore[arg-type]
        (pb.MixRequest(background=media_pb2.ObjectRef(uri="file:///in/a"), duration_ms=-1), "bad_duration"),
    ],
)
async def test_requests_that_make_no_sense_are_refused(stub, request_, reason):
    with pytest.raises(InvalidInput) as caught:
        await final_result(stub.Mix(request_, timeout=TIMEOUT))
    assert caught.value.reason == reason


async def test_a_full_mixer_returns_when_to_retry(full_stub, bench, left_over):
    source = ref_to_proto(await bench.store(bench.video(seconds=60)))
    request = pb.ExtractAudioRequest(source=source, output_prefix=PREFIX)
    first = full_stub.ExtractAudio(request, timeout=TIMEOUT)
    running = asyncio.create_task(final_result(first))
    await eventually(left_over)
    with pytest.raises(Busy) as caught:
        await final_result(full_stub.ExtractAudio(request, timeout=TIMEOUT))
    assert caught.value.reason == "queue_full"
    assert caught.value.retry_after
    running.cancel()
    await asyncio.wait([running])


async def test_a_caller_that_goes_away_stops_the_work(stub, bench, left_over):
    source = ref_to_proto(await bench.store(bench.video(seconds=120)))
    call = stub.ExtractAudio(pb.ExtractAudioRequest(source=source, output_prefix=PREFIX), timeout=TIMEOUT)
    running = asyncio.create_task(final_result(call))
    await eventually(left_over)
    running.cancel()
    await asyncio.wait([running])
    await eventually(lambda: not left_over())
    assert running.cancelled()


def test_the_process_starts_by_its_settings_and_stops_on_a_signal(tmp_path):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "GRPC_HOST": "127.0.0.1",
        "GRPC_PORT": "0",
        "STORAGE_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "services.mixer"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        assert any("mixer is ready" in line for line in lines)
        process.send_signal(signal.SIGTERM)
        assert any("mixer has stopped" in line for line in lines)
    assert process.returncode == 0
