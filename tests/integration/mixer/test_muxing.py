"""The finished file: the same video, the dubbed tracks first, nothing longer or shorter than the source."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onevoice_kit.errors import InvalidInput
from onevoice_kit.media_exec import Ffmpeg, MediaLimits
from onevoice_kit.storage.base import ObjectRef
from services.mixer.muxing import Muxer, MuxJob, Track
from services.mixer.probing import KnownFacts

SRT = "1\n00:00:01,000 --> 00:00:02,500\nHola {\\an8}món\n\n2\n00:00:03,000 --> 00:01:40,000\nAdéu\n\n"
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def run(*command: str) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


def fingerprint(path: Path, stream: str = "v:0") -> str:
    """Checksum of a stream's packets."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", f"0:{stream}", "-c", "copy", "-f", "streamhash", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("=")[-1].strip()


def shown(path: Path) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-count_packets", "-of", "json", str(path)]
    facts: dict[str, Any] = json.loads(run(*command))
    return facts


def streams(path: Path, kind: str) -> list[dict[str, Any]]:
    return [stream for stream in shown(path)["streams"] if stream["codec_type"] == kind]


class Desk:
    """Puts files together."""

    def __init__(self, bench, use_cases) -> None:
        self.bench = bench
        self.use_cases = use_cases

    async def dub(self, seconds: float, language: str = "es", title: str = "Español") -> Track:
        tone = ("-f", "lavfi", "-i", f"aevalsrc='0.2*sin(900*t)|0.2*sin(700*t)':s=48000:d={seconds}")
        path = self.bench.make(f"{language}.m4a", *tone, "-c:a", "aac", "-b:a", "192k", "-f", "mp4")
        return Track(await self.bench.store(path), language, title)

    async def job(self, source: Path, seconds: float, **changes) -> MuxJob:
        fields = {
            "source": await self.bench.store(source),
            "tracks": (await self.dub(seconds, "es-MX", "Español"), await self.dub(seconds, "ca", "Català")),
            "keep_original_audio": True,
            "original_language": "en",
            "subtitles": (),
            "burn_in": None,
            "duration_ms": round(seconds * 1000),
            "output_prefix": "users/u/jobs/j",
        }
        return MuxJob(**{**fields, **changes})

    async def mux(self, source: Path, seconds: float = 6, **changes):
        return await self.use_cases.muxer.mux(await self.job(source, seconds, **changes))


@pytest.fixture
def desk(bench, use_cases) -> Desk:
    return Desk(bench, use_cases)


async def test_the_video_is_the_same_packet_by_packet(desk, left_over):
    source = desk.bench.video(seconds=6)
    muxed = await desk.mux(source)
    output = await desk.bench.fetch(muxed.media)
    assert fingerprint(output) == fingerprint(source)
    assert muxed.media.content_type == "video/mp4"
    assert muxed.info.duration_s == pytest.approx(6.0, abs=1 / 25)
    assert float(shown(output)["format"]["duration"]) == pytest.approx(6.0, abs=1 / 25)
    assert left_over() == []


async def test_dubbed_tracks_come_first_and_say_their_language(desk):
    output = await desk.bench.fetch((await desk.mux(desk.bench.video())).media)
    audio = streams(output, "audio")
    assert [stream["tags"]["language"] for stream in audio] == ["spa", "cat", "eng"]
    assert [stream["disposition"]["default"] for stream in audio] == [1, 0, 0]
    assert [stream["tags"]["handler_name"] for stream in audio[:2]] == ["Español", "Català"]


async def test_dubbed_and_original_sound_are_copied(desk, file_storage, ffmpeg):
    source = desk.bench.video()
    job, facts = await desk.job(source, 6), KnownFacts(ffmpeg)
    muxed = await Muxer(file_storage, ffmpeg, facts).mux(job)
    output = await desk.bench.fetch(muxed.media)
    async with ffmpeg.workspace() as empty:
        known = await facts.of(muxed.media.sha256, empty.new("mp4"), empty)
    assert known == muxed.info, "its measurement need not probe it again"
    assert fingerprint(output, "a:0") == fingerprint(await desk.bench.fetch(job.tracks[0].media), "a:0")
    assert fingerprint(output, "a:2") == fingerprint(source, "a:0")


async def test_the_original_sound_can_be_left_out(desk):
    output = await desk.bench.fetch((await desk.mux(desk.bench.video(), keep_original_audio=False)).media)
    assert len(streams(output, "audio")) == 2


async def test_original_sound_alone_is_the_default(desk):
    output = await desk.bench.fetch((await desk.mux(desk.bench.video(), tracks=())).media)
    audio = streams(output, "audio")
    assert [(stream["tags"]["language"], stream["disposition"]["default"]) for stream in audio] == [("eng", 1)]


async def test_a_source_without_sound_gets_the_dub_alone(desk):
    output = await desk.bench.fetch((await desk.mux(desk.bench.video(sound=""))).media)
    assert len(streams(output, "audio")) == 2


@pytest.mark.parametrize("seconds", [2, 9.5])
async def test_original_sound_of_another_length_changes_nothing(desk, seconds):
    picture = ("-f", "lavfi", "-i", "testsrc2=s=160x90:r=50:d=6")
    source = desk.bench.make(
        "odd.mp4", *picture, "-f", "lavfi", "-i", f"sine=r=48000:d={seconds}", *H264, "-c:a", "aac"
    )
    output = await desk.bench.fetch((await desk.mux(source)).media)
    assert fingerprint(output) == fingerprint(source)
    assert float(shown(output)["format"]["duration"]) == pytest.approx(6.0, abs=1 / 50)


async def test_a_picture_that_begins_late_stays_beside_its_sound(desk):
    late = ("-itsoffset", "0.8", "-i", str(desk.bench.video("silent.mp4", seconds=5.2, sound="")))
    sound = ("-f", "lavfi", "-i", "sine=r=48000:d=6")
    source = desk.bench.make("late.mp4", *late, *sound, "-c:v", "copy", "-c:a", "aac")
    assert float(streams(source, "video")[0]["start_time"]) == pytest.approx(0.8, abs=0.01)
    output = await desk.bench.fetch((await desk.mux(source)).media)
    assert fingerprint(output) == fingerprint(source)
    assert float(streams(output, "video")[0]["start_time"]) == pytest.approx(0.8, abs=0.01)
    assert float(streams(output, "audio")[0]["start_time"]) == pytest.approx(0.0, abs=0.001)
    assert float(shown(output)["format"]["duration"]) == pytest.approx(6.0, abs=1 / 25)


@pytest.mark.parametrize(
    ("name", "codecs", "suffix"),
    [
        ("a.mkv", (*H264, "-c:a", "libvorbis"), "mp4"),
        ("a.mov", ("-c:v", "mpeg4", "-c:a", "pcm_s16le"), "mp4"),
        ("a.webm", ("-c:v", "libvpx", "-b:v", "200k", "-c:a", "libopus"), "mkv"),
        ("a.webm", ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime", "-c:a", "libopus"), "mp4"),
    ],
)
async def test_other_containers_become_mp4_where_the_video_fits(desk, name, codecs, suffix):
    picture = ("-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=4", "-f", "lavfi", "-i", "sine=r=48000:d=4")
    source = desk.bench.make(name, *picture, *codecs)
    subtitle = Track(await desk.bench.store_text("s.srt", SRT), "es", "Español")
    muxed = await desk.mux(source, 4, subtitles=(subtitle,))
    output = await desk.bench.fetch(muxed.media)
    assert output.suffix == f".{suffix}"
    assert fingerprint(output) == fingerprint(source)
    assert len(streams(output, "audio")) == 3
    assert len(streams(output, "subtitle")) == 1
    assert muxed.info.duration_s == pytest.approx(4.0, abs=1 / 25)


async def test_a_transport_stream_keeps_its_pictures(desk):
    source = desk.bench.make("a.ts", "-i", str(desk.bench.video(seconds=4)), "-c", "copy", "-f", "mpegts")
    output = await desk.bench.fetch((await desk.mux(source, 4)).media)
    # MP4 frames the same pictures otherwise, so what is compared is what they decode to.
    pictures = [
        run("ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v", "-f", "md5", "-") for path in (source, output)
    ]
    assert pictures[0] == pictures[1]


async def test_soft_subtitles_carry_text_and_language(desk):
    subtitles = (
        Track(await desk.bench.store_text("es.srt", SRT), "es", "Español"),
        Track(await desk.bench.store_text("ca.srt", ""), "ca", ""),
    )
    output = await desk.bench.fetch((await desk.mux(desk.bench.video(), subtitles=subtitles)).media)
    assert [stream["tags"]["language"] for stream in streams(output, "subtitle")] == ["spa", "cat"]
    text = run("ffmpeg", "-v", "error", "-i", str(output), "-map", "0:s:0", "-f", "srt", "-").decode()
    assert "Hola (/an8)món" in text
    assert "00:00:03,000 --> 00:00:06,000" in text
    assert float(shown(output)["format"]["duration"]) == pytest.approx(6.0, abs=1 / 25)


async def test_captions_are_burned_into_the_picture_on_request(desk):
    source = desk.bench.make(
        "plain.mp4", *("-f", "lavfi", "-i", "color=c=navy:s=320x180:r=25:d=4", "-f", "lavfi", "-i", "sine=d=4"), *H264
    )
    captions = await desk.bench.store_text("b.srt", "1\n00:00:01,000 --> 00:00:02,000\nHOLA HOLA\n\n")
    muxed = await desk.mux(source, 4, burn_in=captions)
    output = await desk.bench.fetch(muxed.media)
    assert fingerprint(output) != fingerprint(source)
    assert streams(output, "video")[0]["nb_read_packets"] == streams(source, "video")[0]["nb_read_packets"]
    raw = run("ffmpeg", "-v", "error", "-i", str(output), "-map", "0:v", "-pix_fmt", "gray", "-f", "rawvideo", "-")
    frames = np.frombuffer(raw, np.uint8).reshape(-1, 180, 320)
    brightest = frames.reshape(len(frames), -1).max(axis=1)
    assert (brightest[27:49] > 180).all()
    assert (brightest[:24] < 100).all()
    assert (brightest[52:] < 100).all()
    assert muxed.info.duration_s == pytest.approx(4.0, abs=1 / 25)


async def test_captions_without_a_single_line_leave_the_video_as_it_is(desk):
    source = desk.bench.video()
    muxed = await desk.mux(source, burn_in=await desk.bench.store_text("b.srt", ""))
    assert fingerprint(await desk.bench.fetch(muxed.media)) == fingerprint(source)


async def test_uneven_frame_rates_survive_burning_in(desk):
    even = ("-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=4", "-f", "lavfi", "-i", "sine=d=4")
    source = desk.bench.make(
        "vfr.mp4", *even, "-vf", "select='not(between(n,20,59))+eq(mod(n,7),0)'", "-fps_mode", "vfr", *H264
    )
    captions = await desk.bench.store_text("b.srt", "1\n00:00:01,000 --> 00:00:02,000\nHOLA\n\n")
    output = await desk.bench.fetch((await desk.mux(source, 4, burn_in=captions)).media)

    def times(path: Path) -> list[float]:
        show = ["-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0"]
        lines = subprocess.run(["ffprobe", "-v", "error", *show, str(path)], check=True, capture_output=True, text=True)
        return sorted(float(line.strip(",")) for line in lines.stdout.split())

    assert times(output) == pytest.approx(times(source), abs=0.002)


async def test_a_source_of_sound_only_gives_sound_only(desk):
    source = desk.bench.make("a.mp3", "-f", "lavfi", "-i", "sine=d=5")
    muxed = await desk.mux(source, 5)
    output = await desk.bench.fetch(muxed.media)
    assert (output.suffix, muxed.media.content_type) == (".m4a", "audio/mp4")
    assert muxed.info.video is None
    assert [stream["tags"]["language"] for stream in streams(output, "audio")] == ["spa", "cat", "eng"]


async def test_titles_may_hold_anything(desk):
    evil = "a\"b'c;d=e#f\\g\n[CHAPTER]\n$(reboot)"
    track = await desk.dub(6, "es", evil)
    output = await desk.bench.fetch((await desk.mux(desk.bench.video(), tracks=(track,))).media)
    assert streams(output, "audio")[0]["tags"]["handler_name"] == evil.replace("\n", " ")


async def test_subtitles_that_are_a_playlist_are_refused(desk, left_over):
    target = desk.bench.make("target.ts", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac", "-f", "mpegts")
    playlist = await desk.bench.store_text("s.srt", f"#EXTM3U\n#EXTINF:10,\n{target}\n")
    for changes in ({"burn_in": playlist}, {"subtitles": (Track(playlist, "es", ""),)}):
        with pytest.raises(InvalidInput) as caught:
            await desk.mux(desk.bench.video(), **changes)
        assert caught.value.reason == "bad_subtitles"
    assert left_over() == []


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"size": 1}, {"sha256": ""}])
@pytest.mark.parametrize("part", ["subtitles", "burn_in", "source", "tracks"])
async def test_a_wrong_reference_is_refused_and_leaves_no_result(desk, part, change, file_storage, left_over):
    source = desk.bench.video(seconds=2)
    captions = await desk.bench.store_text("s.srt", SRT)
    right = await desk.job(source, 2, subtitles=(Track(captions, "es", ""),), burn_in=captions)
    wrong = replace(right, **{part: wrongly(getattr(right, part), change)})
    with pytest.raises(InvalidInput) as caught:
        await desk.use_cases.muxer.mux(wrong)
    assert caught.value.reason == ("checksum_mismatch" if any(change.values()) else "unverified_object")
    assert [key async for key in file_storage.list("users")] == []
    assert left_over() == []


def wrongly(part: ObjectRef | tuple[Track, ...], change: dict[str, Any]) -> Any:
    """The same input under a reference that does not fit its content."""
    if isinstance(part, ObjectRef):
        return replace(part, **change)
    return tuple(replace(track, media=replace(track.media, **change)) for track in part)


async def test_a_wrong_reference_does_not_decide_what_a_right_one_gets(desk):
    source = desk.bench.video(seconds=2)
    right = await desk.bench.store_text("right.srt", "1\n00:00:00,000 --> 00:00:01,000\nright\n\n")
    other = await desk.bench.store_text("other.srt", "1\n00:00:00,000 --> 00:00:01,000\nother\n\n")
    wrong = replace(other, sha256=right.sha256)
    with pytest.raises(InvalidInput):
        await desk.mux(source, 2, subtitles=(Track(wrong, "es", ""),))
    output = await desk.bench.fetch((await desk.mux(source, 2, subtitles=(Track(right, "es", ""),))).media)
    text = run("ffmpeg", "-v", "error", "-i", str(output), "-map", "0:s:0", "-f", "srt", "-").decode()
    assert "right" in text


async def test_a_file_without_any_sound_to_put_in_is_refused(desk):
    with pytest.raises(InvalidInput) as caught:
        await desk.mux(desk.bench.video(), tracks=(), keep_original_audio=False)
    assert caught.value.reason == "no_tracks"


async def test_a_repeat_is_found_without_any_work(desk, file_storage, temp_dir):
    job = await desk.job(desk.bench.video(), 6)
    first = await desk.use_cases.muxer.mux(job)
    nothing_allowed = Ffmpeg(MediaLimits(time_limit_s=0, probe_time_limit_s=0), temp_dir)
    assert await Muxer(file_storage, nothing_allowed).mux(job) == first
