"""The ground the simulation stands on: time, death, and calls that go wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from onevoice_kit.errors import OneVoiceError
from tests.simulation.loop import Deadlock, VirtualLoop, run
from tests.simulation.network import Network, Process, task_factory
from tests.simulation.profile import Profile


def virtually(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    loop = VirtualLoop()
    loop.set_task_factory(task_factory)
    return run(loop, main())


class Machine:
    """A process, and something outside that counts what reaches it."""

    def __init__(self, profile: Profile) -> None:
        self.reached = 0
        self.process = Process("a.1")
        self.network = Network(
            profile,
            "test",
            lambda *_: None,
            lambda process: process.kill(),
            lambda process, _: process.pause(),
            lambda _: None,
        )

    async def call(self, name: str = "db.write") -> int:
        return await self.network.call(self.process, name, self._reach)

    async def _reach(self) -> int:
        self.reached += 1
        return self.reached


def test_a_day_passes_at_once() -> None:
    async def main() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    assert virtually(main) == pytest.approx(86_400)
    assert time.monotonic() - before < 3_600


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def main() -> list[int]:
        fired: list[int] = []
        for seconds in (3, 1, 2):
            asyncio.get_running_loop().call_later(seconds, fired.append, seconds)
        await asyncio.sleep(5)
        return fired

    assert virtually(main) == [1, 2, 3]


def test_waiting_for_nothing_is_an_error_and_no_hang() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        virtually(main)


def test_threads_are_refused() -> None:
    async def main() -> None:
        await asyncio.to_thread(print)

    with pytest.raises(AssertionError, match="wants a thread"):
        virtually(main)


@pytest.mark.parametrize(
    ("profile", "reached"), [(Profile(refused=1.0), 0), (Profile(busy=1.0), 0), (Profile(lost=1.0), 1)]
)
def test_a_fault_comes_before_the_effect_or_after_it(profile: Profile, reached: int) -> None:
    async def main() -> int:
        machine = Machine(profile)
        with pytest.raises(OneVoiceError):
            await machine.call()
        return machine.reached

    assert virtually(main) == reached


def test_what_a_killed_process_does_afterwards_has_no_effect() -> None:
    async def main() -> int:
        machine = Machine(Profile())

        async def life() -> None:
            try:
                await machine.call()
                await asyncio.sleep(100)
            finally:
                await machine.call("db.deregister")

        task = machine.process.start(life())
        await asyncio.sleep(10)
        machine.process.kill()
        await machine.process.reap()
        assert task.done()
        return machine.reached

    assert virtually(main) == 1


def test_the_calls_of_a_paused_process_arrive_when_it_goes_on() -> None:
    async def main() -> tuple[int, int]:
        machine = Machine(Profile())
        machine.process.pause()
        task = machine.process.start(_ignoring(machine.call()))
        await asyncio.sleep(500)
        before = machine.reached
        machine.process.resume()
        await task
        return before, machine.reached

    assert virtually(main) == (0, 1)


def test_tasks_that_a_process_begins_die_with_it() -> None:
    async def main() -> list[bool]:
        machine = Machine(Profile())
        begun: list[asyncio.Task[None]] = []

        async def life() -> None:
            begun.extend(asyncio.create_task(asyncio.sleep(1_000)) for _ in range(3))
            await asyncio.sleep(1_000)

        machine.process.start(life())
        await asyncio.sleep(1)
        machine.process.kill()
        await machine.process.reap()
        return [task.cancelled() for task in begun]

    assert virtually(main) == [True] * 3


async def _ignoring(awaited: Awaitable[Any]) -> None:
    await awaited
