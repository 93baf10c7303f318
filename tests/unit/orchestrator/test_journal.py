"""The journal: one write for all that wait, and nothing is given up because a write of others failed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from onevoice_jobs.records import NOTHING, Event, Published, StepResult
from onevoice_kit.errors import Unavailable
from services.orchestrator.journal import JobJournal
from services.orchestrator.pipeline.executor import Checkpoint
from services.orchestrator.steps.context import JobContext
from services.orchestrator.steps.graph import Inputs, Json, Step

NEWS = Published(events=(Event("said"),))


class Store:
    """Keeps what is written, when it may."""

    def __init__(self) -> None:
        self.writes: list[tuple[list[str], bool]] = []
        self.may = asyncio.Semaphore(0)
        self.trouble: list[Exception] = []

    async def finish_steps(self, results: Sequence[StepResult], *, again: bool = False) -> None:
        await self.may.acquire()
        if self.trouble:
            raise self.trouble.pop()
        self.writes.append(([result.key for result in results], again))


async def unused(_: Inputs) -> Json:
    raise AssertionError("the journal runs no step")


def journal(store: Store) -> JobJournal:
    return JobJournal(cast(JobContext, SimpleNamespace(store=store)))


def saving(
    under_test: JobJournal, key: str, *, pure: bool = False, published: Published = NOTHING
) -> asyncio.Task[Any]:
    step = Step(key, "store", unused, pure=pure)
    return asyncio.create_task(under_test.save(step, Checkpoint("h", None), published))


async def under_way(*tasks: asyncio.Task[Any]) -> None:
    """Every task is as far as it gets."""
    for _ in range(10):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


async def test_what_comes_while_a_write_is_under_way_is_written_together() -> None:
    store = Store()
    under_test = journal(store)
    tasks = [saving(under_test, key) for key in "abc"]
    await under_way(*tasks)
    tasks += [saving(under_test, "d")]
    await under_way(*tasks)
    store.may.release()
    store.may.release()
    await asyncio.gather(*tasks)
    assert store.writes == [(["a"], False), (["b", "c", "d"], False)]


async def test_a_pure_result_is_written_with_the_next_one_that_is_not() -> None:
    store = Store()
    under_test = journal(store)
    await saving(under_test, "cut", pure=True)
    assert store.writes == []
    store.may.release()
    await saving(under_test, "speak")
    assert store.writes == [(["cut", "speak"], False)]


async def test_a_pure_result_with_news_is_written_at_once() -> None:
    store = Store()
    store.may.release()
    await saving(journal(store), "cut", pure=True, published=NEWS)
    assert store.writes == [(["cut"], False)]


async def test_a_write_that_failed_is_left_to_the_next_which_marks_it_as_perhaps_stored() -> None:
    store = Store()
    under_test, store.trouble = journal(store), [Unavailable()]
    await saving(under_test, "pure", pure=True)
    first, second = saving(under_test, "a"), saving(under_test, "b")
    await under_way(first, second)
    store.may.release()
    with pytest.raises(Unavailable):
        await first
    store.may.release()
    await second
    assert store.writes == [(["pure", "b"], True)]
    store.may.release()
    await saving(under_test, "a")
    assert store.writes[1:] == [(["a"], False)]


async def test_a_cancelled_step_does_not_harm_the_write_that_another_does_for_it() -> None:
    store = Store()
    under_test = journal(store)
    first, second = saving(under_test, "a"), saving(under_test, "b")
    third = saving(under_test, "c")
    await under_way(first, second, third)
    store.may.release()
    await first
    await under_way(second, third)
    third.cancel()
    await asyncio.wait([third])
    store.may.release()
    await second
    assert store.writes == [(["a"], False), (["b", "c"], False)]


async def test_a_cancelled_step_leaves_the_others_to_be_written() -> None:
    store = Store()
    under_test = journal(store)
    first, second = saving(under_test, "a"), saving(under_test, "b")
    await under_way(first, second)
    first.cancel()
    store.may.release()
    await second
    assert store.writes == [(["b"], True)]
