"""Keeps a set of child processes running: start together, wait until healthy, restart what dies, stop in order."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Protocol

from onevoice_cli.launcher import logs
from onevoice_cli.launcher.process import Child, ServiceSpec
from onevoice_kit.errors import Unavailable
from onevoice_kit.retry import Backoff

_POLL_S = 0.05
_LOG_CHECK_S = 10.0


class State(StrEnum):
    """The state of a process, as the display shows it."""

    STARTING = "starting"
    HEALTHY = "healthy"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Change:
    """A process went into another state."""

    name: str
    state: State
    seconds: float = 0.0
    """Duration of the start or stop."""
    detail: str = ""
    """The reason, as a sentence, of a change that was not ordered."""
    log_lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Limits for restarting a process that ends."""

    budget: int = 5
    """Restarts within the window, after which everything is stopped."""
    window_s: float = 120.0
    first_delay_s: float = 0.5
    max_delay_s: float = 10.0
    ready_timeout_s: float = 120.0


class Registry(Protocol):
    """Keeps the list of process groups, to clean up after a launcher that was killed."""

    def started(self, group: int) -> None:
        """A group was started."""
        ...

    def ended(self, group: int) -> None:
        """A group is gone."""
        ...


@dataclass(slots=True)
class Supervisor:
    """Owns the children. `on_change` is called for every change of state."""

    log_dir: Path
    registry: Registry
    on_change: Callable[[Change], None]
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    _children: dict[str, Child] = field(default_factory=dict)
    _watchers: list[asyncio.Task[None]] = field(default_factory=list)
    _failure: asyncio.Future[Unavailable] | None = None

    async def start(self, specs: Sequence[ServiceSpec]) -> None:
        """Starts all at once and waits until each is healthy. `Unavailable` (reason `start_failed`) with the cause."""
        # One after another: each spawn takes a millisecond, and all of them then start up side by side.
        for spec in specs:
            await self._spawn(spec)
        waits = [asyncio.ensure_future(self._first_start(spec)) for spec in specs]
        try:
            await asyncio.gather(*waits)
        finally:
            for wait in waits:
                wait.cancel()
        self._watchers += [asyncio.create_task(self._watch(spec), name=f"watch {spec.name}") for spec in specs]

    async def failed(self) -> Unavailable:
        """Waits until a process cannot be kept running; returns the error for it."""
        bound = asyncio.create_task(self._bound_logs())
        try:
            return await asyncio.shield(self._failure_future())
        finally:
            bound.cancel()

    async def stop(self) -> None:
        """Stops everything, lowest stop order first. Safe to call more than once."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._watchers.clear()
        children = sorted(self._children.values(), key=lambda one: one.spec.stop_order)
        for _, together in groupby(children, key=lambda one: one.spec.stop_order):
            await asyncio.gather(*(self._stop(one) for one in together))
        self._children.clear()

    def kill(self) -> None:
        """Kills everything at once; a waiting `stop` goes on."""
        for child in self._children.values():
            child.sweep()

    def pids(self) -> dict[str, int]:
        """The process number of each child."""
        return {name: child.process.pid for name, child in self._children.items()}

    async def _spawn(self, spec: ServiceSpec) -> Child:
        log = self.log_dir / f"{spec.name}.log"
        logs.rotate(log)
        child = await Child.start(spec, log)
        self.registry.started(child.group)
        self._children[spec.name] = child
        return child

    async def _first_start(self, spec: ServiceSpec) -> None:
        self.on_change(Change(spec.name, State.STARTING))
        began = time.monotonic()
        await self._wait_ready(self._children[spec.name])
        self.on_change(Change(spec.name, State.HEALTHY, time.monotonic() - began))

    async def _wait_ready(self, child: Child) -> None:
        until = time.monotonic() + self.policy.ready_timeout_s
        while not await child.spec.ready():
            if child.process.returncode is not None:
                raise _start_failure(child, child.how_it_ended())
            if time.monotonic() > until:
                raise _start_failure(child, f"was not healthy after {self.policy.ready_timeout_s:.0f} s")
            await asyncio.sleep(_POLL_S)

    async def _watch(self, spec: ServiceSpec) -> None:
        """Brings one process back whenever it ends, until the budget is spent."""
        deaths: deque[float] = deque(maxlen=self.policy.budget)
        while True:
            child = self._children[spec.name]
            await child.process.wait()
            self._bury(child)
            words = child.last_words()
            now = time.monotonic()
            spent = len(deaths) == self.policy.budget and now - deaths[0] < self.policy.window_s
            deaths.append(now)
            if spent or not spec.restart:
                self._fail(_gave_up(child, self.policy if spec.restart else None, words))
                return
            self.on_change(Change(spec.name, State.RESTARTING, detail=child.how_it_ended(), log_lines=words))
            await asyncio.sleep(self._delay(deaths, now))
            await self._restart(spec)

    def _delay(self, deaths: deque[float], now: float) -> float:
        recent = sum(1 for death in deaths if now - death < self.policy.window_s)
        return Backoff(self.policy.first_delay_s, self.policy.max_delay_s, jitter=0.0).delay_s(recent, random.Random())

    async def _restart(self, spec: ServiceSpec) -> None:
        began = time.monotonic()
        child = await self._spawn(spec)
        try:
            await self._wait_ready(child)
        except Unavailable:
            # It ended again, or hangs: either way the watcher sees its end and counts it.
            child.sweep()
            return
        self.on_change(Change(spec.name, State.HEALTHY, time.monotonic() - began))

    async def _stop(self, child: Child) -> None:
        self.on_change(Change(child.spec.name, State.STOPPING))
        began = time.monotonic()
        by_itself = await child.stop()
        self.registry.ended(child.group)
        detail = "" if by_itself else f"did not end within {child.spec.grace_s:.0f} s and was killed"
        self.on_change(Change(child.spec.name, State.STOPPED, time.monotonic() - began, detail))

    def _bury(self, child: Child) -> None:
        child.sweep()
        self.registry.ended(child.group)

    def _failure_future(self) -> asyncio.Future[Unavailable]:
        if self._failure is None:
            self._failure = asyncio.get_running_loop().create_future()
        return self._failure

    def _fail(self, error: Unavailable) -> None:
        future = self._failure_future()
        if not future.done():
            future.set_result(error)

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.sleep(_LOG_CHECK_S)
            for child in list(self._children.values()):
                await asyncio.to_thread(logs.shrink, child.log)


def _start_failure(child: Child, how: str) -> Unavailable:
    return Unavailable(
        _sentence(f"{child.spec.name} {how} while starting", child, child.last_words(1)), reason="start_failed"
    )


def _gave_up(child: Child, policy: RestartPolicy | None, words: Sequence[str]) -> Unavailable:
    what = f"{child.spec.name} {child.how_it_ended()}"
    if policy is not None:
        what += f" ({policy.budget + 1} times within {policy.window_s:.0f} s)"
    return Unavailable(_sentence(what, child, words[-1:]), reason="service_lost")


def _sentence(what: str, child: Child, words: Sequence[str]) -> str:
    why = f": {words[0].rstrip('.')}" if words else ""
    return f"{what}{why}. Its log is {child.log}."
