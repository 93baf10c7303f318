"""Lines of a completed job are edited: only what depends on them is executed, once, and charged once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from onevoice_jobs import queries
from onevoice_jobs.records import Artifact
from onevoice_jobs.states import JobStatus, LanguageStatus
from onevoice_kit.db import transaction
from onevoice_kit.errors import InvalidInput, PreconditionFailed
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.testing.waiting import eventually
from onevoice_local.databases import PostgresDatabases
from tests.support.answers import LateAnswer
from tests.support.databases import migrated
from tests.support.editing import edit, regenerate
from tests.support.instant_stages import fails, only, speaker_of
from tests.support.outcomes import ledger_of
from tests.support.rig import FREE_CREDITS, PRICE, RESERVED, Rig
from tests.support.rig import rig as new_rig

FIRST_CHARGE = [("reserve", RESERVED), ("settle", PRICE), ("release", RESERVED - PRICE)]
LINE_CREDITS = 2
"""A line lasts 1.5 seconds, and started seconds count whole."""


@pytest.fixture
def late() -> LateAnswer:
    """Billing settles, and the replies that the test keeps are lost."""
    return LateAnswer("Settle", 0)


@pytest.fixture
async def rig(
    postgres: PostgresDatabases, file_storage: FileStorage, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Rig]:
    late = request.getfixturevalue("late") if "late" in request.fixturenames else None
    async with migrated(postgres, "jobs", "billing") as url:
        wrap = {"wrap": late.wrap} if late else {}
        async with new_rig(url, file_storage, tmp_path / "objects", **wrap) as rig:
            yield rig


async def _completed(rig: Rig, **changes: Any) -> UUID:
    """A job at the end of its first run; the calls of that run are forgotten."""
    job_id = await rig.submit(**changes)
    async with rig.worker():
        await rig.until_over(job_id)
    assert (await rig.job(job_id)).status is JobStatus.COMPLETED
    rig.script.calls.clear()
    return job_id


async def _edit(rig: Rig, job_id: UUID, language: str, index: int, text: str) -> None:
    await edit(rig.engine, rig.user_id, job_id, language, index, text)


async def _regenerate(rig: Rig, job_id: UUID) -> UUID:
    return await regenerate(rig.engine, rig.ledger, rig.user_id, job_id)


async def _results(rig: Rig, job_id: UUID, revision: int | None = None) -> dict[tuple[str, str | None], Artifact]:
    async with transaction(rig.engine) as connection:
        found = await queries.list_artifacts(connection, rig.user_id, job_id, revision=revision)
    return {(made.kind, made.language): made for made in found}


async def _read(rig: Rig, artifact: Artifact) -> bytes:
    return await rig.storage.get_bytes(rig.storage.key(artifact.ref.uri))


async def _texts(rig: Rig, job_id: UUID, language: str) -> list[tuple[str, str, int]]:
    """Text, sound and revision of each line."""
    async with transaction(rig.engine) as connection:
        lines = await queries.list_translations(connection, rig.user_id, job_id, language)
    return [(line.text, line.audio.sha256 if line.audio else "", line.revision) for line in lines]


async def test_an_edited_line_of_a_recast_speaker_is_spoken_by_the_engine_that_took_over(rig: Rig) -> None:
    rig.script.engines = ("first", "instant")
    refused = PreconditionFailed(reason="engine_key_refused", details={"failed_engine": "first"})
    rig.script.faults["Synthesize"] = fails(refused, lambda request: speaker_of(request).name == "first")
    job_id = await _completed(rig)
    rig.script.faults.clear()
    await _edit(rig, job_id, "es", 2, "A line that the user wrote.")
    await _regenerate(rig, job_id)
    async with rig.worker():
        await rig.until_over(job_id)
    calls = Counter(name for name, _ in rig.script.calls)
    assert calls == {"Synthesize": 1, "Mix": 1, "Mux": 1, "Measure": 1}
    assert rig.script.requests("Synthesize")[0].voice.startswith("instant:")
    types = Counter(event.type for event in await rig.events(job_id))
    assert (types["voices.recast"], types["job.completed"]) == (2, 2)


async def test_an_edited_line_is_spoken_anew_and_nothing_that_does_not_depend_on_it_is_done_again(rig: Rig) -> None:
    job_id = await _completed(rig)
    before, spanish, catalan = await _results(rig, job_id), *[await _texts(rig, job_id, lang) for lang in ("es", "ca")]
    old = {key: await _read(rig, made) for key, made in before.items()}
    await _edit(rig, job_id, "es", 2, "A line that the user wrote.")
    reservation = await _regenerate(rig, job_id)
    async with rig.worker():
        await rig.until_over(job_id)
    job = await rig.job(job_id)
    assert (job.status, job.revision, job.spent_credits) == (JobStatus.COMPLETED, 2, LINE_CREDITS)
    calls = Counter(name for name, _ in rig.script.calls)
    assert calls == {"Synthesize": 1, "Mix": 1, "Mux": 1, "Measure": 1}
    [spoken] = rig.script.requests("Synthesize")
    assert spoken.text == "A line that the user wrote."
    assert (spoken.previous_text, spoken.next_text) == ("", spanish[3][0]), "the line before is of another chunk"
    # The line is another, and so is the file; the other lines and the other language are what they were.
    edited = await _texts(rig, job_id, "es")
    assert edited[2][0] == "A line that the user wrote."
    assert edited[2][1] != spanish[2][1]
    assert edited[2][2] == 2
    assert [line for n, line in enumerate(edited) if n != 2] == [line for n, line in enumerate(spanish) if n != 2]
    assert await _texts(rig, job_id, "ca") == catalan
    after = await _results(rig, job_id)
    same = {key for key in before if after[key].ref == before[key].ref}
    english = {("captions_srt", "en"), ("captions_vtt", "en"), ("thumbnail", None)}
    assert same == english | {(kind, "ca") for kind in ("captions_srt", "captions_vtt", "video")}
    assert "A line that the user wrote." in (await _read(rig, after["captions_srt", "es"])).decode()
    report = json.loads(await _read(rig, after["report", None]))
    (flags,) = [line["flags"] for line in report["languages"][0]["segments"] if line["index"] == 2]
    assert "edited" in flags
    # The results of the first revision can still be read.
    assert await _results(rig, job_id, 1) == before
    assert {key: await _read(rig, made) for key, made in before.items()} == old
    # Two charges on the ledger.
    assert await ledger_of(rig, job_id) == FIRST_CHARGE
    assert await ledger_of(rig, reservation) == [("reserve", LINE_CREDITS), ("settle", LINE_CREDITS)]
    account = await rig.ledger.account(str(rig.user_id))
    assert (account.available, account.reserved) == (FREE_CREDITS - PRICE - LINE_CREDITS, 0)


@pytest.mark.parametrize("method", ["Synthesize", "Mix", "Mux"])
async def test_a_worker_that_stops_in_a_run_of_edits_costs_nothing_twice(rig: Rig, method: str) -> None:
    job_id = await _completed(rig)
    await _edit(rig, job_id, "es", 0, "Another text.")
    reservation = await _regenerate(rig, job_id)
    held = rig.script.gates[method] = asyncio.Event()
    async with rig.worker():
        await eventually(lambda: rig.script.count(method) == 1)
    held.set()
    async with rig.worker():
        await rig.until_over(job_id)
    calls = Counter(name for name, _ in rig.script.calls)
    assert calls == Counter({"Synthesize": 1, "Mix": 1, "Mux": 1, "Measure": 1}) + Counter([method])
    await _assert_charged_twice(rig, job_id, reservation)


async def test_a_run_of_edits_whose_settlement_got_no_reply_is_charged_once(rig: Rig, late: LateAnswer) -> None:
    job_id = await _completed(rig)
    await _edit(rig, job_id, "es", 0, "Another text.")
    reservation = await _regenerate(rig, job_id)
    late.keep(1)
    async with rig.worker():
        await eventually(late.kept.is_set)
    async with rig.worker():
        await rig.until_over(job_id)
    await _assert_charged_twice(rig, job_id, reservation)


async def _assert_charged_twice(rig: Rig, job_id: UUID, reservation: UUID) -> None:
    job = await rig.job(job_id)
    assert (job.status, job.revision, job.spent_credits) == (JobStatus.COMPLETED, 2, LINE_CREDITS)
    assert await ledger_of(rig, job_id) == FIRST_CHARGE
    assert await ledger_of(rig, reservation) == [("reserve", LINE_CREDITS), ("settle", LINE_CREDITS)]
    types = Counter(event.type for event in await rig.events(job_id))
    assert (types["job.regenerated"], types["job.completed"], types["language.completed"]) == (1, 2, 3)


async def test_an_edit_that_changes_nothing_ends_its_language_again(rig: Rig) -> None:
    job_id = await _completed(rig)
    for _ in range(2):
        await _edit(rig, job_id, "es", 1, "The same text twice.")
        await _regenerate(rig, job_id)
        async with rig.worker():
            await rig.until_over(job_id)
    async with transaction(rig.engine) as connection:
        view = await queries.get_job(connection, rig.user_id, job_id)
    assert (view.job.revision, {task.status for task in view.languages}) == (3, {LanguageStatus.COMPLETED})
    assert rig.script.count("Synthesize") == 1


async def test_a_language_that_failed_is_not_made_for_the_price_of_another_ones_edit(rig: Rig) -> None:
    error = InvalidInput("No engine.", reason="unsupported_language_pair")
    rig.script.faults["Translate"] = fails(error, only(target_language="ca"))
    job_id = await _completed(rig)
    del rig.script.faults["Translate"]
    await _edit(rig, job_id, "es", 0, "Another text.")
    await _regenerate(rig, job_id)
    async with rig.worker():
        await rig.until_over(job_id)
    async with transaction(rig.engine) as connection:
        view = await queries.get_job(connection, rig.user_id, job_id)
    assert (view.job.status, view.job.spent_credits) == (JobStatus.COMPLETED, LINE_CREDITS)
    assert {task.language: task.status for task in view.languages} == {
        "es": LanguageStatus.COMPLETED,
        "ca": LanguageStatus.FAILED,
    }
    assert rig.script.count("Translate") == 0


async def test_an_edited_language_that_fails_costs_nothing_and_keeps_its_former_results(rig: Rig) -> None:
    job_id = await _completed(rig)
    before = await _results(rig, job_id)
    await _edit(rig, job_id, "es", 0, "Another text.")
    reservation = await _regenerate(rig, job_id)
    error = InvalidInput("No such voice.", reason="unknown_voice")
    rig.script.faults["Synthesize"] = fails(error)
    async with rig.worker():
        await rig.until_over(job_id)
    job = await rig.job(job_id)
    assert (job.status, job.spent_credits) == (JobStatus.COMPLETED, 0)
    assert await ledger_of(rig, reservation) == [("reserve", LINE_CREDITS), ("release", LINE_CREDITS)]
    after = await _results(rig, job_id)
    assert after["video", "es"] == before["video", "es"]
