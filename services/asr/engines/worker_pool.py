"""A pool of processes for engines that compute here, because one that holds the GIL would stop the whole service."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from onevoice_kit.errors import Unavailable
from onevoice_kit.telemetry.metrics import Metric, counter
from services.asr.engines import worker_process

WORKERS_LOST = Metric("asr_workers_lost_total", "Times a recognition process died and its pool was started again.")

_log = logging.getLogger(__name__)
TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


class WorkerPool:
    """
    Processes that each ran `initialize` once. Functions given to it must be importable by name.

    A worker that dies takes the pool with it (the executor does not show which task it had): all running calls get
    `Unavailable` (reason `worker_lost`), and the next call finds a new pool.
    """

    def __init__(self, workers: int, initialize: Callable[[], object]) -> None:
        self.workers = workers
        self._initialize = initialize
        self._executor: ProcessPoolExecutor | None = None
        self._closed = False

    def _current(self) -> ProcessPoolExecutor:
        if self._closed:
            raise Unavailable("Speech recognition is shutting down.", reason="shutting_down")
        if self._executor is None:
            # Spawned, not forked: a fork of a process that has gRPC's threads may hang.
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self.workers, context, worker_process.start, (self._initialize,))
        return self._executor

    async def warm(self) -> None:
        """Starts every worker; returns when the first is ready."""
        executor = self._current()
        try:
            # One task for each: the executor starts another process for every task that finds none idle.
            tasks = await asyncio.to_thread(lambda: [executor.submit(os.getpid) for _ in range(self.workers)])
            started = [asyncio.wrap_future(task) for task in tasks]
            await asyncio.wait(started, return_when=asyncio.FIRST_COMPLETED)
            for future in started:
                future.add_done_callback(_retrieve_error)
        except BrokenProcessPool as error:
            raise self._lost(executor) from error

    async def map(self, function: Callable[[TaskT], ResultT], tasks: Sequence[TaskT]) -> AsyncGenerator[ResultT]:
        """Results in the order of the tasks. Closing the generator drops the tasks that no worker has taken yet."""
        executor = self._current()
        futures = []
        try:
            for task in tasks:
                futures.append(asyncio.wrap_future(executor.submit(function, task)))  # noqa: PERF401 - cancelled below
            for future in futures:
                yield await future
        except BrokenProcessPool as error:
            raise self._lost(executor) from error
        finally:
            for future in futures:
                future.cancel()
                future.add_done_callback(_retrieve_error)

    def _lost(self, executor: ProcessPoolExecutor) -> Unavailable:
        if self._executor is executor:  # the first of its calls to see it
            _log.error("a worker process died; the pool starts again")
            counter(WORKERS_LOST).inc()
            self._executor = None
            executor.shutdown(wait=False, cancel_futures=True)
        return Unavailable("A recognition process died; try again.", reason="worker_lost", retry_after=1.0)

    async def close(self) -> None:
        """Drops what waits, lets running tasks end, and ends the processes."""
        self._closed = True
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown, wait=True, cancel_futures=True)


def _retrieve_error(future: asyncio.Future[Any]) -> None:
    """Retrieves the error of a task that is not awaited any more; asyncio would report it otherwise."""
    if not future.cancelled():
        future.exception()
