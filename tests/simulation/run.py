"""One seed, from beginning to end."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from onevoice_kit.errors import OneVoiceError

from .loop import VirtualLoop, run
from .network import task_factory
from .outcome import check_end
from .profile import CALM, PORTS, Profile, draw
from .scenario import Spec, Submission, new_job, submissions
from .world import World

PATIENCE_S = 4 * 3600.0
"""Longest time for a job from then on."""
SWEEP_S = 60.0
STUCK_S = 600.0
_LOOK_S = 5.0
_REFERENCES: dict[Spec, World] = {}


class Failed(AssertionError):
    """A seed under which something that must hold did not."""

    def __init__(self, seed: int, error: BaseException, lines: Sequence[str]) -> None:
        super().__init__(
            f"seed {seed}: {type(error).__name__}: {error}\n"
            f"Replay with: python -m tests.simulation --seed {seed}\n" + "\n".join(lines[-25:])
        )
        self.seed = seed
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Result:
    """A seed under which everything held."""

    seed: int
    digest: str
    lines: Sequence[str]
    counts: Counter[str]
    statuses: Counter[str]
    virtual_s: float


def simulate(seed: int, profile: Profile | None = None) -> Result:
    """Runs a seed, with its own profile unless another is given; raises `Failed`."""
    profile = profile or draw(seed)
    jobs = submissions(seed, profile.cancel)
    references = {job.spec: reference(job.spec) for job in jobs}
    world = _simulate(str(seed), profile, jobs)
    try:
        world.check()
        check_end(world, references)
    except Exception as error:
        raise Failed(seed, error, world.lines) from error
    statuses = Counter(job.record.status.value for job in world.jobs.jobs.values())
    return Result(seed, world.digest(), world.lines, world.counts, statuses, world.loop.time())


def reference(spec: Spec) -> World:
    """The world in which one job of this kind ran and nothing went wrong."""
    if spec not in _REFERENCES:
        job = new_job(spec, UUID(int=1), UUID(int=2))
        world = _simulate("reference", CALM, [Submission(0.0, spec, UUID(int=3), job, None, gateway_dies=False)])
        world.check()
        _REFERENCES[spec] = world
    return _REFERENCES[spec]


def _simulate(seed: str, profile: Profile, jobs: Sequence[Submission]) -> World:
    loop = VirtualLoop()
    loop.set_task_factory(task_factory)

    async def main() -> World:
        world = World(seed, profile, loop)
        try:
            with _logging_to(world):
                await _story(world, jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the seed has failed, and its trace is wanted
            world.fail(error)
        world.over = True
        return world

    return run(loop, main())


async def _story(world: World, jobs: Sequence[Submission]) -> None:
    """Workers start, jobs come, things go wrong; then nothing goes wrong any more, and everything must end."""
    for name in ("a", "b", "c")[: world.rng.choice([1, 2, 3])]:
        world.start(name)
    for job in jobs:
        world.loop.call_later(job.at_s, world.submit, job)
        if job.cancel_after_s is not None:
            world.loop.call_later(job.at_s + job.cancel_after_s, world.cancel, job)
    world.chore(_sweep(world))
    trouble_s = max(job.at_s + (job.cancel_after_s or 0) for job in jobs) + 1
    if world.profile is not CALM:
        trouble_s += world.profile.trouble_s
        _plan(world, trouble_s)
    await _until(world, trouble_s, lambda: False)
    world.calm()
    await _until(world, PATIENCE_S, lambda: not world.open_jobs() and not len(world.queue) and not world.ledger.open)
    for name in list(world.workers):
        await world.stop(name, again=False)


def _plan(world: World, trouble_s: float) -> None:
    rng = world.rng
    for _ in range(world.profile.outages):
        world.loop.call_later(rng.uniform(0, trouble_s), world.outage, rng.choice(PORTS), rng.uniform(5, 120))
    at = rng.expovariate(world.profile.stop / 60) if world.profile.stop else trouble_s
    while at < trouble_s:
        world.loop.call_later(at, _stop, world, rng.choice(list(world.workers)))
        at += rng.expovariate(world.profile.stop / 60)


def _stop(world: World, name: str) -> None:
    world.chore(world.stop(name))


async def _sweep(world: World) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        for job_id in world.jobs.requeue_stuck(older_than_s=STUCK_S):
            world.note(None, "requeue", job_id.hex[:6])


async def _until(world: World, seconds: float, done: Callable[[], bool]) -> None:
    """Lets time pass, at most so much, as long as nothing is violated."""
    end = world.loop.time() + seconds
    while world.loop.time() < end and not done():
        await asyncio.wait([world.failure], timeout=min(_LOOK_S, end - world.loop.time()))
        world.check()


class _Defects(logging.Handler):
    """Takes the orchestrator's log. Only errors of ours and timeouts are expected in it: the rest are defects."""

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        super().__init__(logging.ERROR)
        self._fail = fail

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error and not isinstance(error, OneVoiceError | TimeoutError):
            self._fail(error)


@contextmanager
def _logging_to(world: World) -> Iterator[None]:
    logger, handler = logging.getLogger("services.orchestrator"), _Defects(world.fail)
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(handler)
