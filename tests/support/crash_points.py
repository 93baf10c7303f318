"""Named moments before and after each side effect of a process, at one of which it kills itself."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, TypeVar, cast

T = TypeVar("T")

READS = {
    "completed_steps", "cancel_requested", "segments", "translations", "head", "get_bytes", "depth", "check", "engines"
}  # fmt: skip
"""Methods without an effect: dying around them is dying after what came before."""


class CrashPoints:
    """
    Counts the moments that the process passes and writes each as a line to a file; at one of them it dies.

    Lines are written before anything else happens, straight to the file, so they are true of a dead process.
    """

    def __init__(self, log: Path, die_at: str = "", occurrence: int = 1, hold: Collection[str] = ()) -> None:
        """`hold` names effects that never happen: who comes there waits until the process ends."""
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._die_at, self._occurrence = die_at, occurrence
        self._hold = frozenset(hold)
        self._passed: Counter[str] = Counter()

    def reach(self, point: str) -> None:
        """The process is at this point."""
        self._passed[point] += 1
        os.write(self._log, f"{point}\n".encode())
        if point == self._die_at and self._passed[point] == self._occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    async def around(self, effects: Sequence[str], work: Callable[[], Awaitable[T]]) -> T:
        """Does something that has these effects at once, each between its two points."""
        for effect in effects:
            self.reach(f"{effect}:before")
        if not self._hold.isdisjoint(effects):
            await asyncio.Event().wait()
        result = await work()
        for effect in effects:
            self.reach(f"{effect}:after")
        return result


def read_log(log: Path) -> list[str]:
    """The points that a process has passed, in order."""
    return log.read_text().splitlines() if log.exists() else []


class _Watched:
    """Stands for an object; every method with an effect has its two points."""

    def __init__(self, target: Any, name: str, points: CrashPoints) -> None:
        self._target, self._name, self._points = target, name, points

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._target, method)
        if method == "store":  # the writes of a lease's holder are side effects of their own
            return lambda lease: watched(found(lease), "store", self._points)
        if method in READS or not inspect.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            if method == "close" and not args:  # gives its connections back
                return await found()
            effects = [f"{self._name}.{method}{detail}" for detail in _details(method, args, kwargs)]
            return await self._points.around(effects, lambda: found(*args, **kwargs))

        return call


def watched(target: T, name: str, points: CrashPoints) -> T:
    """The object with crash points `NAME.METHOD:before` and `:after`, which include the written step where it helps."""
    return cast(T, _Watched(target, name, points))


def watch_function(module: ModuleType | type, name: str, effect: str, points: CrashPoints) -> None:
    """Puts points around a coroutine function as its module or class knows it; its transaction ends after the last."""
    function = getattr(module, name)

    async def call(*args: Any, **kwargs: Any) -> Any:
        return await points.around([effect], lambda: function(*args, **kwargs))

    setattr(module, name, call)


def _details(method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
    if method == "finish_steps":  # one write for several steps is an effect of each
        return [f"[{_step(result.key)}]" for result in args[0]]
    detail = _DETAILS.get(method)
    return [f"[{detail(args, kwargs)}]" if detail else ""]


def _step(key: str) -> str:
    name, _, rest = key.partition(":")
    return f"{name}:*" if rest else name


_DETAILS: Mapping[str, Callable[[tuple[Any, ...], Mapping[str, Any]], str]] = {
    "record": lambda args, _: "+".join(event.type for event in args),
    "set_progress": lambda _, kwargs: "language" if kwargs.get("language") else "job",
    "put_bytes": lambda args, _: PurePosixPath(args[0]).name.split(".")[0],
}
