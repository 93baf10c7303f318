"""Pipelines kept alive: what happens when their programs die, hang or lose count. `cat` stands in for Apertium."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from onevoice_kit.errors import Busy, Unavailable
from onevoice_kit.testing.waiting import eventually
from services.translate.engines.apertium_modes import Mode
from services.translate.engines.apertium_pool import Pipeline, PipelineLost, Pool
from services.translate.engines.base import LanguagePair

ECHO = ("cat", "-u")


def mode(*stages: tuple[str, ...], name: str = "eng-spa") -> Mode:
    return Mode(name, LanguagePair("en", "es"), stages, "")


def dies_once(marker: Path, stage: str) -> tuple[str, ...]:
    """A program that does `stage` the first time it is started, and echoes from then on."""
    return ("sh", "-c", f"if [ -e {marker} ]; then exec cat; fi; touch {marker}; {stage}")


@pytest.fixture
async def pool():
    made = Pool(max_pipelines=2, line_timeout_s=5)
    yield made
    await made.close()


def running(pool: Pool) -> list[int]:
    slots = [slot for slot in pool._slots.values() if slot.pipeline is not None]
    return [program.pid for slot in slots for program in slot.pipeline._programs]  # type: ignore[union-attr]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


async def test_lines_go_through_every_program_and_keep_their_order(pool):
    lines = [f"line {i}" for i in range(1000)]
    assert await pool.translate(mode(ECHO, ECHO), lines) == [f"{line}[]" for line in lines]


async def test_a_pipeline_is_kept_for_the_next_call(pool):
    await pool.translate(mode(ECHO), ["a"])
    before = running(pool)
    await pool.translate(mode(ECHO), ["b"])
    assert running(pool) == before


async def test_a_pipeline_that_dies_is_replaced_and_no_line_is_lost(pool, tmp_path):
    first = dies_once(tmp_path / "died", "head -c 20 | head -c 9; exit 1")
    assert await pool.translate(mode(ECHO, first), ["a", "b", "c"]) == ["a[]", "b[]", "c[]"]


async def test_a_pipeline_killed_while_idle_is_replaced(pool):
    await pool.translate(mode(ECHO), ["a"])
    [slot] = pool._slots.values()
    slot.pipeline._programs[0].kill()
    assert await pool.translate(mode(ECHO), ["b"]) == ["b[]"]


async def test_a_pipeline_that_hangs_is_replaced(tmp_path):
    pool = Pool(max_pipelines=1, line_timeout_s=2.0)
    assert await pool.translate(mode(dies_once(tmp_path / "hung", "exec sleep 60")), ["a"]) == ["a[]"]
    await pool.close()


@pytest.mark.parametrize("program", [("false",), ("no-such-program-here",), ("tr", "=", "-")])
async def test_a_pipeline_that_never_answers_rightly_fails_the_call(program):
    pool = Pool(max_pipelines=1, line_timeout_s=0.5)
    with pytest.raises(Unavailable) as caught:
        await pool.translate(mode(program), ["a"])
    assert caught.value.reason == "engine_failed"
    assert running(pool) == []
    await pool.close()


async def test_a_cancelled_call_leaves_no_half_read_pipeline_behind(pool, tmp_path):
    started = tmp_path / "started"
    slow = ("sh", "-c", f"if [ -e {started} ]; then exec cat; fi; touch {started}; exec sleep 60")
    call = asyncio.create_task(pool.translate(mode(slow), ["a"]))
    await eventually(lambda: started.exists() and running(pool))
    pids = running(pool)
    assert alive(pids)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not alive(pids)
    assert await pool.translate(mode(slow), ["b"]) == ["b[]"]


async def test_a_call_cancelled_while_its_pipeline_starts_leaves_no_program(pool, tmp_path):
    started = tmp_path / "started"
    program = ("sh", "-c", f"echo $$ >> {started}; exec sleep 60")
    call = asyncio.create_task(pool.translate(mode(*[program] * 20), ["a"]))
    await eventually(started.exists)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    assert not alive([int(pid) for pid in started.read_text().split()])


async def test_only_so_many_pipelines_run_and_the_longest_idle_makes_room(pool):
    for name in ("eng-spa", "eng-cat", "eng-spa", "spa-eng"):
        await pool.translate(mode(ECHO, name=name), ["a"])
    assert list(pool._slots) == ["eng-spa", "spa-eng"]
    assert len(running(pool)) == 2


async def test_where_every_pipeline_works_for_another_pair_the_caller_comes_back_later():
    pool = Pool(max_pipelines=1, line_timeout_s=60)
    call = asyncio.create_task(pool.translate(mode(("sleep", "60")), ["a"]))
    await eventually(lambda: running(pool))
    with pytest.raises(Busy) as caught:
        await pool.translate(mode(ECHO, name="eng-cat"), ["a"])
    assert caught.value.retry_after is not None
    call.cancel()
    await asyncio.wait([call])
    await pool.close()


async def test_callers_of_one_pair_share_a_pipeline_without_mixing_their_lines(pool):
    calls = [pool.translate(mode(ECHO), [f"{caller} {i}" for i in range(50)]) for caller in range(10)]
    answers = await asyncio.gather(*calls)
    assert answers == [[f"{caller} {i}[]" for i in range(50)] for caller in range(10)]
    assert len(running(pool)) == 1


async def test_a_pipeline_that_was_not_started_has_no_answers():
    with pytest.raises(PipelineLost):
        await anext(Pipeline([ECHO], 1).translate(["a"]))


async def test_closing_ends_every_program(pool):
    await pool.translate(mode(ECHO, ECHO), ["a"])
    pids = running(pool)
    await pool.close()
    assert not alive(pids)
