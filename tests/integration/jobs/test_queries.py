"""Queries of users: their own jobs only, page by page."""

from __future__ import annotations

import pytest
from sqlalchemy import func

from onevoice_jobs.control import request_cancel, resume_job
from onevoice_jobs.models import jobs
from onevoice_jobs.queries import (
    events_after,
    get_job,
    list_artifacts,
    list_jobs,
    list_segments,
    list_translations,
)
from onevoice_jobs.records import Artifact, Event, Published, Segment, Translation
from onevoice_jobs.states import JobStatus
from onevoice_jobs.testing import finish_step
from onevoice_kit.db import transaction, uuid7
from onevoice_kit.errors import InvalidInput, NotFound
from onevoice_kit.storage.base import ObjectRef


@pytest.mark.parametrize(
    "read",
    [
        get_job,
        list_artifacts,
        list_segments,
        lambda connection, user_id, job_id: list_translations(connection, user_id, job_id, "es"),
        request_cancel,
        resume_job,
    ],
)
async def test_another_users_job_is_not_found(engine, submit, read):
    job_id = await submit()
    async with transaction(engine) as connection:
        with pytest.raises(NotFound) as error:
            await read(connection, uuid7(), job_id)
    assert error.value.reason == "job_not_found"


async def test_another_users_events_are_not_shown(engine, submit):
    job_id = await submit()
    async with transaction(engine) as connection:
        assert await events_after(connection, uuid7(), job_id) == []


async def test_jobs_are_listed_newest_first_page_by_page(engine, submit, user_id):
    submitted = [await submit() for _ in range(5)]
    await submit(user_id=uuid7())
    seen, cursor = [], None
    async with transaction(engine) as connection:
        while True:
            page = await list_jobs(connection, user_id, cursor=cursor, limit=2)
            seen.append([view.job.id for view in page.items])
            if (cursor := page.next_cursor) is None:
                break
    newest_first = submitted[::-1]
    assert seen == [newest_first[:2], newest_first[2:4], newest_first[4:]]


async def test_pages_do_not_skip_or_repeat_jobs_of_one_instant(engine, submit, user_id):
    submitted = {await submit() for _ in range(4)}
    async with transaction(engine) as connection:
        await connection.execute(jobs.update().values(created_at=func.now()))
        first = await list_jobs(connection, user_id, limit=2)
        second = await list_jobs(connection, user_id, limit=2, cursor=first.next_cursor)
    assert second.next_cursor is None
    assert {view.job.id for view in (*first.items, *second.items)} == submitted


async def test_jobs_are_listed_by_status_batch_and_video(engine, submit, take, user_id):
    batch, video = uuid7(), uuid7()
    batched, filmed = await submit(batch_id=batch), await submit(video_id=video)
    await take(filmed)
    async with transaction(engine) as connection:
        by_batch = await list_jobs(connection, user_id, batch_id=batch)
        by_video = await list_jobs(connection, user_id, video_id=video)
        pending = await list_jobs(connection, user_id, status=JobStatus.PENDING)
        failed = await list_jobs(connection, user_id, status=JobStatus.FAILED)
    assert [view.job.id for view in by_batch.items] == [batched]
    assert [view.job.id for view in by_video.items] == [filmed]
    assert [view.job.id for view in pending.items] == [batched]
    assert failed.items == ()


@pytest.mark.parametrize("cursor", ["x", "%%%", "bm90IGEgY3Vyc29y", "MjAyNi0wMS0wMSB4", "é"])
async def test_a_cursor_that_is_none_is_refused(engine, user_id, cursor):
    async with transaction(engine) as connection:
        with pytest.raises(InvalidInput) as error:
            await list_jobs(connection, user_id, cursor=cursor)
    assert error.value.reason == "invalid_cursor"


async def test_lines_are_read_in_order(engine, submit, take, user_id):
    job_id = await submit()
    store = await take(job_id)
    lines = [Segment(n, 0, n * 1000, n * 1000 + 900, "speaker_1", f"line {n}") for n in range(3)]
    await finish_step(store, "cut", "h", {}, Published(segments=tuple(lines[::-1])))
    await finish_step(
        store, "fit", "h", {}, Published(translations=(Translation("es", 1, "dos"), Translation("es", 0, "uno")))
    )
    async with transaction(engine) as connection:
        assert await list_segments(connection, user_id, job_id) == lines
        spanish = await list_translations(connection, user_id, job_id, "es")
    assert [line.text for line in spanish] == ["uno", "dos"]


async def test_events_are_read_in_portions(engine, submit, take, user_id):
    job_id = await submit()
    store = await take(job_id)
    for n in range(5):
        await store.record(Event("line.ready", {"n": n}))
    async with transaction(engine) as connection:
        first = await events_after(connection, user_id, job_id, limit=3)
        rest = await events_after(connection, user_id, job_id, first[-1].id)
    assert [event.id for event in first] + [event.id for event in rest] == [1, 2, 3, 4, 5, 6, 7]


async def test_artifacts_are_found_by_language_and_kind(engine, submit, take, user_id):
    job_id = await submit()
    ref = ObjectRef("file:///users/u/jobs/j/a.mp4", "b" * 64, 99, "video/mp4")
    made = [Artifact(kind, "es", f"talk.es.{kind}", ref) for kind in ("video", "audio")]
    await finish_step(await take(job_id), "done", "h", {}, Published(artifacts=tuple(made)))
    async with transaction(engine) as connection:
        videos = await list_artifacts(connection, user_id, job_id, language="es", kind="video")
        assert await list_artifacts(connection, user_id, job_id, language="ca") == []
    assert [item.filename for item in videos] == ["talk.es.video"]
