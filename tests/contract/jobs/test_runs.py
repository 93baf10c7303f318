"""A completed job gets another run: lines are edited, and a new revision is made of what depends on them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from onevoice_jobs.records import Artifact, Edit, JobError, Published, Segment, Translation
from onevoice_jobs.states import JobStatus, LanguageStatus, RunReason
from onevoice_jobs.testing import completed, finish_step
from onevoice_kit.errors import Conflict, NotFound
from onevoice_kit.storage.base import ObjectRef

SEGMENTS = (
    Segment(0, 0, 0, 1_500, "speaker_1", "one"),
    Segment(1, 0, 2_000, 4_000, "speaker_1", "two"),
    Segment(2, 1, 5_000, 5_700, "speaker_1", "three"),
)
FAILURE = JobError("engine_failed", "The engine failed.")


def _ref(name: str) -> ObjectRef:
    return ObjectRef(f"file:///{name}", "b" * 64, 9, "video/mp4")


def _lines(language: str, *texts: str) -> tuple[Translation, ...]:
    return tuple(Translation(language, n, text, _ref(f"{language}-{text}")) for n, text in enumerate(texts))


async def _complete(under_test: Any, take: Any, *, failed: tuple[str, ...] = ()) -> UUID:
    """A job that has come to its end, of which some languages failed."""
    job_id: UUID = await under_test.submit()
    store = await take(job_id)
    translations = _lines("es", "uno", "dos", "tres") + _lines("ca", "un", "dos", "tres")
    await finish_step(store, "fit", "h", {}, Published(segments=SEGMENTS, translations=translations))
    await _end(store, ("es", "ca"), failed)
    return job_id


async def _end(store: Any, languages: tuple[str, ...], failed: tuple[str, ...] = (), *, spent: int = 1) -> None:
    for language in languages:
        if language in failed:
            await store.language_failed(language, FAILURE)
        else:
            await finish_step(store, f"done:{language}", f"h{store.lease.epoch}", {}, completed(language))
    video = Artifact("video", "es", "talk.es.mp4", _ref(f"of-epoch-{store.lease.epoch}"))
    await finish_step(store, "settle", "h", {"value": spent}, Published(artifacts=(video,), payment=True))
    await store.job_completed(spent_credits=spent, metrics={})


async def test_an_edit_waits_for_the_next_run_and_names_the_line_as_the_pipeline_does(under_test, take) -> None:
    job_id = await _complete(under_test, take)
    assert await under_test.edit(job_id, "es", 2, "TRES") == Edit(2, "es", 2, "1.0", "TRES")
    assert await under_test.edit(job_id, "es", 1, "DOS") == Edit(2, "es", 1, "0.1", "DOS")
    assert (await under_test.job(job_id)).revision == 1
    assert await under_test.unpaid_changes(job_id) == {"es": 2_700}


async def test_an_edited_job_runs_again_under_a_revision_and_a_reservation_of_its_own(under_test, take) -> None:
    job_id = await _complete(under_test, take)
    await under_test.edit(job_id, "es", 1, "not this")
    await under_test.edit(job_id, "es", 1, "but this")
    await under_test.regenerate(job_id, "second", 2)
    job = await under_test.job(job_id)
    assert (job.status, job.revision, job.reservation, job.quoted_credits) == (JobStatus.PENDING, 2, "second", 2)
    assert (job.progress, job.spent_credits, job.attempts) == (0, None, 0)
    states = {task.language: task.status for task in await under_test.languages(job_id)}
    assert states == {"es": LanguageStatus.PENDING, "ca": LanguageStatus.COMPLETED}
    store = await take(job_id)
    assert [edit.text for edit in await store.edits()] == ["but this"]
    assert (await store.run()).changed_ms == {"es": 2_000}
    assert set(await store.completed_steps()) == {"fit", "done:es", "done:ca"}
    await _end(store, ("es",), spent=2)
    first, second = await under_test.runs(job_id)
    assert (first.number, first.revision, first.reason, first.spent_credits) == (1, 1, RunReason.SUBMIT, 1)
    assert (second.number, second.revision, second.reason, second.spent_credits) == (2, 2, RunReason.EDIT, 2)
    assert (first.reservation_id, second.reservation_id) == (str(job_id), "second")
    assert [run.status for run in (first, second)] == [JobStatus.COMPLETED] * 2
    types = [event.type for event in await under_test.events(job_id)]
    assert types[types.index("job.completed") + 1 :] == [
        "job.regenerated",
        "job.started",
        "language.completed",
        "job.completed",
    ]


async def test_the_results_of_each_revision_are_kept(under_test, take) -> None:
    job_id = await _complete(under_test, take)
    await under_test.edit(job_id, "es", 0, "UNO")
    await under_test.regenerate(job_id, "second", 2)
    await _end(await take(job_id), ("es",))
    assert [made.ref.uri for made in await under_test.artifacts(job_id)] == ["file:///of-epoch-3"]
    assert [made.ref.uri for made in await under_test.past_artifacts(job_id, 1)] == ["file:///of-epoch-1"]


async def test_a_line_counts_its_revisions(under_test, take) -> None:
    job_id = await _complete(under_test, take)
    await under_test.edit(job_id, "es", 1, "DOS")
    await under_test.regenerate(job_id, "second", 2)
    store = await take(job_id)
    await finish_step(store, "fit", "i", {}, Published(translations=_lines("es", "uno", "DOS", "tres")))
    assert [(line.text, line.revision) for line in await store.translations("es")] == [
        ("uno", 1),
        ("DOS", 2),
        ("tres", 1),
    ]


async def test_a_paid_edit_is_not_priced_again_and_one_whose_language_failed_is(under_test, take) -> None:
    job_id = await _complete(under_test, take)
    await under_test.edit(job_id, "es", 0, "UNO")
    await under_test.edit(job_id, "ca", 1, "DOS")
    assert await under_test.unpaid_changes(job_id) == {"es": 1_500, "ca": 2_000}
    await under_test.regenerate(job_id, "second", 4)
    await _end(await take(job_id), ("es", "ca"), ("ca",))
    await under_test.edit(job_id, "es", 2, "TRES")
    assert await under_test.unpaid_changes(job_id) == {"es": 700, "ca": 2_000}
    await under_test.regenerate(job_id, "third", 3)
    assert {task.status for task in await under_test.languages(job_id)} == {LanguageStatus.PENDING}
    assert [edit.text for edit in await (await take(job_id)).edits()] == ["UNO", "DOS", "TRES"]


async def test_a_failed_run_of_edits_resumes_at_its_own_price_and_only_with_its_own_languages(under_test, take) -> None:
    job_id = await _complete(under_test, take, failed=("ca",))
    await under_test.edit(job_id, "es", 0, "UNO")
    await under_test.regenerate(job_id, "second", 2)
    store = await take(job_id)
    await store.job_failed(FAILURE)
    with pytest.raises(Conflict, match="cannot become"):
        await under_test.edit(job_id, "es", 1, "DOS")
    await under_test.resume(job_id, "third")
    states = {task.language: task.status for task in await under_test.languages(job_id)}
    assert states == {"es": LanguageStatus.PENDING, "ca": LanguageStatus.FAILED}
    store = await take(job_id)
    run = await store.run()
    assert (run.revision, run.reason, run.changed_ms) == (2, RunReason.RESUME, {"es": 1_500})
    assert (run.reservation_id, run.quoted_credits) == ("third", 2)


async def test_each_run_has_the_time_of_the_first(under_test, take) -> None:
    job_id = await _complete(under_test, take)
    for reservation in ("second", "third"):
        await under_test.edit(job_id, "es", 0, reservation)
        await under_test.regenerate(job_id, reservation, 2)
        await _end(await take(job_id), ("es",))
    job, runs = await under_test.job(job_id), await under_test.runs(job_id)
    allowed_s = (job.deadline_at - runs[-1].created_at).total_seconds()
    assert allowed_s == pytest.approx(
        (await under_test.job(await under_test.submit())).deadline_at.timestamp()
        - (await under_test.job(job_id)).deadline_at.timestamp()
        + allowed_s,
        abs=30,
    )


async def test_only_a_completed_job_with_a_new_edit_is_regenerated(under_test, take) -> None:
    job_id = await under_test.submit()
    for refused in (under_test.edit(job_id, "es", 0, "x"), under_test.regenerate(job_id, "second", 2)):
        with pytest.raises(Conflict) as error:
            await refused
        assert error.value.reason == "invalid_transition"
    job_id = await _complete(under_test, take)
    with pytest.raises(Conflict) as error:
        await under_test.regenerate(job_id, "second", 2)
    assert error.value.reason == "nothing_edited"
    for language, index in (("es", 3), ("xx", 0)):
        with pytest.raises(NotFound) as missing:
            await under_test.edit(job_id, language, index, "x")
        assert missing.value.reason == "line_not_found"
