"""An asyncio loop on virtual time: no sockets, no threads; where nothing is ready, time jumps to the next timer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
_BEGINNING = datetime(2030, 1, 1, tzinfo=UTC)


class Deadlock(Exception):
    """Everything waits and no timer is set."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose `time()` passes without waiting."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = _NoSockets(self)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def now(self) -> datetime:
        """The same as a date, for clocks of databases."""
        return _BEGINNING + timedelta(seconds=self._now)

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self._now += seconds

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Refused: what a thread does has no place in a simulation that replays."""
        raise AssertionError(f"{func} wants a thread")

    def _process_events(self, event_list: Sequence[object]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """There is no other thread to be woken by."""


class _NoSockets:
    """Stands where the loop waits for sockets."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> Sequence[object]:
        if timeout is None:
            raise Deadlock
        self._loop.advance(timeout)
        return ()


def run(loop: VirtualLoop, main: Coroutine[Any, Any, T]) -> T:
    """Runs `main` to its end, and ends whatever it left behind."""
    try:
        return loop.run_until_complete(main)
    finally:
        while left := [task for task in asyncio.all_tasks(loop) if not task.done()]:
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
