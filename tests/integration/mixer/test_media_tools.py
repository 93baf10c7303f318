"""Media tools end when they should, take no more than allowed, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from onevoice_kit.errors import DeadlineExceeded, Internal, InvalidInput, Unavailable
from onevoice_kit.media_exec import Command, Ffmpeg, Input, MediaLimits, Output, work_beside
from onevoice_kit.media_exec.process import Budget, start
from onevoice_kit.media_exec.reasons import ended
from onevoice_kit.testing.waiting import eventually

ENDLESS = ("-stream_loop", "-1")
NOWHERE = ("-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "f32le")


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def children() -> set[int]:
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(pid) for path in found for pid in path.read_text().split()}


@pytest.fixture
def tone(bench):
    return bench.make("tone.flac", "-f", "lavfi", "-i", "sine=r=48000:d=20")


async def test_a_tool_that_takes_too_long_is_ended(tone, temp_dir, left_over):
    ffmpeg = Ffmpeg(MediaLimits(time_limit_s=0.5), temp_dir)
    async with ffmpeg.workspace() as workspace:
        command = Command((Input(workspace.link(tone), ("-re", *ENDLESS)),), (Output(workspace.new("f32"), NOWHERE),))
        with pytest.raises(DeadlineExceeded) as caught:
            await ffmpeg.run(command, workspace)
    assert caught.value.reason == "media_time_limit"
    assert not caught.value.retryable
    assert left_over() == []


async def test_an_output_that_grows_too_large_is_stopped(tone, temp_dir):
    ffmpeg = Ffmpeg(MediaLimits(max_output_bytes=1 << 20), temp_dir)
    async with ffmpeg.workspace() as workspace:
        output = workspace.new("f32")
        command = Command((Input(workspace.link(tone), ENDLESS),), (Output(output, NOWHERE),))
        with pytest.raises(InvalidInput) as caught:
            await ffmpeg.run(command, workspace)
        assert output.path.stat().st_size <= 1 << 20
    assert caught.value.reason == "output_too_large"


async def test_cancelling_ends_the_tool_and_removes_its_folder(tone, ffmpeg, left_over):
    before, started = children(), asyncio.Event()

    async def work() -> None:
        async with ffmpeg.workspace() as workspace:
            command = Command((Input(workspace.link(tone), ENDLESS),), (Output("pipe", NOWHERE),))
            async with ffmpeg.stream(command, workspace) as running:
                loop = asyncio.get_running_loop()

                def read() -> None:
                    while running.stdout.read(4096):
                        loop.call_soon_threadsafe(started.set)

                await work_beside([running], read)

    task = asyncio.create_task(work())
    await started.wait()
    tools = children() - before
    assert tools
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(alive(pid) for pid in tools)
    assert left_over() == []


async def test_the_reason_is_that_of_the_tool_that_broke(ffmpeg, tone):
    # The decoder still has much to say when the encoder, whose file may not grow, ends under our hands.
    async with ffmpeg.workspace() as workspace:
        raw = Input("pipe", ("-ar", "48000", "-ac", "1"), own="f32le")
        decode = Command((Input(workspace.link(tone), ENDLESS),), (Output("pipe", NOWHERE),))
        encode = Command((raw,), (Output(workspace.new("f32"), NOWHERE),))
        async with ffmpeg.stream(decode, workspace) as decoder:  # noqa: SIM117 - the two differ
            async with ffmpeg.stream(encode, workspace, max_output_bytes=1 << 20) as encoder:

                def copy() -> None:
                    while data := decoder.stdout.read(1 << 16):
                        encoder.stdin.write(data)

                with pytest.raises(InvalidInput) as caught:
                    await work_beside([decoder, encoder], copy)
    assert caught.value.reason == "output_too_large"


async def test_messages_are_bounded(tmp_path):
    budget = Budget(30, 1 << 30, 0)
    async with start(["sh", "-c", "yes first | head -c 5000000 >&2; echo last >&2"], tmp_path, budget) as running:
        await running.wait()
        assert len(running.stderr) <= 32 << 10
        assert running.stderr.startswith("first\n")
        assert running.stderr.endswith("last\n")


async def test_a_tool_sees_nothing_of_our_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    async with start(["env"], tmp_path, Budget(30, 1 << 30, 0), stdout=True) as running:
        seen = (await work_beside([running], running.stdout.read)).decode()
    assert {line.split("=")[0] for line in seen.splitlines()} - {"PWD", "_"} == {
        *("PATH", "HOME", "TMPDIR", "LC_ALL", "MALLOC_ARENA_MAX"),
    }


async def test_children_of_a_tool_end_with_it(tmp_path):
    async with start(
        ["sh", "-c", "sleep 600 & echo $!; wait"], tmp_path, Budget(30, 1 << 30, 0), stdout=True
    ) as running:
        grandchild = int(await work_beside([running], running.stdout.readline))
        assert alive(grandchild)
    assert await eventually(lambda: not alive(grandchild))


async def test_memory_is_limited(tmp_path):
    budget = Budget(30, 300 << 20, 0)
    async with start(["python3", "-c", "bytearray(400 << 20)"], tmp_path, budget) as running:
        with pytest.raises(Internal):
            await running.wait()
        assert "MemoryError" in running.stderr


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("[mov] moov atom not found\nInvalid data found when processing input", "truncated_media"),
        ("Format not on whitelist 'mov'", "forbidden_format"),
        ("Cannot allocate memory", "media_too_complex"),
        ("Invalid data found when processing input", "not_media"),
        ("x264 [error]: malloc of size 23265472 failed", "media_too_complex"),
        ("Codec AVOption max_pixels (Maximum) has not been used\nmoov atom not found", "truncated_media"),
    ],
)
def test_the_message_of_a_tool_becomes_a_reason(message, reason):
    assert ended(1, message, timed_out=False, seconds=1).reason == reason


def test_an_unknown_failure_is_ours():
    error = ended(1, "who knows", timed_out=False, seconds=1)
    assert isinstance(error, Internal)
    assert "who knows" not in error.message


def test_a_full_disk_is_worth_another_try():
    error = ended(1, "av_interleaved_write_frame(): No space left on device", timed_out=False, seconds=1)
    assert isinstance(error, Unavailable)
    assert error.retryable
