"""What every job engine does for a worker and for those who watch: leases, fencing, checkpoints, events, ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from onevoice_jobs.leases import Claim, LeaseLost, Refusal, Refused, Verdict
from onevoice_jobs.queries import PAYMENT_STEPS
from onevoice_jobs.records import Artifact, Event, JobError, Segment, Shown, StepRecord, StepResult, Translation, Word
from onevoice_jobs.states import JobStatus, LanguageStatus, StepStatus
from onevoice_jobs.store import JobStore
from onevoice_jobs.testing import completed
from onevoice_kit.db import uuid7
from onevoice_kit.errors import Conflict, NotFound
from onevoice_kit.storage.base import ObjectRef

REF = ObjectRef("file:///users/u/jobs/j/a.flac", "b" * 64, 99, "audio/flac")
SEGMENT = Segment(0, 0, 100, 900, "speaker_1", "hello world", (Word("hello", 100, 400, 0.9), Word("world", 450, 900)))
TRANSLATION = Translation("es", 0, "hola mundo", REF, 880, 100, 980, 1.0, 0, ("borrowed_after",))
VIDEO = Artifact("video", "es", "talk.es.mp4", REF)
FAILURE = JobError("engine_failed", "The engine failed.")

WRITES: dict[str, Callable[[JobStore], Awaitable[Any]]] = {
    "finish_step": lambda store: store.finish_step("s", "h", {}),
    "finish_step_with_event": lambda store: store.finish_step("s", "h", {}, Shown(events=(Event("x"),))),
    "finish_step_with_segments": lambda store: store.finish_step("cut", "h", {}, Shown(segments=(SEGMENT,))),
    "finish_step_with_translations": lambda store: store.finish_step(
        "fit", "h", {}, Shown(translations=(TRANSLATION,))
    ),
    "finish_step_with_artifact": lambda store: store.finish_step("done", "h", {}, Shown(artifacts=(VIDEO,))),
    "forget_results": lambda store: store.forget_results(),
    "set_progress": lambda store: store.set_progress("asr", 10),
    "set_language_progress": lambda store: store.set_progress("tts", 10, language="es"),
    "finish_step_with_language": lambda store: store.finish_step("done:es", "h", {}, completed("es", {})),
    "language_failed": lambda store: store.language_failed("es", FAILURE),
    "event": lambda store: store.event("line.ready", {}),
    "cancel_requested": lambda store: store.cancel_requested(),
    "job_completed": lambda store: store.job_completed(spent_credits=1, metrics={}),
    "job_failed": lambda store: store.job_failed(FAILURE),
    "job_cancelled": lambda store: store.job_cancelled(),
}


async def claim(under_test, job_id, owner="worker-1", *, ttl_s=120.0, max_attempts=5) -> Claim | Refused:
    answer: Claim | Refused = await under_test.jobs.claim(job_id, owner, ttl_s=ttl_s, max_attempts=max_attempts)
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


async def test_a_claim_starts_a_pending_job_once(under_test):
    job_id = await under_test.submit()
    answers = [await claim(under_test, job_id, ttl_s=0) for _ in range(3)]
    assert all(isinstance(answer, Claim) for answer in answers)
    seen = [(answer.lease.epoch, answer.job.attempts, answer.verdict, answer.resumed) for answer in answers]  # type: ignore[union-attr]
    assert seen == [(1, 1, Verdict.RUN, False), (2, 2, Verdict.RUN, True), (3, 3, Verdict.RUN, True)]
    assert await types(under_test, job_id) == ["job.created", "job.started"]


async def test_claims_are_refused_with_the_reason(under_test):
    job_id = await under_test.submit()
    assert await claim(under_test, uuid7()) == Refused(Refusal.UNKNOWN, None)
    await claim(under_test, job_id)
    held = await claim(under_test, job_id, "worker-2")
    assert isinstance(held, Refused)
    assert (held.reason, 100 < held.retry_in_s <= 120) == (Refusal.HELD, True)


async def test_a_claim_made_again_by_the_same_owner_finds_its_own_lease(under_test):
    job_id = await under_test.submit()
    first = await claim(under_test, job_id, "worker-1/a", ttl_s=60, max_attempts=1)
    again = await claim(under_test, job_id, "worker-1/a", ttl_s=90, max_attempts=1)
    assert isinstance(first, Claim)
    assert isinstance(again, Claim)
    assert again.lease.until > first.lease.until
    assert (again.lease.epoch, again.lease.owner) == (first.lease.epoch, first.lease.owner)
    assert (again.job.attempts, again.job.status, again.verdict) == (1, JobStatus.PROCESSING, Verdict.RUN)
    assert await types(under_test, job_id) == ["job.created", "job.started"]
    other = await claim(under_test, job_id, "worker-1/b")
    assert isinstance(other, Refused)
    assert other.reason is Refusal.HELD
    await under_test.jobs.store(first.lease).finish_step("probe", "h", {})


async def test_a_claim_made_again_after_its_lease_is_another_attempt(under_test):
    job_id = await under_test.submit()
    await claim(under_test, job_id, "worker-1/a", ttl_s=0)
    again = await claim(under_test, job_id, "worker-1/a")
    assert isinstance(again, Claim)
    assert (again.lease.epoch, again.job.attempts) == (2, 2)


async def test_a_claim_made_again_hears_of_a_cancel(under_test):
    job_id = await under_test.submit()
    await claim(under_test, job_id, "worker-1/a")
    await under_test.cancel(job_id)
    again = await claim(under_test, job_id, "worker-1/a")
    assert isinstance(again, Claim)
    assert again.verdict is Verdict.CANCEL


async def test_an_ended_job_is_refused_and_shown(under_test, take):
    job_id = await under_test.submit()
    await (await take(job_id)).job_completed(spent_credits=10, metrics={"a": 1})
    answer = await claim(under_test, job_id)
    assert isinstance(answer, Refused)
    assert answer.reason is Refusal.ENDED
    assert answer.job is not None
    assert (answer.job.status, answer.job.progress, answer.job.metrics) == (JobStatus.COMPLETED, 100, {"a": 1})


async def test_the_sixth_attempt_is_not_run(under_test):
    job_id = await under_test.submit()
    verdicts = [getattr(await claim(under_test, job_id, ttl_s=0), "verdict", None) for _ in range(6)]
    assert verdicts == [Verdict.RUN] * 5 + [Verdict.EXHAUSTED]


async def test_a_job_past_its_deadline_stays_pending_and_can_be_failed(under_test, take):
    job_id = await under_test.submit(deadline_s=0)
    answer = await claim(under_test, job_id, ttl_s=0)
    assert isinstance(answer, Claim)
    assert (answer.verdict, answer.job.status) == (Verdict.OVERDUE, JobStatus.PENDING)
    await (await take(job_id)).job_failed(FAILURE)
    assert await types(under_test, job_id) == ["job.created", "job.failed"]


async def test_a_renewed_lease_lasts_and_tells_of_a_cancel(under_test):
    job_id = await under_test.submit()
    first = await claim(under_test, job_id, ttl_s=0)
    assert isinstance(first, Claim)
    renewal = await under_test.jobs.renew(first.lease, ttl_s=60)
    assert renewal.lease.until > first.lease.until
    assert not renewal.cancel_requested
    assert isinstance(await claim(under_test, job_id, "worker-2"), Refused)
    assert await under_test.cancel(job_id) is JobStatus.PROCESSING
    assert (await under_test.jobs.renew(renewal.lease, ttl_s=60)).cancel_requested


@pytest.mark.parametrize(("counted", "attempts"), [(True, 2), (False, 1)])
async def test_a_lease_given_back_is_free_at_once(under_test, counted, attempts):
    job_id = await under_test.submit()
    first = await claim(under_test, job_id)
    assert isinstance(first, Claim)
    await under_test.jobs.give_back(first.lease, count_attempt=counted)
    with pytest.raises(LeaseLost):
        await under_test.jobs.renew(first.lease, ttl_s=60)
    second = await claim(under_test, job_id, "worker-2")
    assert isinstance(second, Claim)
    assert (second.job.attempts, second.lease.epoch) == (attempts, 3)
    await under_test.jobs.give_back(first.lease, count_attempt=True)
    assert (await under_test.jobs.renew(second.lease, ttl_s=60)).lease.epoch == 3


@pytest.mark.parametrize("counted", [True, False])
async def test_a_lease_given_back_twice_is_given_back_once(under_test, counted):
    job_id = await under_test.submit()
    first = await claim(under_test, job_id, ttl_s=0)
    second = await claim(under_test, job_id)
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    for _ in range(2):
        await under_test.jobs.give_back(second.lease, count_attempt=counted)
    job = await under_test.job(job_id)
    assert (job.attempts, job.lease_epoch) == (2 if counted else 1, 3)


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
    await store.finish_steps([StepResult("mix", "hash-1", {"a": [1, None]}), StepResult("mux", "hash-9", {})])
    await store.finish_step("mux", "hash-10", {"b": 2})
    assert await store.completed_steps() == {
        "mix": StepRecord("mix", "hash-1", StepStatus.COMPLETED, 1, {"a": [1, None]}),
        "mux": StepRecord("mux", "hash-10", StepStatus.COMPLETED, 1, {"b": 2}),
    }


async def test_a_step_that_is_written_again_tells_nothing_twice(under_test, take):
    """Whoever writes it again does not know whether it was written: the answer was lost."""
    job_id = await under_test.submit()
    store = await take(job_id)
    said, other = (StepResult(key, "h", {}, Shown(events=(Event(f"{key} said"),))) for key in "ab")
    await store.finish_steps([said])
    await store.finish_steps([said, other], again=True)
    assert (await types(under_test, job_id))[2:] == ["a said", "b said"]
    await store.finish_step("a", "another input", {}, Shown(events=(Event("a said else"),)))
    assert (await types(under_test, job_id))[4:] == ["a said else"]


async def test_lines_and_artifacts_are_stored_and_replaced(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    later, unfitted = Segment(1, 0, 1000, 1500, "speaker_2", "¿qué?"), Translation("es", 1, "¿qué?")
    await store.finish_step(
        "cut",
        "h",
        {},
        Shown(
            segments=(
                later,
                SEGMENT,
            )
        ),
    )
    await store.finish_step("cut", "h", {}, Shown(segments=(replace(SEGMENT, source_text="hullo"),)))
    assert await store.segments() == [replace(SEGMENT, source_text="hullo"), later]
    await store.finish_step(
        "fit", "h", {}, Shown(translations=(unfitted, TRANSLATION, Translation("ca", 0, "hola món")))
    )
    assert await store.translations("es") == [TRANSLATION, unfitted]
    report = Artifact("report", None, "report.json", REF)
    await store.finish_step("done", "h", {}, Shown(artifacts=(report, VIDEO)))
    await store.finish_step("done", "h", {}, Shown(artifacts=(replace(report, ref=replace(REF, size=100)),)))
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
    await store.finish_step("done:es", "h", {}, completed("es", {"coverage": 1.0}))
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
    await store.finish_step("done:es", "h", {}, completed("es", {}))
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


async def test_a_job_nobody_works_on_is_cancelled_at_once_and_whoever_did_is_fenced_off(under_test, take):
    job_id = await under_test.submit()
    zombie = await take(job_id, ttl_s=0)
    assert [await under_test.cancel(job_id), await under_test.cancel(job_id)] == [JobStatus.CANCELLED] * 2
    assert {task.status for task in await under_test.languages(job_id)} == {LanguageStatus.CANCELLED}
    assert await types(under_test, job_id) == ["job.created", "job.started", "job.cancelled"]
    with pytest.raises(LeaseLost):
        await zombie.job_completed(spent_credits=1, metrics={})
    with pytest.raises(NotFound):
        await under_test.cancel(job_id, uuid7())


@pytest.mark.parametrize("step", PAYMENT_STEPS)
async def test_a_job_that_may_be_paid_for_is_left_to_the_next_worker_who_can_deliver_it(under_test, take, step):
    job_id = await under_test.submit()
    await (await take(job_id, ttl_s=0)).finish_step(step, "hash", {"value": 1})
    assert [await under_test.cancel(job_id), await under_test.cancel(job_id)] == [JobStatus.PROCESSING] * 2
    assert (await under_test.job(job_id)).cancel_requested_at is not None
    claimed = await claim(under_test, job_id, "worker-2")
    assert isinstance(claimed, Claim)
    assert claimed.verdict is Verdict.CANCEL
    await under_test.jobs.store(claimed.lease).job_completed(spent_credits=1, metrics={})
    assert (await types(under_test, job_id))[2:] == ["job.cancel_requested", "job.completed"]


async def test_a_resumed_job_that_may_be_paid_for_can_be_delivered_although_it_is_cancelled(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    await store.finish_step("settle", "hash", {"value": 1})
    await store.job_failed(FAILURE, spent_credits=1)
    await under_test.resume(job_id)
    assert await under_test.cancel(job_id) is JobStatus.PENDING
    claimed = await claim(under_test, job_id, "worker-2")
    assert isinstance(claimed, Claim)
    assert (claimed.verdict, claimed.job.status) == (Verdict.CANCEL, JobStatus.PROCESSING)
    await under_test.jobs.store(claimed.lease).job_completed(spent_credits=1, metrics={})
    told = ["job.failed", "job.resumed", "job.cancel_requested", "job.started", "job.completed"]
    assert (await types(under_test, job_id))[2:] == told


async def test_a_job_whose_last_steps_are_yet_to_be_done_is_cancelled_at_once(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id, ttl_s=0)
    await store.finish_step("report", "hash", {"value": 1})
    await store.fail_step("manifest", "hash", FAILURE)
    assert await under_test.cancel(job_id) is JobStatus.CANCELLED


async def test_a_job_in_work_is_told_once_that_it_is_cancelled(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    assert [await under_test.cancel(job_id), await under_test.cancel(job_id)] == [JobStatus.PROCESSING] * 2
    assert await store.cancel_requested()
    await store.job_cancelled()
    assert (await types(under_test, job_id))[2:] == ["job.cancel_requested", "job.cancelled"]
    assert await under_test.cancel(job_id) is JobStatus.CANCELLED


async def test_a_cancelled_job_whose_worker_died_is_claimed_to_be_cancelled(under_test):
    job_id = await under_test.submit()
    first = await claim(under_test, job_id)
    assert isinstance(first, Claim)
    await under_test.cancel(job_id)
    await under_test.jobs.renew(first.lease, ttl_s=0)
    second = await claim(under_test, job_id, "worker-2")
    assert isinstance(second, Claim)
    assert second.verdict is Verdict.CANCEL


async def test_a_failed_job_resumes_after_its_last_good_step(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    await store.finish_step("asr:0", "hash", {"words": 3})
    await store.finish_step("done:ca", "h", {}, completed("ca", {}))
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
