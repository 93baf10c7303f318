"""A probe describes a file, or gives the reason why it is not taken."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from onevoice_kit.errors import InvalidInput
from onevoice_kit.media_exec import Ffmpeg, MediaLimits, probe
from onevoice_kit.media_exec.formats import HEAD_BYTES, media_type_of
from services.mixer.probing import ProbeJob


async def refusal(use_cases, ref, *, require_audio: bool = False) -> str:
    with pytest.raises(InvalidInput) as caught:
        await use_cases.prober.probe(ProbeJob(ref, require_audio))
    assert len(caught.value.message) > 10
    return caught.value.reason


async def refused(bench, use_cases, content: bytes) -> str:
    path = bench.folder / "upload.mp4"
    path.write_bytes(content)
    return await refusal(use_cases, await bench.store(path))


async def test_a_video_is_described(bench, use_cases, left_over):
    facts = await use_cases.prober.probe(ProbeJob(await bench.store(bench.video(seconds=4)), require_audio=True))
    assert facts.duration_s == pytest.approx(4.0, abs=0.001)
    assert facts.video is not None
    assert (facts.video.codec, facts.video.width, facts.video.height, facts.video.frame_rate) == ("h264", 160, 90, 25)
    assert [(audio.codec, audio.sample_rate, audio.channels) for audio in facts.audio] == [("aac", 48000, 1)]
    assert left_over() == []


class Counting(Ffmpeg):
    """Media tools that count the runs that read packets."""

    runs = 0

    async def probe_lines(self, *arguments, **options):
        self.runs += 1
        return await super().probe_lines(*arguments, **options)


@pytest.mark.parametrize(("name", "runs"), [("a.mp4", 0), ("a.mkv", 1)])
async def test_of_a_file_of_our_own_packets_are_read_only_where_its_header_states_no_lengths(
    bench, ffmpeg, temp_dir, name, runs
):
    tools = Counting(ffmpeg.limits, temp_dir)
    async with tools.workspace() as workspace:
        file = workspace.link(bench.video(name, seconds=2))
        own = await probe(tools, file, workspace, own=True)
        assert tools.runs == runs
        assert own == await probe(tools, file, workspace)
        assert own.duration_s == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("name", ["a.mp3", "a.aac", "a.ogg", "a.wav", "a.flac", "a.m4a"])
async def test_sound_alone_is_measured_to_the_end(bench, use_cases, name):
    path = bench.make(name, "-f", "lavfi", "-i", "sine=r=48000:d=5", "-strict", "-2")
    assert media_type_of(path.read_bytes()[:HEAD_BYTES]) is not None
    facts = await use_cases.prober.probe(ProbeJob(await bench.store(path), require_audio=True))
    assert facts.video is None
    assert facts.duration_s == pytest.approx(5.0, abs=0.06)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.aiff", "pcm_s16be"),
        ("deep.aiff", "pcm_s24be"),
        ("little.aiff", "pcm_s16le"),
        ("a.caf", "pcm_s16be"),
        ("apple.caf", "alac"),
        ("a.wma", "wmav2"),
        ("old.wma", "wmav1"),
        ("a.asf", "wmav2"),
        ("a.mpg", "mp2"),
        ("a.vob", "ac3"),
        ("a.ac3", "ac3"),
        ("a.eac3", "eac3"),
        ("a.opus", "libopus"),
        ("a.mp2", "mp2"),
        ("a.w64", "pcm_s16le"),
        ("adpcm.wav", "adpcm_ms"),
        ("a.au", "pcm_s16be"),
        ("a.wv", "wavpack"),
    ],
)
async def test_sound_of_every_common_kind_is_taken(bench, use_cases, name, codec):
    path = bench.make(name, "-f", "lavfi", "-i", "sine=r=48000:d=3", "-c:a", codec)
    assert media_type_of(path.read_bytes()[:HEAD_BYTES]) is not None
    facts = await use_cases.prober.probe(ProbeJob(await bench.store(path), require_audio=True))
    assert facts.duration_s == pytest.approx(3.0, abs=0.1)


async def test_a_wav_of_64_bits_is_taken(bench, use_cases):
    path = bench.make("rf64.wav", "-f", "lavfi", "-i", "sine=r=48000:d=3", "-rf64", "always")
    assert path.read_bytes().startswith(b"RF64")
    facts = await use_cases.prober.probe(ProbeJob(await bench.store(path), require_audio=True))
    assert facts.duration_s == pytest.approx(3.0, abs=0.01)


async def test_a_recording_of_a_telephone_is_taken(bench, use_cases):
    path = bench.folder / "a.amr"
    path.write_bytes(b"#!AMR\n" + (b"\x3c" + bytes(31)) * 150)
    facts = await use_cases.prober.probe(ProbeJob(await bench.store(path), require_audio=True))
    assert [one.codec for one in facts.audio] == ["amr_nb"]
    assert facts.duration_s == pytest.approx(3.0, abs=0.1)


async def test_a_recording_without_a_stated_length_is_measured(bench, use_cases):
    path = bench.make("live.webm", "-i", str(bench.video(seconds=3)), "-c:v", "libvpx", "-c:a", "libopus", "-live", "1")
    facts = await use_cases.prober.probe(ProbeJob(await bench.store(path)))
    assert facts.duration_s == pytest.approx(3.0, abs=0.06)


async def test_subtitles_and_cover_pictures_do_no_harm(bench, use_cases):
    subtitles = bench.folder / "s.srt"
    subtitles.write_text("1\n00:00:00,000 --> 00:00:01,000\nhi\n\n")
    cover = bench.make("cover.png", "-f", "lavfi", "-i", "color=s=40x40:d=1", "-frames:v", "1")
    sound = ["-f", "lavfi", "-i", "sine=d=2", "-i", str(cover), "-i", str(subtitles)]
    path = bench.make("a.m4a", *sound, "-map", "0", "-map", "1", "-disposition:v", "attached_pic", "-c:v", "copy")
    facts = await use_cases.prober.probe(ProbeJob(await bench.store(path)))
    assert facts.video is None
    assert len(facts.audio) == 1


async def test_an_empty_file(bench, use_cases):
    assert await refused(bench, use_cases, b"") == "empty_file"


@pytest.mark.parametrize("content", [b"this is a text, not a video\n" * 40, b"\x00" * 5000])
async def test_what_is_no_media(bench, use_cases, content):
    assert await refused(bench, use_cases, content) == "not_media"


async def test_noise(bench, use_cases):
    assert await refused(bench, use_cases, os.urandom(300_000)) == "not_media"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
async def test_an_mp4_cut_short_although_its_index_stands_first(bench, use_cases, share):
    whole = bench.video(seconds=12).read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    assert await refused(bench, use_cases, whole[: int(len(whole) * share)]) == "truncated_media"


@pytest.mark.parametrize("cut", [1, 2000, 20_000])
async def test_an_mp4_cut_short_within_or_before_its_index(bench, use_cases, cut):
    path = bench.make("late.mp4", "-i", str(bench.video(seconds=4)), "-c", "copy")
    assert await refused(bench, use_cases, path.read_bytes()[:-cut]) == "truncated_media"


@pytest.mark.parametrize("name", ["a.mkv", "a.flac"])
async def test_other_files_cut_short(bench, use_cases, name):
    path = bench.make(name, "-i", str(bench.video(seconds=10)), *(["-vn"] if name == "a.flac" else ["-c", "copy"]))
    content = path.read_bytes()
    assert await refused(bench, use_cases, content[: len(content) * 6 // 10]) == "truncated_media"


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {}\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><BaseURL>{}</BaseURL></MPD>',
    ],
)
async def test_a_playlist_that_points_at_another_file(bench, use_cases, playlist):
    target = bench.make("target.ts", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac", "-f", "mpegts")
    reason = await refused(bench, use_cases, playlist.format(target).encode())
    assert reason in ("forbidden_format", "not_media")
    assert reason == "forbidden_format" or playlist.startswith("<?xml")


async def test_a_picture(bench, use_cases):
    path = bench.make("a.png", "-f", "lavfi", "-i", "color=s=40x40:d=1", "-frames:v", "1")
    assert await refused(bench, use_cases, path.read_bytes()) == "forbidden_format"


async def test_a_frame_of_144_megapixels(bench, use_cases):
    path = bench.make("huge.mp4", "-f", "lavfi", "-i", "color=s=12000x12000:r=1:d=1", "-c:v", "mjpeg")
    assert await refusal(use_cases, await bench.store(path)) == "picture_too_large"


@pytest.mark.parametrize("name", ["many.mp4", "many.mkv"])
async def test_three_hundred_streams(bench, use_cases, name):
    path = bench.make(name, "-f", "lavfi", "-i", "anullsrc=d=0.1", *(["-map", "0:a"] * 300), "-c:a", "libopus")
    assert await refusal(use_cases, await bench.store(path)) == "too_many_streams"


async def test_a_video_without_sound_where_sound_is_needed(bench, use_cases):
    ref = await bench.store(bench.video(sound=""))
    assert await refusal(use_cases, ref, require_audio=True) == "no_audio"
    assert (await use_cases.prober.probe(ProbeJob(ref))).audio == ()


async def test_a_codec_that_is_not_on_the_list(bench, use_cases):
    path = bench.make("a.mkv", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "real_144", "-ac", "1", "-ar", "8000")
    assert await refusal(use_cases, await bench.store(path)) == "unsupported_codec"


async def limited(path: Path, temp_dir: Path, limits: MediaLimits) -> str:
    ffmpeg = Ffmpeg(limits, temp_dir)
    async with ffmpeg.workspace() as workspace:
        with pytest.raises(InvalidInput) as caught:
            await probe(ffmpeg, workspace.link(path), workspace)
    return caught.value.reason


async def test_a_file_that_plays_too_long(bench, temp_dir):
    assert await limited(bench.video(seconds=5), temp_dir, MediaLimits(max_duration_s=4)) == "too_long"


async def test_a_file_that_is_too_large(bench, temp_dir):
    assert await limited(bench.video(), temp_dir, MediaLimits(max_file_bytes=1000)) == "file_too_large"


def test_the_tools_have_what_the_tests_rely_on():
    listed = subprocess.run(["ffmpeg", "-hide_banner", "-filters"], check=True, capture_output=True, text=True).stdout
    assert " subtitles " in listed
    assert " ebur128 " in listed
