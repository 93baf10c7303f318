"""An orchestrator killed before or after any side effect of a job: another finishes it as if nothing had happened."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.crash.conftest import FREE_CREDITS, Worlds
from tests.integration.crash.outcome import outcome
from tests.integration.crash.points import EFFECTS, ENDINGS, TIMED, Point, chosen_points
from tests.integration.crash.runs import Run, comparable, disturbed, undisturbed


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


@pytest.mark.parametrize("scenario", [_grouped(name, name) for name in ("dubbed", *ENDINGS)])
def test_no_credits_stay_reserved_however_a_job_ends(reference: Run) -> None:
    outcome = reference.outcome
    assert outcome.balance == (FREE_CREDITS - (outcome.spent_credits or 0), 0)


@pytest.mark.parametrize(
    ("scenario", "point"), [_grouped(point.scenario, str(point), point) for point in chosen_points()]
)
async def test_after_a_kill_another_process_ends_the_job_as_if_nothing_had_happened(
    reference: Run, worlds: Worlds, point: Point
) -> None:
    async with worlds() as world:
        assert comparable(await disturbed(world, point), point) == comparable(reference.outcome, point)


@pytest.mark.parametrize("scenario", ["dubbed"])
async def test_a_job_goes_on_by_itself_when_the_lease_of_a_killed_process_has_run_out(
    reference: Run, worlds: Worlds
) -> None:
    async with worlds() as world:
        await world.submit()
        short = {"WORKER_LEASE_S": "1", "WORKER_RENEW_S": "0.3"}
        doomed = await world.start(die_at="mixer.mix:before", environment=short)
        await doomed.child.ended()
        await world.start()
        await world.until_over()
        assert await outcome(world) == reference.outcome
