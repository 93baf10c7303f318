"""The executor: order, bounds, checkpoints, retries, scopes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import pytest

from onevoice_jobs.records import NOTHING, Published
from onevoice_kit.errors import Busy, DeadlineExceeded, Internal, InvalidInput, OneVoiceError, Unavailable
from onevoice_kit.retry import Backoff, Retry
from services.orchestrator.pipeline.checkpoints import FAILED, Checkpoint
from services.orchestrator.pipeline.executor import Executor
from services.orchestrator.steps.graph import Inputs, Json, Step
from tests.simulation import loop as virtual

T = TypeVar("T")
AT_ONCE = Retry(Backoff(0.001, 0.002), budget_s=0.2)
FOREVER = 1_000_000


class MemoryJournal:
    """Keeps results in memory and records retries and failures."""

    def __init__(self, stored: Mapping[str, Checkpoint] | None = None) -> None:
        self.stored = dict(stored or {})
        self.retries: list[str] = []
        self.failed: dict[str, OneVoiceError] = {}
        self.refuse: str | None = None
        self.trouble: list[OneVoiceError] = []

    async def completed(self) -> Mapping[str, Checkpoint]:
        return self.stored

    async def save(self, step: Step, checkpoint: Checkpoint, published: Published) -> None:
        if step.key == self.refuse:
            raise KeyError("lease lost")
        if self.trouble:
            raise self.trouble.pop()
        self.stored[step.key] = checkpoint

    async def amend(self, step: Step, checkpoint: Checkpoint) -> None:
        await self.save(step, checkpoint, NOTHING)

    async def retrying(self, step: Step, error: OneVoiceError, attempt: int, delay_s: float) -> None:
        self.retries.append(step.key)

    async def scope_failed(self, scope: str, error: OneVoiceError) -> Json:
        self.failed[scope] = error
        return {"failed": error.reason}


class Work:
    """Makes steps and records which of them ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.now = 0
        self.most = 0

    def step(self, key: str, *deps: str, fails: Sequence[Exception] = (), **options: Any) -> Step:
        left = list(fails)
        seconds = options.pop("seconds", 0)

        async def run(inputs: Inputs) -> Json:
            self.ran.append(key)
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(seconds)
            self.now -= 1
            if left:
                raise left.pop(0)
            return [key, dict(inputs)]

        return Step(key, options.pop("stage", "any"), run, deps, **options)


def executor(journal: MemoryJournal, **limits: int) -> Executor:
    return Executor(journal, limits, scope_end=lambda scope: f"end:{scope}", retry=AT_ONCE)


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Runs on a clock that jumps to the next timer."""
    return virtual.run(virtual.VirtualLoop(), main)


async def test_a_step_runs_after_what_it_depends_on_and_gets_its_output() -> None:
    work, journal = Work(), MemoryJournal()
    outputs = await executor(journal).run([work.step("b", "a"), work.step("a")])
    assert work.ran == ["a", "b"]
    assert outputs["b"] == ["b", {"a": ["a", {}]}]


async def test_a_step_may_wait_for_steps_that_another_step_adds() -> None:
    work = Work()
    first = work.step("first", then=lambda _: [work.step("x"), work.step("y", "x")])
    await executor(MemoryJournal()).run([first, work.step("last", "y")])
    assert work.ran == ["first", "x", "y", "last"]


async def test_a_stage_runs_no_more_steps_at_once_than_its_limit() -> None:
    work = Work()
    await executor(MemoryJournal(), narrow=3).run([work.step(f"s{i}", stage="narrow") for i in range(20)])
    assert work.most == 3


async def test_a_second_run_does_nothing_again_but_still_finds_what_follows() -> None:
    work, journal = Work(), MemoryJournal()

    def graph() -> list[Step]:
        return [work.step("a", then=lambda _: [work.step("b", "a")]), work.step("c", "b")]

    first = await executor(journal).run(graph())
    assert await executor(journal).run(graph()) == first
    assert work.ran == ["a", "b", "c"]


async def test_a_step_that_was_broken_off_is_done_again() -> None:
    journal, work = MemoryJournal(), Work()
    with pytest.raises(InvalidInput):
        await executor(journal).run([work.step("a", fails=[InvalidInput("No.")])])
    outputs = await executor(journal).run([work.step("a")])
    assert outputs == {"a": ["a", {}]}
    assert work.ran == ["a", "a"]


async def test_a_changed_parameter_redoes_the_step_and_what_depends_on_it_only_if_its_output_changed() -> None:
    work, journal = Work(), MemoryJournal()
    await executor(journal).run([work.step("a", params=1), work.step("b", "a"), work.step("other")])
    await executor(journal).run([work.step("a", params=2), work.step("b", "a"), work.step("other")])
    assert work.ran.count("a") == 2
    assert work.ran.count("b") == 1
    assert work.ran.count("other") == 1


async def test_a_transient_failure_is_retried_and_announced() -> None:
    work, journal = Work(), MemoryJournal()
    await executor(journal).run([work.step("a", fails=[Unavailable(), Unavailable()])])
    assert work.ran == ["a", "a", "a"]
    assert journal.retries == ["a", "a"]
    assert journal.stored["a"].attempts == 3


@pytest.mark.parametrize("trouble", [Busy, Unavailable])
async def test_a_write_to_a_journal_in_transient_trouble_is_retried_without_repeating_the_step(trouble: Any) -> None:
    work, journal = Work(), MemoryJournal()
    journal.trouble = [trouble(), trouble()]
    await executor(journal).run([work.step("a")])
    assert (work.ran, set(journal.stored)) == (["a"], {"a"})


async def test_a_journal_that_stays_busy_ends_the_run() -> None:
    work, journal = Work(), MemoryJournal()
    journal.trouble = [Busy()] * FOREVER
    with pytest.raises(Busy):
        await executor(journal).run([work.step("a")])


async def test_a_lasting_failure_of_the_job_stops_everything_at_once() -> None:
    work = Work()
    never = asyncio.Event()

    async def hang(_: Inputs) -> Json:
        try:
            await never.wait()
        finally:
            work.ran.append("hang cancelled")

    bad = work.step("bad", fails=[InvalidInput(reason="not_media")])
    with pytest.raises(InvalidInput, match="not valid") as caught:
        await executor(MemoryJournal()).run([Step("hang", "any", hang), bad])
    assert caught.value.reason == "not_media"
    assert work.ran == ["bad", "hang cancelled"]


async def test_a_failed_scope_leaves_the_others_alone_and_its_end_step_reports_it() -> None:
    work, journal = Work(), MemoryJournal()
    graph = [
        work.step("es", scope="es", fails=[InvalidInput(reason="no_voice")]),
        work.step("end:es", "es", scope="es"),
        work.step("ca", scope="ca"),
        work.step("end:ca", "ca", scope="ca"),
        work.step("report", "end:es", "end:ca"),
    ]
    outputs = await executor(journal).run(graph)
    assert journal.failed["es"].reason == "no_voice"
    assert outputs["report"][1]["end:es"] == {"failed": "no_voice"}
    assert "ca" in work.ran
    assert "end:es" not in work.ran


async def test_a_scope_with_a_transient_failure_is_left_for_the_next_delivery() -> None:
    def graph(work: Work, failures: int) -> list[Step]:
        return [
            work.step("es", scope="es", stage="tts", fails=[Unavailable(reason="tts_down")] * failures),
            work.step("end:es", "es", scope="es"),
            work.step("ca", scope="ca"),
            work.step("end:ca", "ca", scope="ca"),
            work.step("report", "end:es", "end:ca"),
        ]

    work, journal = Work(), MemoryJournal()
    first = executor(journal)
    with pytest.raises(Unavailable) as caught:
        await first.run(graph(work, FOREVER))
    assert (caught.value.reason, first.failed_stage, first.progressed) == ("tts_down", "tts", True)
    assert "end:ca" in journal.stored
    assert not journal.failed
    outputs = await executor(journal).run(graph(work, 0))
    assert outputs["report"][1]["end:es"][0] == "end:es"
    assert not journal.failed


@pytest.mark.parametrize("scope", ["", "es"])
def test_a_transient_failure_leaves_no_call_in_flight_unstored_and_begins_no_other(scope: str) -> None:
    work, journal = Work(), MemoryJournal()
    graph = [
        work.step("fails", scope=scope, fails=[Unavailable()] * FOREVER),
        work.step("in flight", scope=scope, seconds=60.0, then=lambda _: [work.step("follows", scope=scope)]),
        work.step("fails last", scope=scope, seconds=90.0, fails=[Busy()] * FOREVER),
        work.step("waits", scope=scope, seconds=60.0, stage="narrow"),
        work.step("waits for its turn", scope=scope, stage="narrow"),
        work.step("end:es", "waits for its turn", scope="es"),
    ]
    with pytest.raises(Unavailable):
        run_virtually(executor(journal, narrow=1).run(graph))
    assert set(journal.stored) == {"in flight", "waits"}
    assert [key for key in work.ran if key != "fails"] == ["in flight", "fails last", "waits"]


async def test_a_lease_lost_while_the_last_calls_end_ends_the_run() -> None:
    work, journal = Work(), MemoryJournal()
    journal.refuse = "paid"
    with pytest.raises(KeyError, match="lease lost"):
        await executor(journal).run(
            [
                work.step("fails", scope="es", fails=[Unavailable()] * FOREVER),
                work.step("paid", scope="es", seconds=0.5),
            ]
        )


async def test_a_code_error_in_a_scope_fails_that_scope_alone(caplog: pytest.LogCaptureFixture) -> None:
    work, journal = Work(), MemoryJournal()
    graph = [
        work.step("es", scope="es", fails=[KeyError("speaker_2")]),
        work.step("end:es", "es", scope="es"),
        work.step("ca", scope="ca"),
        work.step("end:ca", "ca", scope="ca"),
        work.step("report", "end:es", "end:ca"),
    ]
    outputs = await executor(journal).run(graph)
    assert journal.failed["es"].reason == "internal"
    assert "speaker_2" not in journal.failed["es"].message
    assert "KeyError: 'speaker_2'" in caplog.text
    assert outputs["report"][1]["end:ca"][0] == "end:ca"


async def until_it_ends(journal: MemoryJournal, step: Step) -> OneVoiceError:
    with pytest.raises(OneVoiceError) as caught:
        await executor(journal).run([step])
    return caught.value


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (3_000.0, DeadlineExceeded(reason="deadline_exceeded")),
        (1.0, DeadlineExceeded(reason="engine_timeout")),
    ],
)
def test_a_step_that_meets_its_own_deadline_twice_has_failed_for_good(seconds: float, error: OneVoiceError) -> None:
    work = Work()
    step = work.step("mux", seconds=seconds, fails=[error] * 20)
    caught = run_virtually(until_it_ends(MemoryJournal(), step))
    assert (caught.reason, caught.retryable) == ("step_timeout", False)
    assert work.ran == ["mux", "mux"]


def test_a_step_whose_second_try_meets_its_deadline_no_more_goes_on() -> None:
    work = Work()
    step = work.step("mux", seconds=3_000.0, fails=[DeadlineExceeded()])
    assert run_virtually(executor(MemoryJournal()).run([step])) == {"mux": ["mux", {}]}


def test_a_short_call_that_is_not_answered_in_time_has_met_a_stage_that_is_away() -> None:
    work = Work()
    step = work.step("tts", seconds=60.0, fails=[DeadlineExceeded()] * 20)
    assert run_virtually(until_it_ends(MemoryJournal(), step)).retryable


async def test_a_pure_step_is_no_progress_for_it_may_not_be_stored() -> None:
    work, journal = Work(), MemoryJournal()
    run = executor(journal)
    with pytest.raises(Unavailable):
        await run.run([work.step("fit", pure=True), work.step("mix", "fit", fails=[Unavailable()] * FOREVER)])
    assert not run.progressed


async def test_a_pause_that_does_not_fit_into_the_budget_ends_the_retries() -> None:
    work, journal = Work(), MemoryJournal()
    with pytest.raises(Busy):
        await executor(journal).run([work.step("tts", fails=[Busy(retry_after=30.0)])])
    assert (work.ran, journal.retries) == (["tts"], [])


async def test_without_its_journal_a_job_does_not_go_on() -> None:
    work, journal = Work(), MemoryJournal()
    journal.refuse = "a"
    with pytest.raises(KeyError, match="lease lost"):
        await executor(journal).run([work.step("a"), work.step("b", "a")])
    assert work.ran == ["a"]


async def test_a_graph_that_cannot_end_is_a_defect_and_names_the_step() -> None:
    work = Work()
    with pytest.raises(Internal, match="nowhere"):
        await executor(MemoryJournal()).run([work.step("nowhere", "nothing")])


async def test_a_scope_that_has_failed_for_good_does_not_come_back_in_a_later_run() -> None:
    journal = MemoryJournal({"end:es": Checkpoint(FAILED, {"failed": "before"})})
    work = Work()
    steps = [work.step("a", scope="es"), work.step("end:es", "a", scope="es"), work.step("last", "end:es")]
    outputs = await executor(journal).run(steps)
    assert work.ran == ["last"]
    assert outputs["last"] == ["last", {"end:es": {"failed": "before"}}]
    assert journal.failed == {}
