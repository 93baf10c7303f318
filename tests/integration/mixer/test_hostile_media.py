"""Files made to cost much: refused with a reason, within 512 MB for a tool, and without anything left behind."""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from onevoice_kit.errors import InvalidInput
from onevoice_kit.media_exec import Ffmpeg, MediaFacts, MediaLimits, VideoFacts
from services.mixer.muxing import Muxer, MuxJob, Track
from tests.support.hostile_media import Table, find, fragmented, mp4

MEMORY_MB = 512
PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=64x36:r=25:d=1")
FAST = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


@pytest.fixture
def donor(bench) -> Path:
    """A sound MP4 whose codec descriptions the built files use."""
    video: Path = bench.video(seconds=1)
    return video


def run(folder: Path, work: str, *paths: Path) -> dict[str, dict[str, Any]]:
    """The outcome of each file, by its name."""
    command = [sys.executable, "-m", "tests.support.media_run", str(folder), work, *map(str, paths)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = {one["name"]: one for one in map(json.loads, lines)}
    sys.stderr.write(json.dumps(found) + "\n")
    return found


def reasons(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    for one in found.values():
        assert one["peak_mb"] <= MEMORY_MB
        assert one["left"] == []
        if one["reason"]:
            assert one["error"] == "InvalidInput"
            assert one["outputs"] == []
    return {name: one["reason"] for name, one in found.items()}


def endless_samples(bench, donor: Path) -> list[Path]:
    """A kilobyte each: the count of samples is a number, whatever it is."""
    tables = {f"{n}M.mp4": Table(n * 1_000_000, 1, [0], timescale=1_000_000) for n in (60, 100)}
    sounds = {"sound.mp4": Table(4_000_000_000, 1, [0], timescale=48_000)}
    made = [mp4(bench.folder / name, donor, [table], bytes(1000)) for name, table in (tables | sounds).items()]
    return [*made, fragmented(bench.folder / "fragments.mp4", donor, 1, 60_000_000)]


async def test_an_index_that_lists_more_than_the_file_holds(bench, donor, tmp_path):
    frame = find(donor.read_bytes(), b"mdat")[0][8:20_008]
    again = mp4(bench.folder / "again.mp4", donor, [Table(2700, len(frame), [0] * 2700)], frame)
    whole = [(1000, 0)] * 5000
    loop = mp4(bench.folder / "loop.mp4", donor, [Table(25, 800, [0], edits=whole)], bytes(20_000))
    found = await asyncio.to_thread(run, tmp_path, "probe", again, loop, *endless_samples(bench, donor))
    assert reasons(found) == {
        "again.mp4": "bad_index",
        "loop.mp4": "bad_index",
        "60M.mp4": "bad_index",
        "100M.mp4": "bad_index",
        "sound.mp4": "bad_index",
        "fragments.mp4": "too_many_frames",
    }
    assert max(one["peak_mb"] for one in found.values()) < 20, "a tool was started"


async def test_the_tools_stay_small_where_the_index_is_not_checked(bench, donor, tmp_path):
    found = await asyncio.to_thread(run, tmp_path, "tools", *endless_samples(bench, donor))
    assert all(reasons(found).values())


async def test_rates_sizes_and_lengths_beyond_all_media(bench, donor, tmp_path):
    speed = ("-f", "lavfi", "-i", "testsrc2=s=64x36:r=100000:d=0.03", *FAST)
    paths = [bench.make(name, *speed) for name in ("fast.mp4", "fast.mkv")]
    paths.append(bench.make("wide.mp4", "-f", "lavfi", "-i", "color=s=12000x12000:r=1:d=1", "-c:v", "mjpeg"))
    paths.append(mp4(bench.folder / "long.mp4", donor, [Table(2, 500, [0], timescale=1, delta=1 << 30)], bytes(1000)))
    paths += [claiming(bench, donor, name, length) for name, length in (("e300.mkv", 1e300), ("inf.mkv", float("inf")))]
    found = await asyncio.to_thread(run, tmp_path, "probe", *paths)
    ends = reasons(found)
    assert ends == {
        # A length that is no number counts for nothing: the packets are measured.
        "e300.mkv": "",
        "inf.mkv": "",
        "fast.mp4": "frame_rate_too_high",
        "fast.mkv": "frame_rate_too_high",
        "wide.mp4": "picture_too_large",
        "long.mp4": "too_long",
    }


def claiming(bench, donor: Path, name: str, length: float) -> Path:
    """A Matroska file that states another length."""
    path: Path = bench.make(name, "-i", str(donor), "-c", "copy")
    content = path.read_bytes()
    place = content.index(b"\x44\x89\x88") + 3
    path.write_bytes(content[:place] + struct.pack(">d", length) + content[place + 8 :])
    return path


async def test_a_cover_of_900_megapixels_is_not_decoded(bench, tmp_path):
    cover = bench.make("cover.png", "-f", "lavfi", "-i", "color=s=40x40:d=1", "-frames:v", "1")
    inputs = ["-f", "lavfi", "-i", "sine=d=1", "-i", str(cover)]
    covered = bench.make("c.m4a", *inputs, "-map", "0", "-map", "1", "-disposition:v", "attached_pic", "-c:v", "copy")
    content = covered.read_bytes()
    size = content.index(b"IHDR") + 4
    covered.write_bytes(content[:size] + struct.pack(">2I", 30_000, 30_000) + content[size + 8 :])
    for work in ("probe", "extract"):
        found = await asyncio.to_thread(run, tmp_path, work, covered)
        assert reasons(found) == {"c.m4a": ""}


@pytest.mark.parametrize("work", ["probe", "thumbnail", "mux", "burn"])
async def test_8k_is_copied_but_not_encoded(bench, tmp_path, work):
    picture = ("-f", "lavfi", "-i", "color=c=navy:s=7680x4320:r=2:d=1", "-f", "lavfi", "-i", "sine=d=1")
    source = bench.make("8k.mp4", *picture, "-c:v", "mjpeg", "-c:a", "aac")
    found = await asyncio.to_thread(run, tmp_path, work, source)
    assert reasons(found) == {"8k.mp4": "burn_in_too_large" if work == "burn" else ""}


async def test_4k_takes_captions_within_the_memory(bench, tmp_path):
    picture = ("-f", "lavfi", "-i", "testsrc2=s=3840x2160:r=8:d=1", "-f", "lavfi", "-i", "sine=d=1")
    source = bench.make("4k.mp4", *picture, *FAST, "-x264-params", "ref=4:bframes=2", "-c:a", "aac")
    found = await asyncio.to_thread(run, tmp_path, "burn", source)
    assert reasons(found) == {"4k.mp4": ""}


@dataclass(frozen=True, slots=True)
class Believing:
    """Facts of a file that nothing was checked about."""

    facts: MediaFacts

    async def of(self, *_args: object, **_options: object) -> MediaFacts:
        return self.facts


async def test_a_file_grows_no_larger_than_its_inputs(
    bench, donor, file_storage, temp_dir, left_over: Callable[[], list[str]]
):
    times = 2700
    frame = find(donor.read_bytes(), b"mdat")[0][8:20_008]
    source = mp4(bench.folder / "again.mp4", donor, [Table(times, len(frame), [0] * times)], frame)
    facts = MediaFacts("mov", times / 25, VideoFacts(0, "h264", 160, 90, 25.0, 0.0, times / 25), ())
    sizes: list[int] = []
    ffmpeg = Ffmpeg(MediaLimits(), temp_dir)
    muxer = Muxer(file_storage, ffmpeg, Believing(facts))  # type: ignore[arg-type]
    tone = bench.make("t.m4a", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac")
    track = Track(await bench.store(tone), "es", "")
    job = MuxJob(await bench.store(source), (track,), False, "en", (), None, round(facts.duration_s * 1000), "out")
    run_before = ffmpeg.run

    async def watched(*args: Any, **options: Any) -> str:
        try:
            return await run_before(*args, **options)
        finally:
            sizes.extend(path.stat().st_size for path in temp_dir.rglob("out*.mp4"))

    ffmpeg.run = watched  # type: ignore[method-assign]
    with pytest.raises(InvalidInput) as caught:
        await muxer.mux(job)
    assert caught.value.reason == "output_too_large"
    assert sizes
    assert max(sizes) < 10 << 20
    assert [key async for key in file_storage.list("out")] == []
    assert left_over() == []
