"""An orchestrator killed before or after any side effect of a job: another finishes it as if nothing had happened."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest

from onevoice_kit.testing.waiting import eventually
from tests.integration.crash.conftest import PATIENCE_S, World, Worlds
from tests.integration.crash.outcome import Outcome, outcome
from tests.integration.crash.points import EFFECTS, ENDINGS, TIMED, Point, chosen_points
from tests.integration.crash.scenarios import SCENARIOS
from tests.support.storing_stages import step_of

OPEN_ENDED = ("cancelled", "exhausted")
"""What such a job leaves depends on when it was stopped, and its reason on who found it so."""


@dataclass(frozen=True)
class Run:
    """A job that nobody disturbed."""

    outcome: Outcome
    passed: Counter[str]
    """How often each effect happened."""
    calls: list[str]


def calls(world: World) -> list[str]:
    """Which steps asked the stages for their work, in order."""
    return [step_of(method, request) for method, request in world.script.calls]


async def undisturbed(world: World, name: str) -> Run:
    """Runs a scenario in which nobody is killed."""
    scenario = SCENARIOS[name]
    scenario.arrange(world)
    await world.submit()
    first = await world.start(environment=scenario.environment)
    await scenario.act(world, first)
    await eventually(lambda: scenario.last in first.passed, PATIENCE_S)
    if not await world.over():
        scenario.relieve(world)
        await world.start()
        await world.until_over()
    done = [point.removesuffix(":after") for point in first.passed if point.endswith(":after")]
    return Run(await outcome(world), Counter(done), calls(world))


def _grouped(scenario: str, name: str, *values: object) -> Any:
    """A parameter; those of a rare scenario share a worker, and so its undisturbed run."""
    marks = [pytest.mark.xdist_group(f"crash-{scenario}")] if scenario != "dubbed" else []
    return pytest.param(scenario, *values, id=name, marks=marks)


@pytest.fixture(scope="module")
def known_runs() -> dict[str, Run]:
    """Undisturbed runs that were made already, by scenario."""
    return {}


@pytest.fixture
async def reference(scenario: str, worlds: Worlds, known_runs: dict[str, Run]) -> Run:
    """The undisturbed run of a scenario."""
    if scenario not in known_runs:
        async with worlds() as world:
            known_runs[scenario] = await undisturbed(world, scenario)
    return known_runs[scenario]


@pytest.mark.parametrize("scenario", ["dubbed"])
def test_every_effect_of_a_job_is_in_the_matrix(reference: Run) -> None:
    assert set(reference.passed) == set(EFFECTS)
    assert {effect: times for effect, times in reference.passed.items() if effect not in TIMED} == {
        effect: times for effect, times in EFFECTS.items() if effect not in TIMED
    }
    assert len(reference.calls) == len(set(reference.calls)), "a step that asked twice"


@pytest.mark.parametrize("scenario", [_grouped(name, name) for name in ENDINGS])
def test_every_effect_of_another_ending_is_in_the_matrix(reference: Run, scenario: str) -> None:
    assert set(ENDINGS[scenario]) <= set(reference.passed)
    assert set(reference.passed) <= set(EFFECTS).union(*ENDINGS.values())


@pytest.mark.parametrize(
    ("scenario", "point"), [_grouped(point.scenario, str(point), point) for point in chosen_points()]
)
async def test_after_a_kill_another_process_ends_the_job_as_if_nothing_had_happened(
    reference: Run, worlds: Worlds, point: Point
) -> None:
    scenario = SCENARIOS[point.scenario]
    async with worlds() as world:
        scenario.arrange(world)
        await world.submit()
        doomed = await world.start(die_at=point.name, occurrence=point.occurrence, environment=scenario.environment)
        await scenario.act(world, doomed)
        await doomed.child.ended()
        assert doomed.passed[-1] == point.name, doomed.child.output.read_text()
        stored, asked = await world.completed_steps(), len(world.script.calls)

        scenario.relieve(world)
        await world.leases_run_out()
        await world.start(environment=scenario.environment)
        await world.until_over()
        assert stored.isdisjoint(calls(world)[asked:]), "work whose result was stored was done again"
        assert comparable(await outcome(world), point) == comparable(reference.outcome, point)


def comparable(found: Outcome, point: Point) -> Outcome:
    """What must be the same however the job was disturbed."""
    if point.name in ("mail.send:after", "alerts.send:after"):
        # It is out, but nobody knows: it goes out again, under the same key.
        found = replace(found, sent=dict.fromkeys(found.sent, 0))
    if point.scenario not in OPEN_ENDED:
        return found
    ends = Counter(event.split()[0] for event in found.events.elements() if event.startswith("job."))
    return replace(found, error=None, languages=None, artifacts=None, objects={}, translations=None, events=ends)
