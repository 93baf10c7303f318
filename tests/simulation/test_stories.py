"""Histories that a seed once showed, repeated on purpose."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from onevoice_jobs.testing import MemoryJob
from onevoice_kit.errors import DeadlineExceeded, Unavailable
from services.orchestrator.journal import JobJournal
from tests.simulation import run
from tests.simulation.outcome import check_end
from tests.simulation.ports import LineJobs
from tests.simulation.profile import CALM
from tests.simulation.scenario import Spec, Submission, new_job, price
from tests.simulation.world import World, settings

JOB = UUID(int=9)
BOTH = Spec(languages=("es", "ca"), lines=(1, 1))


def story(spec: Spec) -> Submission:
    return Submission(0.0, spec, JOB, new_job(spec, UUID(int=1), UUID(int=2)), None, gateway_dies=False)


def simulated(submission: Submission) -> tuple[World, MemoryJob]:
    world = run._simulate("story", CALM, [submission])
    world.check()
    return world, world.jobs.jobs[JOB]


def loses(patch: pytest.MonkeyPatch, step: str) -> None:
    """The first checkpoint of this step cannot be written."""
    save = JobJournal.save
    lost: list[str] = []

    async def losing(self: JobJournal, saved: Any, *result: Any) -> None:
        if saved.key == step and not lost:
            lost.append(step)
            raise DeadlineExceeded
        await save(self, saved, *result)

    patch.setattr(JobJournal, "save", losing)


def test_a_job_settled_and_then_cancelled_while_no_worker_holds_it_is_delivered(monkeypatch: pytest.MonkeyPatch):
    submission, reference = story(BOTH), run.reference(BOTH)
    worlds: list[World] = []
    world_init, park = World.__init__, LineJobs.park

    def remember(self: World, *args: Any) -> None:
        worlds.append(self)
        world_init(self, *args)

    async def cancelled_meanwhile(self: LineJobs, *args: Any, **named: Any) -> None:
        await park(self, *args, **named)
        worlds[0].cancel(submission)

    loses(monkeypatch, "settle")
    monkeypatch.setattr(World, "__init__", remember)
    monkeypatch.setattr(LineJobs, "park", cancelled_meanwhile)
    world, job = simulated(submission)
    cost = price(BOTH.duration_ms, 2)
    assert (job.record.status.value, job.record.spent_credits) == ("completed", cost)
    assert [event.type for event in job.events][-2:] == ["job.cancel_requested", "job.completed"]
    assert world.ledger.spent == cost
    check_end(world, {BOTH: reference})


def test_a_language_whose_engine_is_broken_is_recast_once_though_its_worker_loses_the_new_voices(
    monkeypatch: pytest.MonkeyPatch,
):
    spec = Spec(languages=("es", "ca"), lines=(2, 1), broken=True)
    reference, saves = run.reference(spec), Counter[str]()
    save = JobJournal.save

    async def losing(self: JobJournal, saved: Any, *result: Any) -> None:
        saves[saved.key] += 1
        if saved.key == "voices:es" and saves[saved.key] == 2:
            raise DeadlineExceeded
        await save(self, saved, *result)

    monkeypatch.setattr(JobJournal, "save", losing)
    world, job = simulated(story(spec))
    assert (job.record.status.value, job.record.lease_epoch >= 2) == ("completed", True)
    recast = [(event.data["language"], event.data["from"]) for event in job.events if event.type == "voices.recast"]
    assert sorted(recast) == [("ca", "first"), ("es", "first")]
    assert {line.audio and line.audio.uri for line in job.translations.values()}
    check_end(world, {spec: reference})


@pytest.mark.parametrize("port", ["tts", "mixer", "billing"])
def test_a_job_outlasts_a_service_that_is_away_for_ten_minutes(monkeypatch: pytest.MonkeyPatch, port: str):
    submission, reference = story(BOTH), run.reference(BOTH)
    world_init = World.__init__

    def without(self: World, *args: Any) -> None:
        world_init(self, *args)
        self.outage(port, 600)

    monkeypatch.setattr(World, "__init__", without)
    monkeypatch.setattr(World, "calm", lambda _: None)  # the outage ends by itself
    world, job = simulated(submission)
    assert (job.record.status.value, job.record.attempts) == ("completed", 1)
    waits = [event.data["stage"] for event in job.events if event.type == "job.waiting"]
    assert waits[-1] == f"waiting for {port}"
    assert len(waits) <= 3, "one event as a wait begins, not one per delivery"
    assert 600 < world.loop.time() < 600 + 1.25 * settings().worker_wait_max_s + settings().worker_lease_s
    check_end(world, {BOTH: reference})


@pytest.mark.parametrize("call", ["claim", "park"])
def test_a_claim_or_a_return_whose_answer_is_lost_does_not_hold_the_job_up(monkeypatch: pytest.MonkeyPatch, call: str):
    reference, lost = run.reference(BOTH), list[str]()
    answered = getattr(LineJobs, call)

    async def losing(self: LineJobs, *args: Any, **named: Any) -> Any:
        answer = await answered(self, *args, **named)
        if not lost:
            lost.append(call)
            raise Unavailable
        return answer

    monkeypatch.setattr(LineJobs, call, losing)
    loses(monkeypatch, "done:ca")
    world, job = simulated(story(BOTH))
    assert (job.record.status.value, job.record.attempts) == ("completed", 1), "the lost checkpoint is none"
    assert world.loop.time() < settings().worker_lease_s
    check_end(world, {BOTH: reference})


def test_a_language_that_has_failed_stays_failed_for_the_same_reason(monkeypatch: pytest.MonkeyPatch):
    spec = Spec(languages=("es", "ca"), lines=(1, 1), refused=("es",))
    reference = run.reference(spec)
    loses(monkeypatch, "done:ca")
    world, job = simulated(story(spec))
    asked = [line for line in world.lines if "translate.translate" in line and "translate:es:" in line]
    assert (job.record.attempts, job.record.lease_epoch >= 3) == (1, True), "claimed again, at no cost"
    assert len(asked) <= len(spec.lines), "the second run does not repeat the call"
    assert job.languages["es"].error is not None
    assert job.languages["es"].error.reason == "unsupported_language_pair"
    check_end(world, {spec: reference})


def test_a_language_that_failed_as_its_worker_died_is_ended_by_the_next(monkeypatch: pytest.MonkeyPatch):
    """The checkpoint was written, and that the language has failed was not."""
    spec = Spec(languages=("es", "ca"), lines=(1,), refused=("es",))
    reference = run.reference(spec)
    failed = JobJournal.scope_failed
    dead: list[str] = []

    async def dying(self: JobJournal, scope: str, error: Any) -> Any:
        if dead:
            return await failed(self, scope, error)
        dead.append(scope)
        with monkeypatch.context() as patch:
            patch.setattr("services.orchestrator.journal.language_failed", _refused)
            return await failed(self, scope, error)

    monkeypatch.setattr(JobJournal, "scope_failed", dying)
    world, job = simulated(story(spec))
    assert (job.record.attempts, job.record.lease_epoch >= 3) == (1, True), "claimed again, at no cost"
    assert job.languages["es"].status.value == "failed"
    check_end(world, {spec: reference})


async def _refused(*_: Any) -> None:
    raise DeadlineExceeded
