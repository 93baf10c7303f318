"""Runs a process from start to signal to the last closed resource."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def run(
    start: Callable[[], Awaitable[object]],
    stop: Callable[[], Awaitable[None]],
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]],
    on_close: Sequence[Callable[[], Awaitable[None]]],
    grace_s: float,
) -> None:
    """Starts, waits for a signal or a failing background task, stops, closes; raises that task's error."""
    tasks: list[asyncio.Task[None]] = []
    try:
        async with _signals() as stopping:
            await start()
            gc.freeze()  # what is there by now stays: the collector need not go through it again and again
            try:
                tasks = [asyncio.create_task(work()) for work in background]
                await _until(stopping, tasks)
            finally:
                await _stop(stop, tasks, grace_s)
    finally:
        for close in reversed(on_close):
            await _close(close)


@asynccontextmanager
async def _signals() -> AsyncIterator[asyncio.Event]:
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield stopping
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _until(stopping: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Returns when asked to stop; raises the error of the first background task that fails."""
    signalled = asyncio.create_task(stopping.wait())
    waiting: set[asyncio.Task[Any]] = {signalled, *tasks}
    try:
        while not signalled.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        signalled.cancel()


async def _stop(stop: Callable[[], Awaitable[None]], tasks: Sequence[asyncio.Task[None]], grace_s: float) -> None:
    for task in tasks:
        task.cancel()
    # Together, so that the whole drain fits into one grace.
    await asyncio.gather(stop(), _ended(tasks, grace_s))


async def _ended(tasks: Sequence[asyncio.Task[None]], grace_s: float) -> None:
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=grace_s)
    for task in late:
        _log.error("background work did not stop within %s s", grace_s, extra={"task": task.get_name()})


async def _close(close: Callable[[], Awaitable[None]]) -> None:
    try:
        await close()
    except Exception:  # noqa: BLE001 - logged
        # The other resources must be closed all the same.
        _log.exception("closing failed")
