"""The printed output."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from onevoice_cli.client.follow import JobView
from onevoice_cli.client.show import Show, metrics_table
from onevoice_cli.client.sse import Event
from onevoice_cli.client.status import health_table, jobs_table


def text_of(*things: object) -> str:
    console = Console(file=io.StringIO(), width=160)
    for thing in things:
        console.print(thing)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_without_a_terminal_each_change_is_one_plain_line():
    out = io.StringIO()
    view = JobView("j")
    with Show(Console(file=out)).job() as update:
        for percent in (10, 20):
            view.take_event(Event("1", "job.progress", {"stage": "transcribe", "percent": percent}))
            update(view)
        view.take_event(Event("2", "language.completed", {"language": "es"}))
        update(view)
    assert out.getvalue() == "job: transcribe (10%)\nes: completed\n"


def test_the_summary_names_every_measure_and_a_missing_one_is_a_dash():
    metrics = {
        "planned": {"speed_p50": 1.034},
        "measured": {"coverage": 1.0, "onset_error_p95_ms": 88, "loudness_lufs": -20.44, "length_delta_ms": 0},
    }
    engine = {"name": "whisper", "model": "base", "version": "1"}
    spanish = {"language": "es", "metrics": metrics, "lineage": {"asr": [engine, engine | {"model": "tiny"}]}}
    text = text_of(metrics_table({"languages": [spanish, {"language": "ca"}]}))
    for expected in ("whisper base, whisper tiny", "es", "ca", "100%", "1.03", "88 ms", "-20.4 LUFS", "+0 ms", "–"):
        assert expected in text


@pytest.mark.parametrize(("engine", "shown"), [("apertium", True), ("ct2", False)])
def test_a_draft_names_the_ways_to_better_words(engine, shown):
    out = io.StringIO()
    used = {"name": engine, "model": "en-es", "version": "1"}
    Show(Console(file=out)).results({}, {"languages": [{"language": "es", "lineage": {"translate": used}}]})
    assert ("onevoice models get" in out.getvalue()) is shown


def test_an_engine_that_stopped_working_is_named_with_the_speakers_that_have_another_voice():
    out = io.StringIO()
    found = {"stage": "tts", "from": "one", "to": "two", "reason": "engine_failed", "speakers": ["speaker_1"]}
    source = {"language": "en", "fallbacks": [found | {"reason": "engine_rests", "speakers": []}]}
    languages = [{"language": "es", "fallbacks": [found]}]
    Show(Console(file=out, width=200)).results({}, {"source": source, "languages": languages})
    assert "en: engine one stopped working (engine_rests), and two took over.\n" in out.getvalue()
    expected = "es: engine one stopped working (engine_failed), and two took over; speaker_1 has another voice."
    assert expected in out.getvalue()


def test_health_of_any_shape_becomes_rows():
    text = text_of(
        health_table(
            {
                "status": "ok",
                "database": {"status": "ok", "latency_ms": 1.25},
                "stages": {"asr": {"status": "ok"}, "tts": {"ok": False, "error": "no answer"}},
                "queue": {"visible": 3, "oldest_age_s": None},
                "workers": [],
            }
        )
    )
    for expected in ("database", "latency_ms 1.2", "asr", "tts", "failed", "error no answer", "visible 3"):
        assert expected in text


def test_jobs_become_rows_and_markup_in_names_is_only_text():
    text = text_of(
        jobs_table([{"id": "1", "status": "processing", "stage": "[red]x", "progress": 40, "target_languages": ["es"]}])
    )
    for expected in ("processing", "[red]x", "40%", "es"):
        assert expected in text
