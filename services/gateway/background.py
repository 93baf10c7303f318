"""Background tasks of the gateway: supervised, so that none ends unnoticed."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from onevoice_kit.errors import OneVoiceError, Unavailable
from onevoice_kit.retry import Backoff
from onevoice_kit.telemetry.metrics import BACKGROUND_RESTARTS, counter

logger = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]


_RANDOM = random.Random()


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Times in seconds."""

    min_pause_s: float = 0.5
    max_pause_s: float = 30.0
    stable_s: float = 60.0
    """A task that has run for this long has recovered: its earlier failures no longer count."""
    failing_after: int = 3
    """Failures in a row after which a task is reported as failing."""

    def pause_s(self, failures: int) -> float:
        """Exponential backoff with jitter."""
        return Backoff(2 * self.min_pause_s, self.max_pause_s, jitter=0.5).delay_s(failures, _RANDOM)


@dataclass
class _Supervised:
    needed: bool
    work: Work
    keeper: asyncio.Task[None] | None = None
    running: asyncio.Task[None] | None = None
    started_at: float = 0.0
    failures: int = 0


class Supervisor:
    """
    Keeps tasks running that are meant to run for ever. One that ends, for whatever reason, is logged, counted and
    started again after a backoff.
    """

    def __init__(self, policy: RestartPolicy | None = None) -> None:
        self._policy = policy or RestartPolicy()
        self._tasks: dict[str, _Supervised] = {}

    def start(self, name: str, work: Work, *, needed: bool) -> None:
        """Runs `work` until `close`. `needed`: requests cannot be served properly while it keeps failing."""
        task = _Supervised(needed, work)
        self._tasks[name] = task
        task.keeper = asyncio.create_task(self._keep(name, task), name=f"supervisor of {name}")

    def failing(self) -> list[str]:
        """Names of the tasks that have failed several times in a row and have not run stably since."""
        return [name for name, task in self._tasks.items() if self._is_failing(task)]

    def check(self) -> None:
        """Raises `Unavailable` (reason `background_work_failing`) while a needed task keeps failing."""
        if any(task.needed and self._is_failing(task) for task in self._tasks.values()):
            raise Unavailable("Background work of the gateway keeps failing.", reason="background_work_failing")

    def running(self, name: str) -> asyncio.Task[None] | None:
        """The present run of a task; None between two runs."""
        task = self._tasks[name].running
        return None if task is None or task.done() else task

    async def close(self) -> None:
        """Cancels every task and waits until it has ended."""
        keepers = [task.keeper for task in self._tasks.values() if task.keeper is not None]
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)

    async def _keep(self, name: str, task: _Supervised) -> None:
        while True:
            task.started_at = time.monotonic()
            task.running = asyncio.ensure_future(_run(task.work))
            try:
                await asyncio.wait([task.running])
            finally:  # also when the supervisor itself is cancelled
                task.running.cancel()
                await asyncio.gather(task.running, return_exceptions=True)
            if self._is_stable(task):
                task.failures = 0
            task.failures += 1
            _note(name, task)
            await asyncio.sleep(self._policy.pause_s(task.failures))

    def _is_failing(self, task: _Supervised) -> bool:
        running = task.running is not None and not task.running.done()
        return task.failures >= self._policy.failing_after and not (running and self._is_stable(task))

    def _is_stable(self, task: _Supervised) -> bool:
        return time.monotonic() - task.started_at >= self._policy.stable_s


async def _run(work: Work) -> None:
    await work()


def _note(name: str, task: _Supervised) -> None:
    counter(BACKGROUND_RESTARTS).labels(name).inc()
    ended = task.running
    error = ended.exception() if ended is not None and not ended.cancelled() else None
    logger.error("background task ended", extra={"task": name, "failures": task.failures}, exc_info=error)


def regularly(name: str, work: Work, interval_s: float) -> Work:
    """
    Work that repeats after every `interval_s`. A round that fails with one of our errors is logged and repeated in the
    next interval; any other error ends the task, which is then the supervisor's.
    """

    async def repeat() -> None:
        while True:
            await asyncio.sleep(interval_s)
            try:
                await work()
            except OneVoiceError:
                logger.warning("housekeeping failed; it is repeated", extra={"work": name}, exc_info=True)

    return repeat
