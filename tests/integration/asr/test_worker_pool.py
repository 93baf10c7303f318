"""Real processes: order, cancelling, death, shutdown. Tasks are from the standard library, as workers import them."""

from __future__ import annotations

import asyncio
import gc
import operator
import os
import subprocess
import sys
import time
from contextlib import aclosing
from functools import partial
from pathlib import Path

import psutil
import pytest

from onevoice_kit.errors import Unavailable
from onevoice_kit.testing.waiting import eventually
from services.asr.engines.worker_pool import WorkerPool

pytestmark = pytest.mark.xdist_group("asr-engines")


@pytest.fixture
async def pool():
    pool = WorkerPool(2, gc.collect)
    yield pool
    await pool.close()


async def collect(pool, function, tasks):
    return [result async for result in pool.map(function, tasks)]


def workers() -> set[int]:
    """Processes that work for this one; the resource tracker is none."""
    children = psutil.Process().children(recursive=True)
    return {child.pid for child in children if "spawn_main" in " ".join(child.cmdline())}


async def test_results_come_in_the_order_of_the_tasks(pool):
    assert await collect(pool, abs, [-3, -1, -2]) == [3, 1, 2]


async def test_warming_starts_every_worker(pool):
    before = workers()
    await pool.warm()
    await eventually(lambda: len(workers() - before) == 2)
    assert len(workers() - before) == 2


async def test_closing_the_results_drops_the_tasks_that_no_worker_has_taken(pool, tmp_path):
    marks = [tmp_path / str(i) for i in range(50)]
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    opened = os.open(gate, os.O_RDWR)
    # Both workers are held by these, so that they cannot finish every task before the results are closed.
    held = [partial(subprocess.run, ["head", "-c1", str(gate)], check=True, stdout=subprocess.DEVNULL)] * 2
    tasks = [partial(os.mkdir, tmp_path / "first"), *held, *(partial(os.mkdir, mark) for mark in marks)]
    await pool.warm()
    async with aclosing(pool.map(operator.call, tasks)) as results:
        await anext(results)
    os.write(opened, b"go")
    assert await collect(pool, abs, [-1]) == [1]
    await pool.close()  # a worker that starts late may open the gate only now, and waits until it has its byte
    os.close(opened)
    assert sum(mark.exists() for mark in marks) < len(marks)


async def test_a_killed_worker_fails_the_running_calls_and_the_next_find_a_new_pool(pool):
    before = workers()
    await pool.warm()
    await eventually(lambda: len(workers() - before) == 2 and not pool._executor._pending_work_items)
    running = [asyncio.create_task(collect(pool, time.sleep, [60])) for _ in range(2)]
    # Both calls must have reached the pool: one that comes after the kill rightly finds a new pool.
    await eventually(lambda: len(pool._executor._pending_work_items) == 2)
    for pid in workers() - before:
        psutil.Process(pid).kill()
    for call in running:
        with pytest.raises(Unavailable) as caught:
            await call
        assert caught.value.reason == "worker_lost"
        assert caught.value.retryable
        assert caught.value.retry_after
    assert await collect(pool, abs, [-1, -2]) == [1, 2]


async def test_the_error_of_a_task_is_the_callers(pool):
    with pytest.raises(TypeError):
        await collect(pool, abs, ["text"])
    assert await collect(pool, abs, [-1]) == [1]


async def test_closing_leaves_no_process(tmp_path):
    before = workers()
    pool = WorkerPool(2, gc.collect)
    await pool.warm()
    await pool.close()
    assert workers() - before == set()
    with pytest.raises(Unavailable):
        await collect(pool, abs, [-1])


async def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, gc, time\n"
        "from services.asr.engines.worker_pool import WorkerPool\n"
        "async def main():\n"
        "    await WorkerPool(1, gc.collect).warm()\n"
        "    print('warm', flush=True)\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'libs'}:{root / 'gen'}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"warm\n"
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.kill()
    await process.wait()
    await eventually(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))
    assert process.returncode
