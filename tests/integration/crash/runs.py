"""A job with and without a kill, from its submission to what it leaves behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from onevoice_kit.testing.waiting import eventually
from tests.integration.crash.conftest import PATIENCE_S, World
from tests.integration.crash.outcome import Outcome, outcome
from tests.integration.crash.points import Point
from tests.integration.crash.scenarios import SCENARIOS
from tests.support.storing_stages import step_of

OPEN_ENDED = ("cancelled", "exhausted")
"""The traces of such a job depend on the moment at which it was stopped, its reason on the process that found it so."""


@dataclass(frozen=True)
class Run:
    """A job that was not disturbed."""

    outcome: Outcome
    passed: Counter[str]
    """Count of each effect."""
    calls: list[str]


def calls(world: World) -> list[str]:
    """The steps that called the stages, in order."""
    return [step_of(method, request) for method, request in world.script.calls]


async def undisturbed(world: World, name: str) -> Run:
    """Runs a scenario in which no process is killed."""
    scenario = SCENARIOS[name]
    scenario.arrange(world)
    await world.submit()
    await scenario.befall(world)
    first = await world.start(environment=scenario.environment)
    await scenario.act(world, first)
    await eventually(lambda: scenario.last in first.passed, PATIENCE_S)
    if not await world.over():
        scenario.relieve(world)
        await world.start()
        await world.until_over()
    done = [point.removesuffix(":after") for point in first.passed if point.endswith(":after")]
    return Run(await outcome(world), Counter(done), calls(world))


async def disturbed(world: World, point: Point) -> Outcome:
    """
    Runs a scenario in which the first process is killed at a point, and a second one takes over. Checks that work
    whose result was stored is not done again.
    """
    scenario = SCENARIOS[point.scenario]
    scenario.arrange(world)
    await world.submit()
    await scenario.befall(world)
    doomed = await world.start(die_at=point.name, occurrence=point.occurrence, environment=scenario.environment)
    await scenario.act(world, doomed)
    await doomed.child.ended()
    assert doomed.passed[-1] == point.name, doomed.child.output.read_text()
    stored, asked = await world.completed_steps() - {*scenario.again}, len(world.script.calls)

    scenario.relieve(world)
    await world.leases_run_out()
    await world.start(environment=scenario.environment)
    await world.until_over()
    assert stored.isdisjoint(calls(world)[asked:]), "work whose result was stored was repeated"
    return await outcome(world)


def comparable(found: Outcome, point: Point) -> Outcome:
    """The part of an outcome that must be the same however the job was disturbed."""
    if point.scenario not in OPEN_ENDED:
        return found
    ends = Counter(event.split()[0] for event in found.events.elements() if event.startswith("job."))
    return replace(found, error=None, languages=None, artifacts=None, objects={}, translations=None, events=ends)
