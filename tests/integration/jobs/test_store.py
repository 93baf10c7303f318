"""What a lease holder writes: every write is fenced, repeated writes replace, the end is the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError

from onevoice_jobs.control import request_cancel
from onevoice_jobs.leases import LeaseLost, claim, give_back
from onevoice_jobs.models import job_events, jobs
from onevoice_jobs.queries import events_after, get_job, list_artifacts
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
from onevoice_kit.db import transaction
from onevoice_kit.storage.base import ObjectRef
from onevoice_kit.testing.waiting import eventually

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


async def snapshot(engine) -> list[Any]:
    """Everything in the job tables."""
    tables = reversed(jobs.metadata.sorted_tables)
    async with transaction(engine) as connection:
        return [sorted(map(str, (await connection.execute(select(table))).all())) for table in tables]


@pytest.mark.parametrize("write", list(WRITES.values()), ids=list(WRITES))
async def test_a_stale_holder_changes_nothing(engine, submit, take, write):
    job_id = await submit()
    stale = await take(job_id, ttl_s=0)
    await take(job_id, "worker-2")
    before = await snapshot(engine)
    with pytest.raises(LeaseLost):
        await write(stale)
    assert await snapshot(engine) == before


@pytest.mark.parametrize("write", list(WRITES.values()), ids=list(WRITES))
async def test_nothing_is_written_after_the_end(engine, submit, take, write):
    store = await take(await submit())
    await store.job_completed(spent_credits=1, metrics={})
    before = await snapshot(engine)
    with pytest.raises(LeaseLost):
        await write(store)
    assert await snapshot(engine) == before


@pytest.mark.parametrize("write", list(WRITES.values()), ids=list(WRITES))
async def test_every_write_of_a_holder_is_one_statement(engine, submit, take, write):
    store = await take(await submit())
    seen: list[str] = []
    listen = ("before_cursor_execute", lambda _c, _k, statement, *_: seen.append(statement))
    event.listen(engine.sync_engine, *listen)
    await write(store)
    event.remove(engine.sync_engine, *listen)
    assert len(seen) == 1


async def test_a_claim_waits_for_a_checkpoint_that_is_being_written(engine, submit, take):
    """The fence is a lock, not a look: a claim cannot slip between the check and the write."""
    job_id = await submit()
    await take(job_id, ttl_s=0)
    async with engine.connect() as connection:
        await connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update(read=True))
        taking = asyncio.create_task(claim(engine, job_id, "worker-2"))
        await asyncio.wait([taking], timeout=0.2)
        assert not taking.done()
        await connection.rollback()
    assert (await taking).lease.epoch == 2  # type: ignore[union-attr]


async def test_a_step_remembers_its_result(submit, take):
    store = await take(await submit())
    assert await store.completed_steps() == {}
    await finish_step(store, "asr:0", "hash-1", {"words": 3})
    expected = StepRecord("asr:0", "hash-1", 1, {"words": 3})
    assert await store.completed_steps() == {"asr:0": expected}


async def test_checkpoints_survive_their_worker(submit, take):
    job_id = await submit()
    first = await take(job_id, ttl_s=0)
    await first.finish_steps([StepResult(f"tts:{n}", f"hash-{n}", {"n": n}) for n in range(3)])
    second = await take(job_id, "worker-2")
    assert {key: step.output for key, step in (await second.completed_steps()).items()} == {
        "tts:0": {"n": 0},
        "tts:1": {"n": 1},
        "tts:2": {"n": 2},
    }


async def waiting(engine, count) -> bool:
    """Whether so many wait for a lock in this database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with transaction(engine) as connection:
        return bool((await connection.execute(text(query))).scalar_one() == count)


async def test_a_repeated_write_waits_for_the_one_whose_answer_was_lost(engine, submit, take, user_id):
    """It may still be under way: whoever does not see it yet would tell its news again."""
    job_id = await submit()
    store = await take(job_id)
    result = StepResult("cut", "h", {}, Published(events=(Event("said"),)))
    async with engine.connect() as connection:
        await connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
        first = asyncio.create_task(store.finish_steps([result]))
        await eventually(lambda: waiting(engine, 1))
        second = asyncio.create_task(store.finish_steps([result], again=True))
        await eventually(lambda: waiting(engine, 2))
        await connection.rollback()
    await asyncio.gather(first, second)
    async with transaction(engine) as connection:
        types = [told.type for told in await events_after(connection, user_id, job_id, 2)]
    assert types == ["said"]


async def test_lines_are_stored_and_replaced(submit, take):
    store = await take(await submit())
    later = Segment(1, 0, 1000, 1500, "speaker_2", "¿qué?")
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
    assert await store.segments() == [SEGMENT, later]
    await finish_step(store, "cut", "h", {}, Published(segments=(replace(SEGMENT, source_text="hullo"),)))
    assert [segment.source_text for segment in await store.segments()] == ["hullo", "¿qué?"]
    unfitted = Translation("es", 1, "¿qué?")
    await finish_step(
        store, "fit", "h", {}, Published(translations=(unfitted, TRANSLATION, Translation("ca", 0, "hola món")))
    )
    assert await store.translations("es") == [TRANSLATION, unfitted]
    await finish_step(store, "fit", "h", {}, Published(translations=(replace(unfitted, start_ms=1000, end_ms=1400),)))
    assert (await store.translations("es"))[1].start_ms == 1000


async def test_artifacts_are_one_of_each_kind_and_language(engine, submit, take, user_id):
    job_id = await submit()
    store = await take(job_id)
    report = Artifact("report", None, "report.json", REF)
    await finish_step(store, "done", "h", {}, Published(artifacts=(report, VIDEO)))
    await finish_step(store, "done", "h", {}, Published(artifacts=(replace(report, ref=replace(REF, size=100)),)))
    async with transaction(engine) as connection:
        found = await list_artifacts(connection, user_id, job_id)
        spanish = await list_artifacts(connection, user_id, job_id, language="es", kind="video")
    assert [(item.kind, item.language, item.ref.size) for item in found] == [("report", None, 100), ("video", "es", 99)]
    assert [item.filename for item in spanish] == ["talk.es.mp4"]


async def test_forgotten_results_are_gone_and_those_of_other_jobs_stay(submit, take):
    stores = [await take(await submit()) for _ in range(2)]
    for store in stores:
        await finish_step(store, "asr:0", "hash", {})
        await finish_step(store, "cut", "h", {}, Published(segments=(SEGMENT,)))
        await finish_step(store, "fit", "h", {}, Published(translations=(TRANSLATION,)))
    await stores[0].forget_results()
    left = [(await store.completed_steps(), await store.segments(), await store.translations("es")) for store in stores]
    assert left[0] == ({}, [], [])
    assert all(left[1])


async def test_events_are_numbered_without_gaps_however_many_write_at_once(engine, submit, take, user_id):
    job_id = await submit()
    store = await take(job_id)
    await asyncio.gather(
        *(store.record(Event("line.ready", {"n": n})) for n in range(30)),
        *(finish_step(store, f"s{n}", "h", {}, Published(events=(Event("a"), Event("b")))) for n in range(10)),
    )
    async with transaction(engine) as connection:
        events = await events_after(connection, user_id, job_id)
        rest = await events_after(connection, user_id, job_id, 50)
    assert [event.id for event in events] == list(range(1, 53))
    assert [event.id for event in rest] == [51, 52]


async def test_progress_is_shown_and_never_goes_back(engine, submit, take, user_id):
    job_id = await submit()
    store = await take(job_id)
    assert await store.set_progress("asr", 40.2)
    assert not await store.set_progress("asr", 40.9)
    assert await store.set_progress("mix", 20)
    assert await store.set_progress("tts", 33, language="ca")
    async with transaction(engine) as connection:
        view = await get_job(connection, user_id, job_id)
        told = [event.data for event in await events_after(connection, user_id, job_id, 2)]
    assert (view.job.stage, view.job.progress) == ("mix", 40.2)
    assert view.job.estimated_completion is not None
    spanish, catalan = view.languages
    assert (spanish.language, spanish.status, spanish.progress) == ("es", LanguageStatus.PENDING, 0)
    assert (catalan.status, catalan.stage, catalan.progress) == (LanguageStatus.PROCESSING, "tts", 33)
    assert told == [
        {"stage": "asr", "percent": 40},
        {"stage": "mix", "percent": 40},
        {"stage": "tts", "percent": 33, "language": "ca"},
    ]


async def test_watchers_do_not_see_progress_go_back_where_another_worker_goes_on(engine, submit, take, user_id):
    job_id = await submit()
    first = await take(job_id)
    await first.set_progress("dubbing", 62.7)
    await first.set_progress("speaking", 40, language="es")
    await give_back(engine, first.lease)
    second = await take(job_id)
    await second.set_progress("transcribing", 12)
    await second.set_progress("translating", 7, language="es")
    async with transaction(engine) as connection:
        events = await events_after(connection, user_id, job_id)
    told = [event.data for event in events if event.type == "job.progress"]
    assert [(data["stage"], data["percent"]) for data in told] == [
        ("dubbing", 62),
        ("speaking", 40),
        ("transcribing", 62),
        ("translating", 40),
    ]


async def test_one_failed_language_does_not_fail_the_others(engine, submit, take, user_id):
    job_id = await submit()
    store = await take(job_id)
    await store.language_failed("es", FAILURE)
    await finish_step(store, "done:ca", "h", {}, completed("ca", {"coverage": 1.0}))
    await store.job_completed(spent_credits=60, metrics={"seconds": 3.5})
    async with transaction(engine) as connection:
        view = await get_job(connection, user_id, job_id)
        types = [event.type for event in await events_after(connection, user_id, job_id)]
    assert (view.job.status, view.job.progress, view.job.spent_credits) == (JobStatus.COMPLETED, 100, 60)
    assert view.job.metrics == {"seconds": 3.5}
    spanish, catalan = view.languages
    assert (spanish.status, spanish.error) == (LanguageStatus.FAILED, FAILURE)
    assert (catalan.status, catalan.progress, catalan.metrics) == (LanguageStatus.COMPLETED, 100, {"coverage": 1.0})
    assert types[2:] == ["language.failed", "language.completed", "job.completed"]


async def test_a_language_that_has_ended_stays_as_it_ended(engine, submit, take, user_id):
    job_id = await submit()
    store = await take(job_id)
    await finish_step(store, "done:es", "h", {}, completed("es", {}))
    await store.language_failed("es", FAILURE)
    await store.set_progress("tts", 5, language="es")
    async with transaction(engine) as connection:
        view = await get_job(connection, user_id, job_id)
        types = [event.type for event in await events_after(connection, user_id, job_id, 2)]
    assert view.languages[0].status is LanguageStatus.COMPLETED
    assert types == ["language.completed"]


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
async def test_the_end_of_a_job_ends_its_open_languages(engine, submit, take, user_id, status):
    job_id = await submit()
    store = await take(job_id)
    await finish_step(store, "done:es", "h", {}, completed("es", {}))
    await (store.job_failed(FAILURE) if status is JobStatus.FAILED else store.job_cancelled())
    async with transaction(engine) as connection:
        view = await get_job(connection, user_id, job_id)
    assert (view.job.status, view.job.spent_credits) == (status, 0)
    assert view.job.error == (FAILURE if status is JobStatus.FAILED else None)
    assert [language.status.value for language in view.languages] == ["completed", status.value]


async def test_spending_more_than_quoted_is_refused_by_the_database(engine, submit, take):
    store = await take(await submit(quoted_credits=10))
    with pytest.raises(IntegrityError):
        await store.job_completed(spent_credits=11, metrics={})
    assert not await store.cancel_requested()


async def test_the_holder_sees_a_cancel(engine, submit, take, user_id):
    job_id = await submit()
    store = await take(job_id)
    async with transaction(engine) as connection:
        await request_cancel(connection, user_id, job_id)
    assert await store.cancel_requested()


async def test_deleting_a_job_takes_everything_of_it_along(engine, submit, take):
    job_id = await submit()
    store = await take(job_id)
    await finish_step(store, "cut", "h", {}, Published(segments=(SEGMENT,)))
    async with transaction(engine) as connection:
        await connection.execute(jobs.delete())
        assert (await connection.execute(select(job_events))).all() == []
