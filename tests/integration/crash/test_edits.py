"""An orchestrator killed in a run of edits: another completes the run, and the edit is charged once."""

from __future__ import annotations

from collections import Counter

import pytest

from onevoice_jobs import queries
from onevoice_jobs.states import JobStatus
from onevoice_kit.db import transaction
from tests.integration.crash.conftest import JOB, USER, World
from tests.integration.crash.runs import calls
from tests.support.editing import edit, regenerate

TEXT = "The first line, written by the user 0"
"""Its last word stands for the line, as in all texts of these stages."""
LINE_CREDITS = 2
"""A line lasts 1.5 seconds, and started seconds count whole."""


async def complete(world: World) -> None:
    """The first run; its process is gone afterwards."""
    await world.submit()
    orchestrator = await world.start()
    await world.until_over()
    await orchestrator.child.kill()
    world.script.calls.clear()


@pytest.mark.parametrize(("point", "lost"), [("tts.speak:after", ["speak:es:0.0"]), ("billing.settle:after", [])])
async def test_a_run_of_edits_survives_a_kill_and_is_charged_once(world: World, point: str, lost: list[str]) -> None:
    await complete(world)
    await edit(world.engine, USER, JOB, "es", 0, TEXT)
    reservation = str(await regenerate(world.engine, world.ledger, USER, JOB))
    doomed = await world.start(die_at=point)
    await doomed.child.ended()
    assert doomed.passed[-1] == point, doomed.child.output.read_text()
    await world.leases_run_out()
    await world.start()
    await world.until_over()
    async with transaction(world.engine) as connection:
        view = await queries.get_job(connection, USER, JOB)
        lines = await queries.list_translations(connection, USER, JOB, "es")
    assert (view.job.status, view.job.revision, view.job.spent_credits) == (JobStatus.COMPLETED, 2, LINE_CREDITS)
    assert lines[0].text == TEXT
    # Only the step whose result was lost is executed twice, of those that the edit changes.
    assert Counter(calls(world)) == Counter(["speak:es:0.0", "mix:es", "mux:es", "measure:es", *lost])
    entries = (await world.ledger.entries(str(USER))).entries
    charged = [(entry.kind, entry.credits) for entry in entries if entry.reservation_id == reservation]
    assert sorted(charged) == [("reserve", LINE_CREDITS), ("settle", LINE_CREDITS)]
