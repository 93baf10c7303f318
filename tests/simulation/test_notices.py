"""The simulation is no formality: an engine with a defect does not get through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from onevoice_jobs.leases import Lease
from onevoice_jobs.testing import MemoryJob, MemoryJobs, memory, store
from onevoice_kit.testing.memory_queue import MemoryQueue
from services.orchestrator.journal import JobJournal
from services.orchestrator.worker import Worker
from tests.simulation import run
from tests.simulation.ports import LineStore
from tests.simulation.profile import Profile
from tests.simulation.run import Failed, simulate
from tests.simulation.stages import _Billing

SOUND = 3
"""Seeds of the world without the defect, which is sound in them."""
ENOUGH = 60
"""
Seeds within which each defect shows, in the world that provokes it. Most show in the first three; which seed it is
changes with every change of the pipeline.
"""
PATIENCE_S = 1_800.0
"""Virtual time after which an open job counts as lost; the longest wait of these worlds is shorter."""

FROZEN = Profile(pause=0.2)
LOSSY = Profile(lost=0.3)
DEADLY = Profile(kill=0.3, trouble_s=1_500)
CANCELLING = Profile(cancel=1.0)
ROUGH = Profile(refused=0.05, lost=0.05, busy=0.05, slow=0.05, kill=0.06, pause=0.05, stop=0.5, cancel=0.5, outages=2)


def a_write_is_not_fenced(patch: pytest.MonkeyPatch) -> None:
    def held(self: MemoryJobs, lease: Lease) -> MemoryJob:
        return self.jobs[lease.job_id]

    patch.setattr(MemoryJobs, "held", held)


def a_held_job_is_given_away(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryJob, "held_s", lambda self, now: 0.0)


def checkpoints_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    async def completed(self: JobJournal) -> dict[str, Any]:
        return {}

    patch.setattr(JobJournal, "completed", completed)


def a_repeated_checkpoint_repeats_its_events(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "_is_stored", lambda _job, _event: False)


def credits_are_not_released(patch: pytest.MonkeyPatch) -> None:
    async def release(self: _Billing, reservation: str) -> int:
        return 1

    patch.setattr(_Billing, "release", release)


def a_settled_job_is_settled_for_another_price(patch: pytest.MonkeyPatch) -> None:
    settle = _Billing.settle

    async def cheaply(self: _Billing, reservation: str, amount: int) -> int:
        return await settle(self, reservation, min(amount, 1))

    patch.setattr(_Billing, "settle", cheaply)


def a_result_is_left_out(patch: pytest.MonkeyPatch) -> None:
    save = LineStore.finish_steps

    async def some(self: LineStore, results: Any, **named: Any) -> None:
        fewer = [
            replace(item, published=replace(item.published, artifacts=item.published.artifacts[:1])) for item in results
        ]
        await save(self, fewer, **named)

    reference = run.reference

    def undisturbed(spec: Any) -> Any:
        with patch.context() as whole:
            whole.setattr(LineStore, "finish_steps", save)
            return reference(spec)

    patch.setattr(run, "reference", undisturbed)
    patch.setattr(LineStore, "finish_steps", some)


def a_message_is_thrown_away(patch: pytest.MonkeyPatch) -> None:
    async def release(self: MemoryQueue, delivery: Any, *, delay_s: int = 0) -> None:
        await self.delete(delivery)

    patch.setattr(MemoryQueue, "release", release)
    patch.setattr(MemoryJobs, "requeue_stuck", lambda self, **_: [])


def an_end_is_not_written(patch: pytest.MonkeyPatch) -> None:
    async def finish(self: Worker, run: Any, delivery: Any, *_: Any) -> None:
        await self._queue.delete(delivery)

    patch.setattr(Worker, "_finish", finish)
    patch.setattr(MemoryJobs, "requeue_stuck", lambda self, **_: [])


def an_attempt_too_few_ends_the_job(patch: pytest.MonkeyPatch) -> None:
    verdict = memory._verdict
    patch.setattr(memory, "_verdict", lambda job, before, most, now: verdict(job, before, most - 1, now))


DEFECTS: dict[Callable[[pytest.MonkeyPatch], None], Profile] = {
    a_write_is_not_fenced: FROZEN,
    a_held_job_is_given_away: ROUGH,
    checkpoints_are_forgotten: ROUGH,
    a_repeated_checkpoint_repeats_its_events: LOSSY,
    credits_are_not_released: CANCELLING,
    a_settled_job_is_settled_for_another_price: ROUGH,
    a_result_is_left_out: ROUGH,
    a_message_is_thrown_away: ROUGH,
    an_attempt_too_few_ends_the_job: DEADLY,
    an_end_is_not_written: ROUGH,
}


@pytest.mark.parametrize(("defect", "profile"), DEFECTS.items(), ids=[defect.__name__ for defect in DEFECTS])
def test_the_simulation_notices_that(
    defect: Callable[[pytest.MonkeyPatch], None], profile: Profile, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run, "PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr(run, "_REFERENCES", {})
    simulate_all(profile, SOUND)
    defect(monkeypatch)
    with pytest.raises(Failed):
        simulate_all(profile, ENOUGH)


def simulate_all(profile: Profile, seeds: int) -> None:
    for seed in range(seeds):
        simulate(seed, profile)
