"""The engine in memory answers whatever happens as the one on PostgreSQL does."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from onevoice_jobs.leases import Claim, Lease
from onevoice_jobs.records import (
    Artifact,
    CompletedLanguage,
    Event,
    JobError,
    Published,
    Segment,
    StepResult,
    Translation,
)
from onevoice_kit.errors import OneVoiceError
from onevoice_kit.storage.base import ObjectRef

JOBS = [UUID(int=100 + n) for n in range(3)]
REF = ObjectRef("file:///a", "c" * 64, 5, "audio/wav")
ERROR = JobError("engine_failed", "The engine failed.")

OVER = -5
"""Seconds: a time that is past on both clocks, also where one of them is set back a little."""

Op = Callable[[Any, list[Lease]], Awaitable[Any]]
"""Something done to an engine, given the leases that it has granted so far."""


def _store(draw: random.Random, name: str, *args: Any, **named: Any) -> Op:
    which = draw.random()

    async def run(engine: Any, leases: list[Lease]) -> Any:
        if not leases:
            return None
        # The newest lease more often than those before it, which are mostly stale.
        lease = leases[-1] if which < 0.6 else leases[int(which * 1000) % len(leases)]
        return await getattr(engine.jobs.store(lease), name)(*args, **named)

    return run


def _claim(job_id: UUID, owner: str, ttl_s: float, max_attempts: int) -> Op:
    async def run(engine: Any, leases: list[Lease]) -> Any:
        answer = await engine.jobs.claim(job_id, owner, ttl_s=ttl_s, max_attempts=max_attempts)
        if isinstance(answer, Claim):
            leases.append(answer.lease)
            return answer.verdict, answer.resumed, answer.lease.epoch, answer.job.attempts, answer.job.status
        return answer.reason, answer.job and answer.job.status

    return run


def _lease(draw: random.Random) -> Op:
    which, back, ttl_s, counted = draw.random(), draw.random() < 0.5, draw.choice([OVER, 90]), draw.random() < 0.5

    async def run(engine: Any, leases: list[Lease]) -> Any:
        if not leases:
            return None
        lease = leases[int(which * len(leases))]
        if back:
            return await engine.jobs.give_back(lease, count_attempt=counted)
        return (await engine.jobs.renew(lease, ttl_s=ttl_s)).cancel_requested

    return run


def _outside(name: str, *args: Any, **named: Any) -> Op:
    async def run(engine: Any, _: list[Lease]) -> Any:
        return await getattr(engine, name)(*args, **named)

    return run


def _requeue(older_than_s: float) -> Op:
    async def run(engine: Any, _: list[Lease]) -> Any:
        # Those sent in one transaction were sent at the same time: their order is open.
        return sorted(await engine.requeue_stuck(older_than_s=older_than_s, limit=5))

    return run


def _published(draw: random.Random, lang: str, some: int, events: list[Event]) -> Published:
    """Anything that a step can show, or nothing of it."""
    line, done = Segment(some, 0, 1, 2, "s", "x"), CompletedLanguage(lang, {"n": some})
    translated, made = Translation(lang, some, "y"), Artifact("video", lang, "f", REF)
    some_of = [(item,) if draw.random() < 0.3 else () for item in (line, translated, made, done)]
    published = Published(tuple(events), *some_of)  # type: ignore[arg-type]
    return replace(published, payment=draw.random() < 0.1)


def draw_op(draw: random.Random) -> tuple[str, Op]:
    """Something that may happen."""
    job_id, lang, key = draw.choice(JOBS), draw.choice(["es", "ca", "xx"]), draw.choice(["a", "b", "c"])
    some, percent, hash_ = draw.randrange(3), draw.uniform(-5, 105), draw.choice(["h", "i"])
    events = [Event("said", {"n": n}) for n in range(draw.randrange(3))]
    results = [StepResult(key, hash_, {"n": some}, _published(draw, lang, some, events)), StepResult("d", hash_, {})]
    again = draw.random() < 0.5
    ops: list[tuple[str, Op]] = [
        *[("claim", _claim(job_id, draw.choice("wv"), draw.choice([OVER, OVER, 90]), 4))] * 6,
        *[("lease", _lease(draw))] * 2,
        ("cancel", _outside("cancel", job_id)),
        ("resume", _outside("resume", job_id)),
        ("edit", _outside("edit", job_id, lang, some, "new text")),
        ("regenerate", _outside("regenerate", job_id, "another", 50)),
        ("requeue", _requeue(draw.choice([OVER, 900]))),
        *[("finish_steps", _store(draw, "finish_steps", results, again=again))] * 6,
        ("forget", _store(draw, "forget_results")),
        ("progress", _store(draw, "set_progress", key, percent)),
        ("language", _store(draw, "set_progress", key, percent, language=lang)),
        ("language_failed", _store(draw, "language_failed", lang, ERROR)),
        ("record", _store(draw, "record", *events)),
        ("cancel_requested", _store(draw, "cancel_requested")),
        ("completed", _store(draw, "job_completed", spent_credits=some, metrics={"n": some})),
        ("failed", _store(draw, "job_failed", ERROR)),
        ("cancelled", _store(draw, "job_cancelled")),
    ]
    return draw.choice(ops)


async def done(op: Op, engine: Any, leases: list[Lease]) -> Any:
    """The answer, or the error."""
    try:
        return await op(engine, leases)
    except OneVoiceError as error:
        return type(error), error.reason


async def seen(engine: Any, leases: list[Lease]) -> Any:
    """Everything that can be seen of every job, without times."""
    view: list[Any] = [sorted(await engine.sent()), await engine.notifications(), await engine.overdue()]
    for job_id in JOBS:
        job = await engine.job(job_id)
        times = [job.started_at, job.completed_at, job.cancel_requested_at, job.estimated_completion]
        view.append((job.status, job.stage, job.progress, job.attempts, job.lease_epoch, job.error, job.metrics))
        view.append((job.spent_credits, [time is not None for time in times]))
        for task in await engine.languages(job_id):
            view.append((task.language, task.status, task.stage, task.progress, task.error, task.metrics))
            view.append((task.started_at is not None, task.completed_at is not None))
        view.append([(event.id, event.type, event.data) for event in await engine.events(job_id)])
        view.append([(item.kind, item.language, item.filename, item.ref) for item in await engine.artifacts(job_id)])
        for run in await engine.runs(job_id):
            times = [time is not None for time in (run.started_at, run.completed_at)]
            plain = replace(run, created_at=None, started_at=None, completed_at=None)
            view.append((plain, times))
        past = [await engine.past_artifacts(job_id, revision) for revision in range(1, job.revision)]
        view.append([[(item.kind, item.language, item.ref) for item in made] for made in past])
        view.append((job.revision, job.reservation, job.quoted_credits))
    for lease in {lease.job_id: lease for lease in leases}.values():
        store = engine.jobs.store(lease)
        view.append(
            (await store.completed_steps(), await store.segments(), await store.translations("es"), await store.edits())
        )
    return view


@pytest.mark.parametrize("seed", range(12))
async def test_both_engines_give_the_same_answers_to_the_same_random_calls(on_postgres, in_memory, seed):
    draw = random.Random(seed)
    pairs: list[tuple[Any, list[Lease]]] = [(on_postgres, []), (in_memory, [])]
    for engine, _ in pairs:
        for number, job_id in enumerate(JOBS):
            mail = "owner@example.org" if number else None
            await engine.submit(job_id, notify_email=mail, deadline_s=OVER if number == seed % 9 else 3600)
    for _ in range(60):
        name, op = draw_op(draw)
        answers = [await done(op, engine, leases) for engine, leases in pairs]
        assert answers[0] == answers[1], name
    views = [await seen(engine, leases) for engine, leases in pairs]
    assert views[0] == views[1]
