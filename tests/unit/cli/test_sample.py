"""The sample clip is as described: speech where the lines are, music between them."""

from __future__ import annotations

import numpy as np
import pytest

from onevoice_cli import sample
from onevoice_kit.media_exec import Command, Ffmpeg, Input, Output


async def sound(path) -> np.ndarray:
    """Left channel at 48 kHz."""
    ffmpeg = Ffmpeg()
    async with ffmpeg.workspace() as workspace:
        out = workspace.new("f32")
        options = ("-map", "0:a", "-af", "pan=mono|c0=c0", "-ar", "48000", "-f", "f32le")
        await ffmpeg.run(Command((Input(workspace.link(path)),), (Output(out, options),)), workspace)
        return np.fromfile(out.path, dtype=np.float32)


def level_db(samples: np.ndarray, start_ms: float, end_ms: float) -> float:
    part = samples[round(start_ms * 48) : round(end_ms * 48)]
    return float(10 * np.log10(np.mean(part**2) + 1e-12))


async def test_lines_are_spoken_at_their_stated_times_and_music_plays_between(tmp_path):
    clip = await sample.build_clip(tmp_path / "clip.mp4", 24, size=(160, 90))
    assert clip.duration_ms == 24_000
    assert len(clip.lines) == 3
    assert clip.lines[1].text == "he was not an ill disposed young man"
    samples = await sound(clip.path)
    for line, following in zip(clip.lines, clip.lines[1:], strict=False):
        spoken = level_db(samples, line.start_ms, line.end_ms)
        between = level_db(samples, line.end_ms + 500, following.start_ms - 500)
        assert following.start_ms - line.end_ms > 1000
        assert spoken == pytest.approx(sample.SPEECH_RMS_DB, abs=2.5)
        assert -38 < between < -28


async def test_a_clip_has_a_picture_and_a_stereo_track(tmp_path):
    clip = await sample.build_clip(tmp_path / "clip.mp4", 3, speech=False, size=(160, 90))
    assert clip.lines == []
    ffmpeg = Ffmpeg()
    async with ffmpeg.workspace() as workspace:
        listed, _ = await ffmpeg.probe_json(workspace.link(clip.path), workspace, "-show_streams")
    video, audio = listed["streams"]
    assert (video["codec_name"], video["width"], video["r_frame_rate"], video["nb_frames"]) == (
        "h264",
        160,
        "25/1",
        "75",
    )
    assert (audio["codec_name"], audio["channels"], audio["sample_rate"]) == ("aac", 2, "48000")


async def test_silence_can_be_built_too(tmp_path):
    clip = await sample.build_clip(tmp_path / "clip.mp4", 2, speech=False, music=False, size=(160, 90))
    assert level_db(await sound(clip.path), 0, 2000) < -90


def test_blocks_join_without_a_seam():
    recordings = sample._recordings()[:1]
    placed = [(48_000, recordings[0])]
    whole = sample._block(0, 96_000, placed, True)
    halves = np.concatenate([sample._block(0, 50_000, placed, True), sample._block(50_000, 96_000, placed, True)])
    assert np.allclose(whole, halves)
