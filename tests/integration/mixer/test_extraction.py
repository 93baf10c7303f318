"""The extracted sound lies on the timeline of the video, whatever the file does with time."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

from onevoice_kit.errors import InvalidInput
from onevoice_kit.media_exec import Ffmpeg, MediaLimits
from services.mixer.extraction import ExtractionJob, Extractor

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=6")
CODECS = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True)


def onset(samples: np.ndarray, rate: int = 48_000) -> float:
    """Seconds until the first sound."""
    return float(np.flatnonzero(np.abs(samples[:, 0]) > 0.02)[0] / rate)


async def extract(bench, use_cases, path, report=lambda fraction: None):
    return await use_cases.extractor.extract(ExtractionJob(await bench.store(path), "users/u/jobs/j"), report)


async def test_both_files_have_the_length_of_the_video_to_the_sample(bench, use_cases, left_over):
    fractions: list[float] = []
    found = await extract(bench, use_cases, bench.video(seconds=6.2), fractions.append)
    assert found.duration_ms == 6200
    assert len(await bench.samples(found.programme)) == 6200 * 48
    assert len(await bench.samples(found.speech, rate=16_000, channels=1)) == 6200 * 16
    assert fractions == sorted(fractions)
    assert fractions[-1] > 0.9
    assert left_over() == []


async def test_the_files_are_of_the_kinds_that_are_promised(bench, use_cases):
    found = await extract(bench, use_cases, bench.video(seconds=2))
    kinds = []
    for ref in (found.speech, found.programme):
        shown = ["-show_entries", "stream=codec_name,sample_rate,channels", "-of", "csv=p=0"]
        kinds.append(run("ffprobe", "-v", "error", *shown, str(await bench.fetch(ref))).stdout.strip())
    assert kinds == ["flac,16000,1", "flac,48000,2"]
    assert found.speech.content_type == found.programme.content_type == "audio/flac"


async def test_sound_that_begins_late_begins_as_late(bench, use_cases):
    sound = ("-itsoffset", "1.5", "-f", "lavfi", "-i", "sine=f=440:r=48000:d=3")
    path = bench.make("late.mp4", *PICTURE, *sound, *CODECS)
    found = await extract(bench, use_cases, path)
    assert onset(await bench.samples(found.programme)) == pytest.approx(1.5, abs=0.005)
    assert onset(await bench.samples(found.speech, rate=16_000, channels=1), 16_000) == pytest.approx(1.5, abs=0.005)
    assert found.duration_ms == 6000


async def test_a_picture_that_begins_late_shifts_nothing(bench, use_cases):
    sound = ("-f", "lavfi", "-i", "aevalsrc='if(gte(t,2),0.3*sin(2*PI*440*t),0)':s=48000:d=7")
    path = bench.make("late.mp4", "-itsoffset", "1", *PICTURE, *sound, *CODECS)
    found = await extract(bench, use_cases, path)
    assert onset(await bench.samples(found.programme)) == pytest.approx(2.0, abs=0.005)
    assert found.duration_ms == pytest.approx(7000, abs=2)


async def test_a_gap_in_the_sound_stays_a_gap(bench, use_cases):
    tones = "aevalsrc='if(between(mod(t,2),0,0.5),0.4*sin(2*PI*600*t),0)':s=48000:d=6"
    gap = ("-af", "aselect='not(between(t,1,1.9))'")
    path = bench.make("gap.mkv", *PICTURE, "-f", "lavfi", "-i", tones, *CODECS[:-1], "flac", *gap)
    samples = await bench.samples((await extract(bench, use_cases, path)).programme)
    starts = [onset(samples[int(second * 48_000) :]) + second for second in (0, 1.2, 3.2)]
    assert starts == [pytest.approx(0, abs=0.005), pytest.approx(2, abs=0.03), pytest.approx(4, abs=0.03)]


@pytest.mark.parametrize("seconds", [2, 9])
async def test_sound_of_another_length_is_padded_or_cut(bench, use_cases, seconds):
    sound = ("-f", "lavfi", "-i", f"sine=r=44100:d={seconds}")
    found = await extract(bench, use_cases, bench.make("odd.mp4", *PICTURE, *sound, *CODECS))
    samples = await bench.samples(found.programme)
    assert len(samples) == 6 * 48_000
    assert bool(np.abs(samples[-48_000:]).max() > 0.01) is (seconds > 6)


@pytest.mark.parametrize("channels", ["mono", "stereo", "5.1"])
async def test_the_loudness_is_what_ffmpeg_measures(bench, use_cases, channels):
    noise = f"anoisesrc=c=pink:r=48000:d=8:a=0.3,aformat=channel_layouts={channels}"
    found = await extract(bench, use_cases, bench.make("a.mkv", "-f", "lavfi", "-i", noise, "-c:a", "flac"))
    listen = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(await bench.fetch(found.programme))]
    said = run(*listen, "-af", "ebur128", "-f", "null", "-").stderr
    measured = float(re.findall(r"I:\s+(-?[\d.]+) LUFS", said)[-1])
    assert found.loudness_lufs == pytest.approx(measured, abs=0.1)


async def test_silence_has_a_loudness_too(bench, use_cases):
    found = await extract(bench, use_cases, bench.video(seconds=2, sound="anullsrc=r=48000"))
    assert found.loudness_lufs == -70.0


async def test_a_video_without_sound_is_refused(bench, use_cases):
    with pytest.raises(InvalidInput) as caught:
        await extract(bench, use_cases, bench.video(sound=""))
    assert caught.value.reason == "no_audio"


async def test_a_repeat_is_found_without_any_work(bench, use_cases, file_storage, temp_dir):
    path = bench.video(seconds=2)
    first = await extract(bench, use_cases, path)
    nothing_allowed = Ffmpeg(MediaLimits(time_limit_s=0, probe_time_limit_s=0, max_file_bytes=0), temp_dir)
    again = Extractor(file_storage, nothing_allowed)
    assert await again.extract(ExtractionJob(await bench.store(path), "users/u/jobs/j")) == first
