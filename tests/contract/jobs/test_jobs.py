"""What every job engine does for a worker and for those who watch: fencing, checkpoints, events, ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from onevoice_jobs.leases import Claim, LeaseLost, Refused
from onevoice_jobs.records import (
    Artifact,
    Event,
    JobError,
    Published,
    Segment,
    StepRecord,
    StepResult,
    Translation,
    Word,
)
from onevoice_jobs.states import JobStatus, LanguageStatus
from onevoice_jobs.store import JobStore
from onevoice_jobs.testing import completed, finish_step
from onevoice_kit.errors import Conflict
from onevoice_kit.storage.base import ObjectRef

REF = ObjectRef("file:///users/u/jobs/j/a.flac", "b" * 64, 99, "audio/flac")
SEGMENT = Segment(0, 0, 100, 900, "speaker_1", "hello world", (Word("hello", 100, 400, 0.9), Word("world", 450, 900)))
TRANSLATION = Translation("es", 0, "hola mundo", REF, 880, 100, 980, 1.0, 0, ("borrowed_after",))
VIDEO = Artifact("video", "es", "talk.es.mp4", REF)
FAILURE = JobError("engine_failed", "The engine failed.")

WRITES: dict[str, Callable[[JobStore], Awaitable[Any]]] = {
    "finish_step": lambda store: finish_step(store, "s", "h", {}),
    "finish_step_with_event": lambda store: finish_step(store, "s", "h", {}, Published(events=(Event("x"),))),
    "finish_step_with_segments": lambda store: finish_step(store, "cut", "h", {}, Published(segments=(SEGMENT,))),
    "finish_step_with_translations": lambda store: finish_step(
        store, "fit", "h", {}, Published(translations=(TRANSLATION,))
    ),
    "finish_step_with_artifact": lambda store: finish_step(store, "done", "h", {}, Published(artifacts=(VIDEO,))),
    "forget_results": lambda store: store.forget_results(),
    "set_progress": lambda store: store.set_progress("asr", 10),
    "set_language_progress": lambda store: store.set_progress("tts", 10, language="es"),
    "finish_step_with_language": lambda store: finish_step(store, "done:es", "h", {}, completed("es", {})),
    "language_failed": lambda store: store.language_failed("es", FAILURE),
    "event": lambda store: store.record(Event("line.ready", {})),
    "cancel_requested": lambda store: store.cancel_requested(),
    "job_completed": lambda store: store.job_completed(spent_credits=1, metrics={}),
    "job_failed": lambda store: store.job_failed(FAILURE),
    "job_cancelled": lambda store: store.job_cancelled(),
}


async def claim(under_test, job_id, owner="worker-1", *, ttl_s=120.0, max_attempts=5, sent_at=None) -> Claim | Refused:
    answer: Claim | Refused = await under_test.jobs.claim(
        job_id, owner, ttl_s=ttl_s, max_attempts=max_attempts, sent_at=sent_at
    )
    return answer


async def types(under_test, job_id) -> list[str]:
    return [event.type for event in await under_test.events(job_id)]


async def snapshot(under_test, job_id) -> list[Any]:
    job, languages = await under_test.job(job_id), await under_test.languages(job_id)
    return [job, list(languages), list(await under_test.events(job_id)), list(await under_test.artifacts(job_id))]


async def test_a_submitted_job_is_pending_announced_and_queued(under_test):
    job_id = await under_test.submit(priority=10)
    job = await under_test.job(job_id)
    assert (job.status, job.attempts, job.lease_epoch, job.quoted_credits) == (JobStatus.PENDING, 0, 0, 120)
    assert (job.deadline_at - job.created_at).total_seconds() == pytest.approx(24 * 3600, abs=5)
    (event,) = await under_test.events(job_id)
    assert (event.id, event.type, event.data) == (1, "job.created", {"languages": ["es", "ca"]})
    assert await under_test.sent() == [(job_id, "1", 10)]
    assert [task.status for task in await under_test.languages(job_id)] == [LanguageStatus.PENDING] * 2


@pytest.mark.parametrize("write", list(WRITES.values()), ids=list(WRITES))
async def test_a_stale_holder_changes_nothing(under_test, take, write):
    job_id = await under_test.submit()
    stale = await take(job_id, ttl_s=0)
    present = await take(job_id, "worker-2")
    before = await snapshot(under_test, job_id)
    with pytest.raises(LeaseLost):
        await write(stale)
    assert await snapshot(under_test, job_id) == before
    assert (await present.completed_steps(), await present.segments(), await present.translations("es")) == ({}, [], [])


@pytest.mark.parametrize("write", list(WRITES.values()), ids=list(WRITES))
async def test_nothing_is_written_after_the_end(under_test, take, write):
    job_id = await under_test.submit()
    store = await take(job_id)
    await store.job_completed(spent_credits=1, metrics={})
    before = await snapshot(under_test, job_id)
    with pytest.raises(LeaseLost):
        await write(store)
    assert await snapshot(under_test, job_id) == before


async def test_steps_are_remembered_with_their_newest_result(under_test, take):
    store = await take(await under_test.submit(), ttl_s=0)
    await store.finish_steps([StepResult("mix", "hash-1", {"a": [1, None]}, attempts=3), StepResult("mux", "h", {})])
    await finish_step(store, "mux", "hash-10", {"b": 2})
    assert await store.completed_steps() == {
        "mix": StepRecord("mix", "hash-1", 3, {"a": [1, None]}),
        "mux": StepRecord("mux", "hash-10", 1, {"b": 2}),
    }


async def test_a_step_that_is_written_again_tells_nothing_twice(under_test, take):
    """Whoever writes it again does not know whether it was written: the answer was lost."""
    job_id = await under_test.submit()
    store = await take(job_id)
    said, other = (StepResult(key, "h", {}, Published(events=(Event(f"{key} said"),))) for key in "ab")
    await store.finish_steps([said])
    await store.finish_steps([said, other], again=True)
    assert (await types(under_test, job_id))[2:] == ["a said", "b said"]
    await finish_step(store, "a", "another input", {}, Published(events=(Event("a said else"),)))
    assert (await types(under_test, job_id))[4:] == ["a said else"]


async def test_lines_and_artifacts_are_stored_and_replaced(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    later, unfitted = Segment(1, 0, 1000, 1500, "speaker_2", "¿qué?"), Translation("es", 1, "¿qué?")
    await finish_step(
        store,
        "cut",
        "h",
        {},
        Published(
            segments=(
                later,
                SEGMENT,
            )
        ),
    )
    await finish_step(store, "cut", "h", {}, Published(segments=(replace(SEGMENT, source_text="hullo"),)))
    assert await store.segments() == [replace(SEGMENT, source_text="hullo"), later]
    await finish_step(
        store, "fit", "h", {}, Published(translations=(unfitted, TRANSLATION, Translation("ca", 0, "hola món")))
    )
    assert await store.translations("es") == [TRANSLATION, unfitted]
    report = Artifact("report", None, "report.json", REF)
    await finish_step(store, "done", "h", {}, Published(artifacts=(report, VIDEO)))
    await finish_step(store, "done", "h", {}, Published(artifacts=(replace(report, ref=replace(REF, size=100)),)))
    found = await under_test.artifacts(job_id)
    assert [(item.kind, item.language, item.ref.size) for item in found] == [("report", None, 100), ("video", "es", 99)]
    await store.forget_results()
    assert [await store.segments(), await store.translations("es"), await under_test.artifacts(job_id)] == [[], [], []]


async def test_progress_is_shown_and_never_goes_back(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    told = [await store.set_progress("asr", 40.2), await store.set_progress("asr", 40.9)]
    told += [await store.set_progress("mix", 20), await store.set_progress("tts", 33, language="ca")]
    assert told == [True, False, True, True]
    job, (_, catalan) = await under_test.job(job_id), await under_test.languages(job_id)
    assert (job.stage, job.progress, job.estimated_completion is not None) == ("mix", 40.2, True)
    assert (catalan.status, catalan.stage, catalan.progress) == (LanguageStatus.PROCESSING, "tts", 33)
    assert [event.id for event in await under_test.events(job_id)] == [1, 2, 3, 4, 5]


async def test_a_language_that_has_ended_stays_as_it_ended_and_tells_no_more(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    await finish_step(store, "done:es", "h", {}, completed("es", {"coverage": 1.0}))
    await store.language_failed("es", FAILURE)
    await store.set_progress("tts", 5, language="es")
    await store.language_failed("ca", FAILURE)
    spanish, catalan = await under_test.languages(job_id)
    assert (spanish.status, spanish.progress, spanish.metrics) == (LanguageStatus.COMPLETED, 100, {"coverage": 1.0})
    assert (catalan.status, catalan.error) == (LanguageStatus.FAILED, FAILURE)
    assert (await types(under_test, job_id))[2:] == ["language.completed", "language.failed"]


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
async def test_the_end_of_a_job_ends_its_open_languages(under_test, take, status):
    job_id = await under_test.submit()
    store = await take(job_id)
    await finish_step(store, "done:es", "h", {}, completed("es", {}))
    await (store.job_failed(FAILURE) if status is JobStatus.FAILED else store.job_cancelled())
    job, (spanish, catalan) = await under_test.job(job_id), await under_test.languages(job_id)
    assert (job.status, job.spent_credits, job.completed_at is not None) == (status, 0, True)
    assert (spanish.status.value, catalan.status.value) == ("completed", status.value)
    assert job.error == (FAILURE if status is JobStatus.FAILED else None)


async def test_a_job_is_never_spent_above_its_quote(under_test, take):
    store = await take(await under_test.submit(quoted_credits=10))
    with pytest.raises(IntegrityError):
        await store.job_completed(spent_credits=11, metrics={})
    assert not await store.cancel_requested()


async def test_a_failed_job_resumes_after_its_last_good_step(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    await finish_step(store, "asr:0", "hash", {"words": 3})
    await finish_step(store, "done:ca", "h", {}, completed("ca", {}))
    with pytest.raises(Conflict):
        await under_test.resume(job_id)
    await store.job_failed(FAILURE)
    await under_test.resume(job_id, "again")
    job, languages = await under_test.job(job_id), await under_test.languages(job_id)
    assert (job.status, job.attempts, job.error, job.spent_credits) == (JobStatus.PENDING, 0, None, None)
    assert (job.resumes, job.reservation) == (1, "again")
    assert [task.status.value for task in languages] == ["pending", "completed"]
    assert (await types(under_test, job_id))[-1] == "job.resumed"
    assert [sent[0] for sent in await under_test.sent()] == [job_id] * 2
    assert set(await (await take(job_id)).completed_steps()) == {"asr:0", "done:ca"}


async def test_open_jobs_that_nobody_holds_get_another_message(under_test, take):
    lost, held, crashed, done = [await under_test.submit() for _ in range(4)]
    await take(held)
    await take(crashed, ttl_s=0)
    await (await take(done)).job_failed(FAILURE)
    assert await under_test.requeue_stuck(older_than_s=60) == []
    assert await under_test.requeue_stuck(older_than_s=0, limit=1) == [lost]
    assert set(await under_test.requeue_stuck(older_than_s=0)) == {lost, crashed}
    assert (await under_test.sent())[-1] in {(lost, "1", 0), (crashed, "2", 0)}


async def test_people_are_told_of_an_end_once_for_each_run(under_test, take):
    job_id = await under_test.submit(notify_email="owner@example.org")
    await (await take(job_id)).job_failed(FAILURE)
    await under_test.resume(job_id)
    await (await take(job_id)).job_completed(spent_credits=1, metrics={})
    told = await under_test.notifications()
    assert {key: (kind, recipient) for key, (kind, recipient, _) in told.items()} == {
        f"mail:{job_id}:failed": ("mail", "owner@example.org"),
        f"alert:{job_id}:failed": ("alert", ""),
        f"mail:{job_id}:completed:1": ("mail", "owner@example.org"),
    }
    assert told[f"alert:{job_id}:failed"][2]["error"]["reason"] == "engine_failed"


async def test_a_cancelled_job_is_told_to_nobody(under_test, take):
    await (await take(await under_test.submit(notify_email="owner@example.org"))).job_cancelled()
    assert await under_test.notifications() == {}


async def test_late_jobs_that_nobody_holds_are_overdue(under_test, take):
    late, held, _, done = [await under_test.submit(deadline_s=seconds) for seconds in (0, 0, 60, 0)]
    await take(held)
    await (await take(done)).job_failed(FAILURE)
    assert await under_test.overdue() == [late]
