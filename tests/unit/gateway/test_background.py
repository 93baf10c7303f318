"""Background tasks that end are started again, and are reported when they keep ending."""

from __future__ import annotations

import asyncio
import math

import pytest

from onevoice_kit.errors import Unavailable
from onevoice_kit.testing.waiting import eventually
from services.gateway.background import RestartPolicy, Supervisor, regularly

QUICK = RestartPolicy(min_pause_s=0.001, max_pause_s=0.002, stable_s=math.inf, failing_after=3)


class Work:
    """Work that ends as the test wants it to."""

    def __init__(self, *endings: BaseException | None) -> None:
        self.runs = 0
        self._endings = list(endings)

    async def __call__(self) -> None:
        self.runs += 1
        if not self._endings:
            await asyncio.Event().wait()
        ending = self._endings.pop(0)
        if ending is not None:
            raise ending


@pytest.fixture
async def supervisor():
    made = Supervisor(QUICK)
    yield made
    await made.close()


async def has_run(work: Work, times: int) -> None:
    async def done() -> bool:
        return work.runs == times

    await eventually(done)


async def test_work_that_raises_or_returns_is_started_again(supervisor: Supervisor, caplog) -> None:
    work = Work(ValueError("an error of the code"), None)
    supervisor.start("work", work, needed=True)
    await has_run(work, 3)
    assert supervisor.failing() == []
    assert [record.message for record in caplog.records] == ["background task ended"] * 2
    assert "an error of the code" in str(caplog.records[0].exc_info)


async def test_work_that_is_cancelled_from_elsewhere_is_started_again(supervisor: Supervisor) -> None:
    work = Work()
    supervisor.start("work", work, needed=True)
    await has_run(work, 1)
    running = supervisor.running("work")
    assert running is not None
    running.cancel()
    await has_run(work, 2)


@pytest.mark.parametrize("needed", [True, False])
async def test_only_needed_work_that_keeps_failing_makes_the_process_unready(
    supervisor: Supervisor, *, needed: bool
) -> None:
    work = Work(*[ValueError()] * 3)
    supervisor.start("work", work, needed=needed)
    await has_run(work, 3 + 1)
    assert supervisor.failing() == ["work"]
    if needed:
        with pytest.raises(Unavailable, match="keeps failing"):
            supervisor.check()
    else:
        supervisor.check()


async def test_work_that_runs_stably_again_has_recovered() -> None:
    supervisor = Supervisor(RestartPolicy(min_pause_s=0.001, max_pause_s=0.002, stable_s=0.05, failing_after=3))
    work = Work(*[ValueError()] * 3)
    supervisor.start("work", work, needed=True)

    async def recovered() -> bool:
        return work.runs == 4 and not supervisor.failing()

    await eventually(recovered)
    await supervisor.close()


async def test_closing_ends_the_work_for_good() -> None:
    supervisor, work = Supervisor(QUICK), Work()
    supervisor.start("work", work, needed=True)
    await has_run(work, 1)
    running = supervisor.running("work")
    await supervisor.close()
    assert running is not None
    assert running.cancelled()
    assert work.runs == 1


async def test_a_regular_round_that_fails_transiently_does_not_end_the_work() -> None:
    rounds = Work(Unavailable(), Unavailable())
    task = asyncio.ensure_future(regularly("rounds", rounds, 0.001)())
    await has_run(rounds, 3)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_code_error_in_a_regular_round_is_left_to_the_supervisor() -> None:
    with pytest.raises(ValueError, match="of the code"):
        await regularly("rounds", Work(ValueError("of the code")), 0.001)()
