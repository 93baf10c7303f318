"""The main job, as a user runs it, in both shapes; what comes out is measured from the media itself."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onevoice_cli.sample import Clip
from onevoice_jobs import costs
from onevoice_kit.engines.base import Price, Prices, Unit
from tests.e2e import measure
from tests.e2e.stack import Stack
from tests.e2e.vendors import Vendors

LANGUAGES = ("es", "ca")
FRAME_MS = 40
SEGMENT_KEYS = {
    *("index", "start_ms", "end_ms", "speaker", "source_text", "text", "slot_ms", "natural_ms", "flags"),
    "similarity",
    *("planned", "measured"),
}
PLANNED_KEYS = {
    *("budget_fit", "speed_p50", "speed_p95", "speed_max", "onset_error_p95_ms", "overlap_ms", "overruns", "silent"),
}
MEASURED_KEYS = {
    *("coverage", "dropped", "onset_error_p95_ms", "shift_max_ms", "overlap_ms", "cut", "residue_db"),
    *("loudness_lufs", "source_loudness_lufs", "true_peak_dbtp", "length_delta_ms"),
}


@dataclass(frozen=True)
class Dub:
    """The files of `onevoice dub`."""

    out: Path
    report: dict[str, Any]
    stdout: str

    def language(self, language: str) -> dict[str, Any]:
        """The report's part on a language."""
        return next(part for part in self.report["languages"] if part["language"] == language)


@pytest.fixture(scope="module", params=["local_stack", "aws_stack"])
def dub(request: pytest.FixtureRequest, clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Dub:
    stack: Stack = request.getfixturevalue(request.param)
    out = tmp_path_factory.mktemp("out")
    done = stack.onevoice("dub", str(clip.path), "--to", ",".join(LANGUAGES), "--from", "en", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    return Dub(out, json.loads((out / "report.json").read_text()), done.stdout)


def test_every_promised_file_is_there_and_named_after_the_source(dub: Dub) -> None:
    names = {path.name for path in dub.out.iterdir()}
    assert {f"talk.{lang}.{kind}" for lang in LANGUAGES for kind in ("mp4", "srt", "vtt")} <= names
    assert {"talk.en.srt", "talk.en.vtt", "report.json", "manifest.json"} <= names
    manifest = json.loads((dub.out / "manifest.json").read_text())
    assert {entry["filename"] for entry in manifest["files"]} <= names


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_picture_is_untouched_and_the_length_is_the_source_s(dub: Dub, clip: Clip, language: str) -> None:
    video = dub.out / f"talk.{language}.mp4"
    assert measure.video_hash(video) == measure.video_hash(clip.path)
    for stream in measure.probe(video)["streams"]:
        if stream["codec_type"] in ("video", "audio"):
            assert abs(float(stream["duration"]) * 1000 - clip.duration_ms) <= FRAME_MS, stream
    assert abs(float(measure.probe(video)["format"]["duration"]) * 1000 - clip.duration_ms) <= FRAME_MS


def test_tracks_carry_their_languages_and_the_dub_is_the_default(dub: Dub) -> None:
    audio = measure.streams(dub.out / "talk.es.mp4", "audio")
    assert [stream["tags"]["language"] for stream in audio] == ["spa", "eng"]
    assert [stream["disposition"]["default"] for stream in audio] == [1, 0]
    assert [s["tags"]["language"] for s in measure.streams(dub.out / "talk.es.mp4", "subtitle")] == ["spa"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_loudness_is_the_source_s_and_peaks_stay_below_the_ceiling(dub: Dub, clip: Clip, language: str) -> None:
    lufs, peak = measure.loudness(dub.out / f"talk.{language}.mp4")
    source_lufs, _ = measure.loudness(clip.path)
    assert abs(lufs - source_lufs) <= 1.0
    assert peak <= -1.0
    metrics = dub.language(language)["metrics"]["measured"]
    assert metrics["loudness_lufs"] == pytest.approx(lufs, abs=0.2)
    assert metrics["true_peak_dbtp"] == pytest.approx(peak, abs=0.2)
    assert metrics["source_loudness_lufs"] == pytest.approx(source_lufs, abs=0.3)
    assert metrics["true_peak_dbtp"] <= -1.0


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_music_between_lines_is_unchanged(dub: Dub, clip: Clip, language: str) -> None:
    source, dubbed = measure.decode(clip.path), measure.decode(dub.out / f"talk.{language}.mp4")
    gaps = _silences(dub.language(language)["segments"], clip.duration_ms)
    assert gaps
    for start, end in gaps:
        before, after = measure.cut(source, start, end), measure.cut(dubbed, start, end)
        assert measure.rms_db(after) == pytest.approx(measure.rms_db(before), abs=0.3)
        assert measure.rms_db(after - before) < measure.rms_db(before) - 20


@pytest.mark.parametrize("language", LANGUAGES)
def test_lines_begin_where_the_original_ones_do(dub: Dub, clip: Clip, language: str) -> None:
    dubbed, source = measure.decode(dub.out / f"talk.{language}.mp4"), measure.decode(clip.path)
    # Where the source is not turned down it cancels out; what is left is the dub.
    voice = dubbed - source[: len(dubbed)] * _ducking(dub.language(language)["segments"], len(dubbed))
    # Where a voice sets in is measured in both the same way: a recording may begin with a breath.
    onsets = [measure.onset_ms(source, line.start_ms) for line in clip.lines]
    errors = sorted(abs(measure.onset_ms(voice, onset) - onset) for onset in onsets)
    assert len(errors) >= 4
    assert errors[math.ceil(0.95 * len(errors)) - 1] <= 150, errors


@pytest.mark.parametrize("language", LANGUAGES)
def test_lines_keep_the_dubbing_rules(dub: Dub, clip: Clip, language: str) -> None:
    part = dub.language(language)
    segments, planned, measured = part["segments"], part["metrics"]["planned"], part["metrics"]["measured"]
    assert all(set(segment) == SEGMENT_KEYS for segment in segments)
    assert (set(planned), set(measured)) == (PLANNED_KEYS, MEASURED_KEYS)
    assert all(0.90 <= segment["planned"]["speed"] <= 1.25 for segment in segments)
    for first, second in pairwise(segments):
        assert first["planned"]["end_ms"] <= second["planned"]["start_ms"]
    assert [segment["measured"]["flags"] for segment in segments] == [[]] * len(segments)
    assert (measured["overlap_ms"], measured["dropped"], measured["cut"]) == (0, 0, 0)
    assert measured["coverage"] >= 0.98
    assert planned["onset_error_p95_ms"] <= 150
    assert measured["onset_error_p95_ms"] <= 200, "the planned onset, and the silence before the first sound of a clip"
    assert abs(measured["length_delta_ms"]) <= FRAME_MS
    spoken = sum(line.end_ms - line.start_ms for line in clip.lines)
    assert sum(s["end_ms"] - s["start_ms"] for s in segments) > 0.7 * spoken


def test_the_report_names_job_source_and_lineage(dub: Dub, clip: Clip) -> None:
    assert set(dub.report) == {"job_id", "source", "languages", "cost_usd"}
    cost = [{"stage": "asr", "engine": "pocketsphinx", "usd": "0.000000"}]
    assert dub.report["source"] == {
        "language": "en",
        "duration_ms": clip.duration_ms,
        "unheard": [],
        "separation": {"engine": "none", "reason": "Separation is off: the engine is “none”."},
        "cost": cost,
        "fallbacks": [],
    }
    assert [part["fallbacks"] for part in dub.report["languages"]] == [[]] * len(LANGUAGES)
    assert (dub.report["cost_usd"], dub.language("es")["cost"][1]["engine"]) == ("0.000000", "espeak")
    assert dub.language("es")["terminology"] is None
    lineage = dub.language("es")["lineage"]
    assert {stage: lineage[stage]["name"] for stage in ("asr", "translate", "tts")} == {
        "asr": "pocketsphinx",
        "translate": "apertium",
        "tts": "espeak",
    }
    assert all(lineage[stage]["version"] for stage in ("asr", "translate", "tts"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_captions_say_what_is_spoken_when_it_is_spoken(dub: Dub, language: str) -> None:
    srt = (dub.out / f"talk.{language}.srt").read_text()
    text = " ".join(line for line in srt.splitlines() if line and "-->" not in line and not line.isdigit())
    assert text.split() == " ".join(s["text"] for s in dub.language(language)["segments"]).split()
    assert max(len(line) for line in srt.splitlines()) <= 42
    assert (dub.out / f"talk.{language}.vtt").read_text().startswith("WEBVTT\n")


STAGES = {"asr": "deepgram", "terms": "openai", "translate": "openai", "tts": "elevenlabs"}


def test_a_dub_by_vendors_costs_what_the_estimate_makes_of_the_use_that_they_count(
    local_stack: Stack, vendors: Vendors, clip: Clip, tmp_path: Path
) -> None:
    command = ["dub", str(clip.path), "--to", "es", "--from", "en", "--out", str(tmp_path)]
    command += [part for stage in ("asr", "translate", "tts") for part in (f"--{stage}", STAGES[stage])]
    shown = local_stack.onevoice(*command, "--estimate")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert not any(vendors.used().values()), "an estimate calls no vendor"

    done = local_stack.onevoice(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    reported, used = [*report["source"]["cost"], *report["languages"][0]["cost"]], vendors.used()
    with local_stack.client() as client:
        catalogue = client.get("/api/engines").json()
        body = {"duration_ms": clip.duration_ms, "target_languages": ["es"], "source_language": "en"}
        engines = {stage: STAGES[stage] for stage in ("asr", "translate", "tts")}
        expected = client.post("/api/billing/estimate", json={**body, "engines": engines}).json()["costs"]
    prices = {stage: _prices(catalogue[stage.replace("terms", "translate")], name) for stage, name in STAGES.items()}
    paid = [costs.cost(stage, name, prices[stage], used[stage]) for stage, name in STAGES.items()]
    assert reported == costs.report(paid)
    assert report["cost_usd"] == costs.total_usd(paid)
    assert all(used[stage] for stage in ("asr", "translate", "tts"))
    assert [(cost["stage"], cost["engine"]) for cost in expected] == list(STAGES.items())
    assert all(cost["units"] and Decimal(cost["usd"]) > 0 for cost in expected)
    assert Decimal(expected[0]["usd"]) >= Decimal(reported[0]["usd"]), "all of the source counts as speech"


def _prices(engines: list[dict[str, Any]], name: str) -> Prices:
    """The list prices of an engine, as the catalogue has them."""
    listed = next(engine["prices"] for engine in engines if engine["name"] == name)
    return tuple(Price(usd=Decimal(one["usd"]), unit=Unit(one["unit"])) for one in listed)


def _silences(segments: list[dict[str, Any]], duration_ms: int) -> list[tuple[float, float]]:
    """The stretches without speech in original and dub, half a second shorter at both ends."""
    speech = sorted(
        (min(s["start_ms"], s["planned"]["start_ms"]), max(s["end_ms"], s["planned"]["end_ms"])) for s in segments
    )
    edges = [0, *(edge for span in speech for edge in span), duration_ms]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return [(start + 500, end - 500) for start, end in gaps if end - start > 1_300]


def _ducking(segments: list[dict[str, Any]], length: int) -> Any:
    """1 where the source keeps its level, 0 where it is turned down."""
    gain = np.ones(length, dtype=np.float32)
    for segment in segments:
        start = min(segment["start_ms"], segment["planned"]["start_ms"]) - 100
        end = max(segment["end_ms"], segment["planned"]["end_ms"]) + 100
        gain[max(0, start * measure.RATE // 1000) : end * measure.RATE // 1000] = 0
    return gain
