"""The client's view of a running job."""

from __future__ import annotations

from onevoice_cli.client.follow import JobView
from onevoice_cli.client.sse import Event


def view_after(*events: tuple[str, dict[str, object]]) -> JobView:
    view = JobView("j")
    for kind, data in events:
        view.take_event(Event("1", kind, data))
    return view


def test_progress_without_a_language_is_the_jobs_own():
    view = view_after(("job.progress", {"stage": "transcribe", "percent": 12}))
    assert (view.job.status, view.job.stage, view.job.percent) == ("processing", "transcribe", 12)
    assert view.languages == {}


def test_each_language_goes_on_by_itself():
    view = view_after(
        ("job.progress", {"stage": "synthesize", "percent": 50, "language": "es"}),
        ("line.ready", {"language": "es", "start_ms": 0, "text": "hola"}),
        ("language.completed", {"language": "es"}),
        ("language.failed", {"language": "xx", "reason": "unsupported_language", "message": "No engine."}),
    )
    assert (view.languages["es"].status, view.languages["es"].percent, view.languages["es"].lines) == (
        "completed",
        100,
        1,
    )
    assert (view.languages["xx"].status, view.languages["xx"].problem) == ("failed", "No engine.")
    assert not view.finished


def test_a_terminal_event_finishes_the_job():
    assert view_after(("job.cancelled", {})).finished


def test_percentages_do_not_run_backwards_when_events_repeat():
    view = view_after(("job.progress", {"percent": 60}), ("job.progress", {"percent": 40}))
    assert view.job.percent == 60


def test_an_unknown_event_is_ignored():
    assert view_after(("job.something_new", {"x": 1})).job.status == "pending"


def test_a_snapshot_fills_everything():
    view = JobView("j")
    view.take_snapshot(
        {
            "status": "failed",
            "stage": "mux",
            "progress": 80,
            "error": {"reason": "bad_media", "message": "It is broken."},
            "languages": [{"language": "es", "status": "cancelled", "stage": "", "progress": 10}],
        }
    )
    assert (view.job.status, view.job.problem, view.languages["es"].status) == ("failed", "It is broken.", "cancelled")
    assert view.finished
