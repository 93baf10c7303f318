"""A remedy: the scope of a step that failed begins anew with another output of an earlier step, and loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from onevoice_jobs.records import Published
from onevoice_kit.errors import InvalidInput, OneVoiceError, Unavailable
from onevoice_kit.testing.waiting import eventually
from services.orchestrator.pipeline.checkpoints import Checkpoint
from services.orchestrator.steps.graph import Inputs, Json, Remedy, Step
from tests.unit.orchestrator.test_executor import FOREVER, MemoryJournal, Work, executor

DOWN = Unavailable("The engine is down.", reason="engine_failed", retryable=False)


class Stage:
    """A language of three lines, spoken by the first engine that is not out; `dead` ones fail after `alive` lines."""

    def __init__(self, *dead: str, alive: int = 1, engines: tuple[str, ...] = ("first", "second")) -> None:
        self.dead = dict.fromkeys(dead, alive)
        self.engines = engines
        self.error: OneVoiceError = DOWN
        self.spoken: list[tuple[str, str]] = []
        """Line and engine of every call that was answered."""
        self.hold: Callable[[str, str], bool] = lambda _line, _engine: False
        self.go = asyncio.Event()
        self.work = Work()

    async def voices(self, inputs: Inputs) -> Json:
        """The engine that speaks."""
        self.work.ran.append("voices")
        return next(engine for engine in self.engines if engine not in inputs["out"])

    def speak(self, line: str) -> Step:
        async def run(inputs: Inputs) -> Json:
            engine = inputs["voices"]
            self.work.ran.append(line)
            if self.hold(line, engine):
                await self.go.wait()
            if engine in self.dead:
                if not self.dead[engine]:
                    raise type(self.error)(engine, reason=self.error.reason, retryable=self.error.retryable)
                self.dead[engine] -= 1
            self.spoken.append((line, engine))
            return [line, engine]

        def remedy(outputs: Inputs, error: OneVoiceError) -> Remedy | None:
            out = sorted({*outputs["out"], error.message})
            return Remedy("out", out) if len(out) < len(self.engines) else None

        return Step(line, "tts", run, ("voices",), scope="es", remedy=remedy)

    def graph(self) -> Iterator[Step]:
        """The lines come from a step outside of the scope; a report waits for the scope's end."""
        yield self.work.step("cut", then=lambda _: map(self.speak, "abc"))
        yield Step("out", "store", self.none, scope="es", pure=True)
        yield Step("voices", "tts", self.voices, ("out",), scope="es")
        yield self.work.step("end:es", "a", "b", "c", scope="es")
        yield self.work.step("report", "end:es")

    async def none(self, _: Inputs) -> Json:
        return []


def engines_of(outputs: object, lines: str = "abc") -> list[str]:
    assert isinstance(outputs, dict)
    return [outputs[line][1] for line in lines]


async def test_the_scope_begins_anew_and_what_depends_on_the_other_output_is_done_again() -> None:
    stage, journal = Stage("first"), MemoryJournal()
    outputs = await executor(journal, tts=1).run(stage.graph())
    assert engines_of(outputs) == ["second"] * 3
    assert stage.spoken == [("a", "first"), ("a", "second"), ("b", "second"), ("c", "second")]
    assert (journal.stored["out"].output, stage.work.ran.count("voices")) == (["first"], 2)
    assert stage.work.ran.count("cut") == stage.work.ran.count("report") == 1


async def test_a_result_that_does_not_depend_on_the_other_output_stays() -> None:
    stage, journal = Stage("first", alive=0), MemoryJournal()
    translate = stage.work.step("translate", scope="es")
    outputs = await executor(journal, tts=1).run([translate, *stage.graph()])
    assert engines_of(outputs) == ["second"] * 3
    assert stage.work.ran.count("translate") == 1


async def test_calls_in_flight_end_and_are_stored_before_the_scope_begins_anew() -> None:
    stage, journal = Stage("first"), MemoryJournal()
    stage.hold = lambda line, engine: (line, engine) == ("a", "first")
    saved: list[tuple[str, Json]] = []
    save = journal.save

    async def saving(step: Step, checkpoint: Checkpoint, published: Published) -> None:
        saved.append((step.key, checkpoint.output))
        await save(step, checkpoint, published)

    journal.save = saving  # type: ignore[method-assign]
    run = asyncio.create_task(executor(journal).run(stage.graph()))
    await eventually(lambda: "c" in stage.work.ran and "end:es" not in stage.work.ran)
    for _ in range(20):
        await asyncio.sleep(0)
    assert ("out", ["first"]) not in saved, "a call is in flight"
    stage.dead["first"] = 1
    stage.go.set()
    assert engines_of(await run) == ["second"] * 3
    assert saved.index(("a", ["a", "first"])) < saved.index(("out", ["first"]))


async def test_a_second_run_keeps_the_other_output_and_does_nothing_again() -> None:
    stage, journal = Stage("first"), MemoryJournal()
    await executor(journal).run(stage.graph())
    ran = list(stage.work.ran)
    assert engines_of(await executor(journal).run(stage.graph())) == ["second"] * 3
    assert stage.work.ran == ran


async def test_a_run_that_broke_off_after_the_remedy_goes_on_with_it() -> None:
    stage, journal = Stage("first", alive=0), MemoryJournal()
    save = journal.save

    async def lost(step: Step, checkpoint: Checkpoint, published: Published) -> None:
        if checkpoint.output == "second":
            raise KeyError("lease lost")
        await save(step, checkpoint, published)

    journal.save = lost  # type: ignore[method-assign]
    with pytest.raises(KeyError, match="lease lost"):
        await executor(journal).run(stage.graph())
    journal.save = save  # type: ignore[method-assign]
    calls = len(stage.work.ran)
    assert engines_of(await executor(journal).run(stage.graph())) == ["second"] * 3
    assert stage.work.ran[calls:] == ["voices", "a", "b", "c", "end:es", "report"], "the first engine is not tried"


async def test_engines_that_fail_one_after_the_other_are_each_replaced() -> None:
    stage, journal = Stage("first", "second", engines=("first", "second", "third")), MemoryJournal()
    assert engines_of(await executor(journal).run(stage.graph())) == ["third"] * 3
    assert journal.stored["out"].output == ["first", "second"]


async def test_without_a_remedy_a_permanent_error_fails_the_scope() -> None:
    stage, journal = Stage("first", "second"), MemoryJournal()
    stage.error = InvalidInput(reason="engine_key_refused")
    outputs = await executor(journal).run(stage.graph())
    assert (journal.failed["es"].reason, journal.failed["es"].message) == ("engine_key_refused", "second")
    assert outputs["report"][1]["end:es"] == {"failed": "engine_key_refused"}


async def test_without_a_remedy_a_transient_error_leaves_the_scope_to_the_next_run() -> None:
    stage, journal = Stage("first", "second"), MemoryJournal()
    stage.error = Unavailable(reason="engine_failed")
    with pytest.raises(Unavailable, match="second"):
        await executor(journal).run(stage.graph())
    assert journal.stored["out"].output == ["first"]
    stage.dead.clear()
    calls = len(stage.work.ran)
    assert engines_of(await executor(journal).run(stage.graph())) == ["second"] * 3
    assert "voices" not in stage.work.ran[calls:]


async def test_a_transient_error_is_retried_before_its_remedy() -> None:
    stage, journal = Stage("first", alive=0), MemoryJournal()
    stage.error = Unavailable(reason="engine_failed")
    assert engines_of(await executor(journal).run(stage.graph())) == ["second"] * 3
    assert set(journal.retries) == set("abc")


async def test_another_scope_goes_on_meanwhile() -> None:
    stage, journal = Stage("first"), MemoryJournal()
    other = [stage.work.step("x", scope="ca"), stage.work.step("end:ca", "x", scope="ca")]
    outputs = await executor(journal).run([*stage.graph(), *other])
    assert (engines_of(outputs), stage.work.ran.count("x")) == (["second"] * 3, 1)


async def test_where_the_job_itself_must_wait_no_scope_begins_anew() -> None:
    stage, journal = Stage("first", alive=0), MemoryJournal()
    stage.hold = lambda line, _engine: line == "a"
    down = stage.work.step("down", fails=[Unavailable(reason="mixer_down")] * FOREVER)
    under_test = executor(journal)
    run = asyncio.create_task(under_test.run([*stage.graph(), down]))
    await eventually(lambda: under_test.failed_stage)
    stage.go.set()
    with pytest.raises(Unavailable) as caught:
        await run
    assert caught.value.reason == "mixer_down"
    assert stage.work.ran.count("voices") == 1
