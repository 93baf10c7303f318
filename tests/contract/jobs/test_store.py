"""The contract of every job engine: writes of a lease holder, and their fence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from onevoice_jobs.leases import LeaseLost
from onevoice_jobs.records import Artifact, Event, Published, Segment, StepRecord, StepResult, Translation
from onevoice_jobs.states import JobStatus, LanguageStatus
from onevoice_jobs.testing import completed, finish_step
from tests.contract.jobs.cases import FAILURE, REF, SEGMENT, TRANSLATION, VIDEO, WRITES, claimed, types


async def snapshot(under_test, job_id) -> list[Any]:
    """Everything that can be seen of the job, its messages and notifications."""
    job, languages = await under_test.job(job_id), list(await under_test.languages(job_id))
    seen = [list(await under_test.events(job_id)), list(await under_test.artifacts(job_id))]
    runs, sent = list(await under_test.runs(job_id)), await under_test.sent()
    return [job, languages, *seen, runs, sent, await under_test.notifications()]


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


async def test_a_lease_of_another_epoch_is_no_lease(under_test):
    job_id = await under_test.submit()
    lease = (await claimed(under_test, job_id)).lease
    with pytest.raises(LeaseLost):
        await under_test.jobs.store(replace(lease, epoch=lease.epoch + 1)).set_progress("asr", 5)


async def test_an_identified_language_is_the_jobs_and_is_announced_once(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    found = [
        StepResult("language", "h", {"value": "de"}, Published(source_language="de")),
        StepResult("thumbnail", "h", {}, Published(artifacts=(VIDEO,))),
    ]
    await store.finish_steps(found)
    await store.finish_steps(found, again=True)
    assert (await under_test.job(job_id)).source_language == "de"
    assert (await types(under_test, job_id)).count("source.language") == 1
    assert len(await under_test.artifacts(job_id)) == 1
    await finish_step(store, "cut", "h", {})
    assert (await under_test.job(job_id)).source_language == "de"


async def test_steps_are_remembered_with_their_newest_result_also_for_the_next_worker(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id, ttl_s=0)
    assert await store.completed_steps() == {}
    await store.finish_steps([StepResult("mix", "hash-1", {"a": [1, None]}, attempts=3), StepResult("mux", "h", {})])
    await finish_step(store, "mux", "hash-10", {"b": 2})
    assert await (await take(job_id, "worker-2")).completed_steps() == {
        "mix": StepRecord("mix", "hash-1", 3, {"a": [1, None]}),
        "mux": StepRecord("mux", "hash-10", 1, {"b": 2}),
    }


async def test_a_step_that_is_written_again_repeats_no_event(under_test, take):
    """A holder that lost the reply to its write repeats it."""
    job_id = await under_test.submit()
    store = await take(job_id)
    first, other = (StepResult(key, "h", {}, Published(events=(Event(f"{key} done"),))) for key in "ab")
    await store.finish_steps([first])
    await store.finish_steps([first, other], again=True)
    assert (await types(under_test, job_id))[2:] == ["a done", "b done"]
    await finish_step(store, "a", "another input", {}, Published(events=(Event("a redone"),)))
    assert (await types(under_test, job_id))[4:] == ["a redone"]


async def test_lines_are_stored_and_replaced(under_test, take):
    store = await take(await under_test.submit())
    later, unfitted = Segment(1, 0, 1000, 1500, "speaker_2", "¿qué?"), Translation("es", 1, "¿qué?")
    await finish_step(store, "cut", "h", {}, Published(segments=(later, SEGMENT)))
    assert await store.segments() == [SEGMENT, later]
    await finish_step(store, "cut", "h", {}, Published(segments=(replace(SEGMENT, source_text="hullo"),)))
    assert await store.segments() == [replace(SEGMENT, source_text="hullo"), later]
    translations = (unfitted, TRANSLATION, Translation("ca", 0, "hola món"))
    await finish_step(store, "fit", "h", {}, Published(translations=translations))
    assert await store.translations("es") == [TRANSLATION, unfitted]
    await finish_step(store, "fit", "h", {}, Published(translations=(replace(unfitted, start_ms=1000, end_ms=1400),)))
    assert (await store.translations("es"))[1].start_ms == 1000


async def test_artifacts_are_one_of_each_kind_and_language(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    report = Artifact("report", None, "report.json", REF)
    await finish_step(store, "done", "h", {}, Published(artifacts=(report, VIDEO)))
    await finish_step(store, "done", "h", {}, Published(artifacts=(replace(report, ref=replace(REF, size=100)),)))
    found = await under_test.artifacts(job_id)
    assert [(item.kind, item.language, item.ref.size) for item in found] == [("report", None, 100), ("video", "es", 99)]


async def test_forgotten_results_are_gone_and_those_of_other_jobs_stay(under_test, take):
    job_ids = [await under_test.submit() for _ in range(2)]
    stores = [await take(job_id) for job_id in job_ids]
    published = Published(segments=(SEGMENT,), translations=(TRANSLATION,), artifacts=(VIDEO,))
    for store in stores:
        await finish_step(store, "fit", "h", {}, published)
    await stores[0].forget_results()
    left = [
        (await store.completed_steps(), await store.segments(), await store.translations("es"), await found)
        for store, found in zip(stores, map(under_test.artifacts, job_ids), strict=True)
    ]
    assert [[bool(results) for results in job] for job in left] == [[False] * 4, [True] * 4]


async def test_progress_is_shown_and_never_goes_back(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    recorded = [await store.set_progress("asr", 40.2), await store.set_progress("asr", 40.9)]
    recorded += [await store.set_progress("mix", 20), await store.set_progress("tts", 33, language="ca")]
    assert recorded == [True, False, True, True]
    job, (spanish, catalan) = await under_test.job(job_id), await under_test.languages(job_id)
    assert (job.stage, job.progress, job.estimated_completion is not None) == ("mix", 40.2, True)
    assert (spanish.status, spanish.progress) == (LanguageStatus.PENDING, 0)
    assert (catalan.status, catalan.stage, catalan.progress) == (LanguageStatus.PROCESSING, "tts", 33)
    assert [(event.id, event.data) for event in (await under_test.events(job_id))[2:]] == [
        (3, {"stage": "asr", "percent": 40}),
        (4, {"stage": "mix", "percent": 40}),
        (5, {"stage": "tts", "percent": 33, "language": "ca"}),
    ]


async def test_watchers_do_not_see_progress_go_back_where_another_worker_goes_on(under_test, take):
    job_id = await under_test.submit()
    for worker in (("dubbing", 62.7, "speaking", 40), ("transcribing", 12, "translating", 7)):
        store = await take(job_id)
        await store.set_progress(worker[0], worker[1])
        await store.set_progress(worker[2], worker[3], language="es")
        await under_test.jobs.give_back(store.lease, count_attempt=True)
    events = [event.data for event in await under_test.events(job_id) if event.type == "job.progress"]
    assert [(data["stage"], data["percent"]) for data in events] == [
        ("dubbing", 62),
        ("speaking", 40),
        ("transcribing", 62),
        ("translating", 40),
    ]


async def test_one_failed_language_does_not_fail_the_others(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    await store.language_failed("es", FAILURE)
    await finish_step(store, "done:ca", "h", {}, completed("ca", {"coverage": 1.0}))
    await store.job_completed(spent_credits=60, metrics={"seconds": 3.5})
    job, (spanish, catalan) = await under_test.job(job_id), await under_test.languages(job_id)
    assert (job.status, job.progress, job.spent_credits) == (JobStatus.COMPLETED, 100, 60)
    assert job.metrics == {"seconds": 3.5}
    assert (spanish.status, spanish.error) == (LanguageStatus.FAILED, FAILURE)
    assert (catalan.status, catalan.progress, catalan.metrics) == (LanguageStatus.COMPLETED, 100, {"coverage": 1.0})
    assert (await types(under_test, job_id))[2:] == ["language.failed", "language.completed", "job.completed"]


async def test_a_language_that_has_ended_stays_as_it_ended_and_gets_no_more_events(under_test, take):
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
