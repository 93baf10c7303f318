"""The journal: one write for all of a short time, and nothing is given up because a write of others failed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from onevoice_jobs.records import NOTHING, Event, Published, StepResult
from onevoice_kit.errors import Unavailable
from onevoice_kit.testing.waiting import eventually
from services.orchestrator import journal as journal_module
from services.orchestrator.journal import JobJournal
from services.orchestrator.pipeline.checkpoints import Checkpoint
from services.orchestrator.steps.context import JobContext
from services.orchestrator.steps.graph import Inputs, Json, Step

NEWS = Published(events=(Event("said"),))
PAYMENT = Published(payment=True)


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


async def saved(under_test: JobJournal, key: str, *, pure: bool = False, published: Published = NOTHING) -> None:
    await under_test.save(Step(key, "store", unused, pure=pure), Checkpoint("h", None), published)


def saving(under_test: JobJournal, key: str) -> asyncio.Task[Any]:
    """A result that is written at once."""
    return asyncio.create_task(saved(under_test, key, published=PAYMENT))


async def run_that_fails(under_test: JobJournal, error: Exception) -> None:
    """It has one result before its error."""
    async with under_test:
        await saved(under_test, "a")
        raise error


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


async def test_the_results_of_a_short_time_are_written_together() -> None:
    store = Store()
    store.may.release()
    under_test = journal(store)
    for key in "abc":
        await saved(under_test, key)
    assert store.writes == []
    await eventually(lambda: store.writes == [(["a", "b", "c"], False)])


async def test_a_pure_result_is_written_with_the_next_one_that_is_not() -> None:
    store = Store()
    under_test = journal(store)
    await saved(under_test, "cut", pure=True)
    assert under_test._later is None
    store.may.release()
    await saved(under_test, "speak")
    await eventually(lambda: store.writes == [(["cut", "speak"], False)])


async def test_a_pure_result_with_news_does_not_wait_for_another() -> None:
    store = Store()
    store.may.release()
    await saved(journal(store), "cut", pure=True, published=NEWS)
    await eventually(lambda: store.writes == [(["cut"], False)])


async def test_a_result_that_replaces_one_whose_write_is_under_way_is_written_after_it() -> None:
    store = Store()
    under_test = journal(store)
    await saved(under_test, "speak")
    await eventually(lambda: under_test._writing.locked())
    await saved(under_test, "speak")
    store.may.release()
    store.may.release()
    await eventually(lambda: store.writes == [(["speak"], False)] * 2)


async def test_another_output_of_a_step_is_stored_at_once() -> None:
    store = Store()
    under_test = journal(store)
    await saved(under_test, "recast", pure=True)
    amended = asyncio.create_task(under_test.amend(Step("recast", "store", unused, pure=True), Checkpoint("h", ["x"])))
    await under_way(amended)
    store.may.release()
    await amended
    assert store.writes == [(["recast"], False)]


async def test_a_result_that_stands_for_a_payment_is_stored_before_its_step_has_ended() -> None:
    store = Store()
    under_test = journal(store)
    await saved(under_test, "mux")
    manifest = saving(under_test, "manifest")
    await under_way(manifest)
    store.may.release()
    await manifest
    assert store.writes == [(["mux", "manifest"], False)]


async def test_after_a_write_that_failed_the_next_step_meets_the_error() -> None:
    store = Store()
    under_test, store.trouble = journal(store), [Unavailable(), Unavailable()]
    await saved(under_test, "a")
    store.may.release()
    await eventually(lambda: len(store.trouble) == 1)
    store.may.release()
    with pytest.raises(Unavailable):
        await saved(under_test, "b")
    store.may.release()
    await saved(under_test, "b")
    assert store.writes == [(["a", "b"], True)]


async def test_a_write_that_failed_is_repeated_though_no_other_result_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_AGAIN_S", 0.01)
    store = Store()
    under_test, store.trouble = journal(store), [Unavailable()]
    await saved(under_test, "a")
    store.may.release()
    store.may.release()
    await eventually(lambda: store.writes == [(["a"], True)])


async def test_what_waits_is_written_however_the_run_ends() -> None:
    store = Store()
    store.may.release()
    with pytest.raises(Unavailable):
        await run_that_fails(journal(store), Unavailable())
    assert store.writes == [(["a"], False)]


async def test_the_error_of_the_last_write_does_not_hide_that_of_the_run() -> None:
    store = Store()
    store.trouble = [Unavailable(reason="database_unavailable")]
    store.may.release()
    with pytest.raises(Unavailable) as caught:
        await run_that_fails(journal(store), Unavailable(reason="tts_down"))
    assert caught.value.reason == "tts_down"


async def test_a_write_that_failed_is_left_to_the_next_which_marks_it_as_perhaps_stored() -> None:
    store = Store()
    under_test, store.trouble = journal(store), [Unavailable()]
    await saved(under_test, "pure", pure=True)
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
