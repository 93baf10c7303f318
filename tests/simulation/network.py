"""Processes and the network between them and everything they call."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from onevoice_kit.errors import Busy, DeadlineExceeded, OneVoiceError, Unavailable

from .profile import Profile

T = TypeVar("T")
_PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
_STAGES = ("asr", "translate", "tts", "mixer", "billing")
_STAGE_S = 1.0
"""Average time of a stage's call."""
_LONGEST_PAUSE_S = 360.0
_MOST_ROUNDS = 200


class Process:
    """A worker's process: its tasks, and whether it lives, stands still, or is gone."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._running = asyncio.Event()
        self._running.set()

    async def ready(self) -> None:
        """Nothing leaves or reaches a process that stands still, nor ever again one that is dead."""
        while self.alive and not self._running.is_set():
            await self._running.wait()
        if not self.alive:
            raise asyncio.CancelledError

    def start(self, main: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs the process's main function; every task begun from there belongs to the process."""
        context = contextvars.copy_context()
        context.run(_PROCESS.set, self)
        return asyncio.get_running_loop().create_task(main, context=context)

    def own(self, task: asyncio.Task[Any]) -> None:
        """Counts a task as the process's."""
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def pause(self) -> None:
        """SIGSTOP."""
        self._running.clear()

    def resume(self) -> None:
        """SIGCONT."""
        self._running.set()

    def kill(self) -> None:
        """SIGKILL: from this moment on nothing it does has an effect. `reap` takes its tasks away."""
        self.alive = False
        self._running.set()

    async def reap(self) -> None:
        """Ends what is left of a dead process; whatever its `finally` blocks try meets closed ports."""
        for _ in range(_MOST_ROUNDS):
            if not self._tasks:
                return
            for task in list(self._tasks):
                task.cancel()
            await asyncio.sleep(0)
        raise AssertionError(f"{self.name} does not die: {list(self._tasks)[:3]}")


def task_factory(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
    context: contextvars.Context | None = None,
) -> asyncio.Task[T]:
    """Makes tasks that belong to the process that begins them."""
    task: asyncio.Task[T] = asyncio.Task(coro, loop=loop, context=context)
    process = _PROCESS.get() if context is None else context.get(_PROCESS)
    if process:
        process.own(task)
    return task


@dataclass(frozen=True, slots=True)
class Fate:
    """One call: whether it happens, when, and with which error."""

    error: OneVoiceError | None
    happens: bool
    """True where it has its effect, even though the caller may get the error."""
    before_s: float
    after_s: float
    kill: str = ""
    """`before` or `after`."""
    pause_s: float = 0.0
    dropped: bool = False
    """True where it is dropped when its caller is gone before it has happened."""


class Network:
    """
    Carries calls. A call is a task of the network, not of its caller: it goes on when the caller dies.

    `note(process, call, detail, outcome)` is called for every call that happened, at the moment it did.
    """

    def __init__(
        self,
        profile: Profile,
        seed: str,
        note: Callable[[Process, str, str, str], None],
        on_kill: Callable[[Process], None],
        on_pause: Callable[[Process, float], None],
        on_violation: Callable[[BaseException], None],
    ) -> None:
        self._profile = profile
        self._rng = random.Random(f"network {seed}")
        self._note = note
        self._on_kill = on_kill
        self._on_pause = on_pause
        self._on_violation = on_violation
        self._context = contextvars.copy_context()
        self.down: set[str] = set()
        """Ports that answer nothing."""

    def calm(self) -> None:
        """From now on nothing goes wrong any more."""
        self._profile = Profile()
        self.down.clear()

    async def call(self, process: Process, name: str, effect: Callable[[], Awaitable[T]], *, detail: str = "") -> T:
        """Calls `effect` at the other side. `name` is `port.method`."""
        await process.ready()
        fate = self._fate(name)
        loop = asyncio.get_running_loop()
        sent = loop.create_task(self._carry(process, name, effect, detail, fate), context=self._context)
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            with contextlib.suppress(OneVoiceError):
                await asyncio.shield(sent)
        except asyncio.CancelledError:
            if fate.dropped:
                sent.cancel()
            raise
        await process.ready()
        return sent.result()

    async def _carry(
        self, process: Process, name: str, effect: Callable[[], Awaitable[T]], detail: str, fate: Fate
    ) -> T:
        if fate.before_s:
            await asyncio.sleep(fate.before_s)
        if fate.kill == "before" and process.alive:
            self._on_kill(process)
        if not fate.happens and fate.error:
            self._note(process, name, detail, f"refused {fate.error.reason}")
            raise fate.error
        try:
            result = await effect()
        except OneVoiceError as error:
            self._note(process, name, detail, f"error {error.reason}")
            raise
        except Exception as error:
            self._on_violation(error)
            raise
        self._note(process, name, detail, "lost" if fate.error else "")
        if fate.kill == "after" and process.alive:
            self._on_kill(process)
        if fate.pause_s and process.alive:
            self._on_pause(process, fate.pause_s)
        if fate.after_s:
            await asyncio.sleep(fate.after_s)
        if fate.error:
            raise fate.error
        return result

    def _fate(self, name: str) -> Fate:
        rng, profile, port = self._rng, self._profile, name.partition(".")[0]
        before, after, dropped = 0.02 * rng.random(), 0.02 * rng.random(), rng.random() < 0.5
        if port in _STAGES:
            before += rng.expovariate(1 / _STAGE_S)
        if port in self.down:
            return Fate(_unavailable(port), False, before, after)
        luck = rng.random()
        for kind in ("refused", "lost", "busy", "hang", "slow", "kill", "pause"):
            likelihood: float = getattr(profile, kind)
            if luck < likelihood:
                return _fault(kind, port, before, after, dropped, rng)
            luck -= likelihood
        return Fate(None, True, before, after, dropped=dropped)


def _fault(kind: str, port: str, before: float, after: float, dropped: bool, rng: random.Random) -> Fate:
    coin, share = rng.random() < 0.5, rng.random()
    match kind:
        case "refused" | "lost":
            return Fate(_unavailable(port), kind == "lost", before, after, dropped=dropped)
        case "busy":
            wait = 5 * share if port in _STAGES else None
            return Fate(Busy("All are busy.", reason=f"{port}_busy", retry_after=wait), False, before, after)
        case "hang":
            slept = 30 + 100 * share
            late = DeadlineExceeded("It took too long.", reason=f"{port}_timeout")
            return Fate(late, coin, before if coin else slept, slept, dropped=dropped)
        case "slow":
            return Fate(None, True, 20 * share if coin else before, after if coin else 20 * share, dropped=dropped)
        case "kill":
            return Fate(None, True, before, after, kill="before" if coin else "after", dropped=dropped)
        case _:
            return Fate(None, True, before, after, pause_s=_LONGEST_PAUSE_S * share, dropped=dropped)


def _unavailable(port: str) -> Unavailable:
    return Unavailable("There is no answer.", reason=f"{port}_unavailable")
