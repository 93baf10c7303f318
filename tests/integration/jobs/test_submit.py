"""One transaction makes a job, its languages, its first event and its message; a deletion removes all its rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from onevoice_jobs.messages import DubbingJobMessage
from onevoice_jobs.models import job_events, jobs, language_tasks, outbox, segments, steps
from onevoice_jobs.options import GlossaryTerm, JobOptions
from onevoice_jobs.queries import get_job
from onevoice_jobs.records import Published, Segment
from onevoice_jobs.submit import PRIORITIES, insert_job
from onevoice_jobs.testing import finish_step
from onevoice_kit.db import Listener, transaction, uuid7
from onevoice_kit.queue.outbox import OutboxQueue


async def test_a_submitted_job_can_be_read_back_whole(engine, submit, new_job, user_id):
    options = JobOptions(voices={"es": {"speaker_1": "es+m1"}}, glossary=(GlossaryTerm(source="a", target="b"),))
    job_id = await submit(options=options, traceparent="00-1-2-01", priority=PRIORITIES["high"])
    async with transaction(engine) as connection:
        view = await get_job(connection, user_id, job_id)
    job = view.job
    assert (job.id, job.user_id, job.video_id, job.status) == (job_id, user_id, new_job.video_id, "pending")
    assert (job.source, job.filename, job.duration_ms) == (new_job.source, "talk.mp4", 60_000)
    assert (job.options, job.priority, job.quoted_credits, job.spent_credits) == (options, 10, 120, None)
    assert (job.progress, job.attempts, job.error, job.metrics) == (0, 0, None, {})
    assert 86_000 < (job.deadline_at - job.created_at).total_seconds() < 87_000
    assert [(language.language, language.status) for language in view.languages] == [
        ("es", "pending"),
        ("ca", "pending"),
    ]


async def test_submitting_sends_one_message_by_ids_only(engine, submit, new_job, user_id):
    job_id = await submit(traceparent="00-1-2-01")
    queue = OutboxQueue(engine, outbox, visibility_s=60)
    (delivery,) = await queue.receive(max_messages=10, wait_s=0)
    await queue.close()
    message = DubbingJobMessage.from_delivery(delivery)
    assert (message.job_id, message.user_id, message.video_id) == (job_id, user_id, new_job.video_id)
    assert delivery.attributes == {
        "messageType": "DUBBING_JOB",
        "attempt": "1",
        "jobId": str(job_id),
        "traceparent": "00-1-2-01",
    }


async def test_a_submission_that_fails_leaves_nothing(engine, new_job):
    async def submit_and_fail() -> None:
        async with transaction(engine) as connection:
            await insert_job(connection, new_job, uuid7())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await submit_and_fail()
    async with transaction(engine) as connection:
        for table in (jobs, language_tasks, job_events, outbox):
            assert (await connection.execute(select(func.count()).select_from(table))).scalar_one() == 0


async def test_watchers_are_notified_of_a_job_when_it_is_committed(engine, new_job, database_url):
    job_id = uuid7()
    listener = Listener(database_url)
    notified = listener.listen("job_events")
    assert await anext(notified) == ""
    async with transaction(engine) as connection:
        await insert_job(connection, replace(new_job), job_id)
    assert await anext(notified) == str(job_id)
    await listener.close()


async def test_deleting_a_job_takes_everything_of_it_along(engine, submit, take):
    store = await take(await submit())
    await finish_step(store, "cut", "h", {}, Published(segments=(Segment(0, 0, 0, 900, "speaker_1", "hello"),)))
    async with transaction(engine) as connection:
        await connection.execute(jobs.delete())
        for table in (job_events, language_tasks, steps, segments):
            assert (await connection.execute(select(func.count()).select_from(table))).scalar_one() == 0
