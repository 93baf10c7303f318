"""The worker: a job from its message to its end, whatever the stages do."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from onevoice_jobs import control, queries
from onevoice_jobs.keys import job_prefix
from onevoice_jobs.messages import DubbingJobMessage
from onevoice_jobs.models import outbox
from onevoice_jobs.options import JobOptions
from onevoice_jobs.records import JobRecord
from onevoice_jobs.states import JobStatus, LanguageStatus
from onevoice_kit.db import transaction, uuid7
from onevoice_kit.errors import Internal, InvalidInput, PreconditionFailed, Unavailable
from onevoice_kit.queue.base import Message
from onevoice_kit.queue.outbox import enqueue
from onevoice_kit.testing.waiting import eventually
from services.orchestrator.clients import base
from services.orchestrator.settings import OrchestratorSettings
from tests.support.instant_stages import Script, fails, only


async def test_a_job_goes_from_its_message_to_its_results(deployment, script: Script) -> None:
    job_id = await deployment.submit()
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert (job.status, job.error, job.progress) == (JobStatus.COMPLETED, None, 100)
    assert job.spent_credits == 100
    report = await _report(deployment, job)
    assert [lang["language"] for lang in report["languages"]] == ["es", "ca"]
    first = report["languages"][0]
    assert [s["text"] for s in first["segments"]][:1] == ["es: one two three."]
    assert [s["index"] for s in first["segments"]] == list(range(script.segments))
    measured = first["metrics"]["measured"]
    assert (measured["coverage"], measured["dropped"], report["source"]["unheard"]) == (1.0, 0, [])
    assert first["lineage"]["tts"] == {"name": "instant", "model": "none", "version": "1"}
    assert first["lineage"]["separation"] == first["lineage"]["tts"]
    assert report["source"]["separation"] == {"engine": "instant", "reason": ""}
    assert report["source"]["cost"] == [{"stage": "asr", "engine": "instant", "usd": "0.021000"}]
    assert {cost["stage"]: cost["usd"] for cost in first["cost"]} == {"translate": None, "tts": "0.007500"}
    assert report["cost_usd"] is None
    depth = await deployment.queue.depth()
    assert (depth.visible, depth.in_flight) == (0, 0)


async def _report(deployment, job: JobRecord) -> dict[str, Any]:
    key = f"{job_prefix(job.user_id, job.id)}/artifacts/report.job.report.json"
    report: dict[str, Any] = json.loads(await deployment.storage.get_bytes(key))
    return report


async def test_words_that_cannot_be_right_stop_a_job_before_they_are_translated_unless_it_is_forced(
    deployment, script: Script
) -> None:
    script.loops = True
    stopped = await deployment.submit()
    async with deployment.worker():
        job = await deployment.ended(stopped)
        assert (job.status, job.error.reason) == (JobStatus.FAILED, "transcript_implausible")
        assert (script.count("Translate"), script.released_credits) == (0, 1)
        forced = await deployment.ended(await deployment.submit(options=JobOptions(force=True)))
    assert forced.status is JobStatus.COMPLETED


async def test_a_job_whose_separation_fails_ducks_and_its_report_gives_the_reason(deployment, script: Script) -> None:
    """With the stems the background stays under the lines, and the voice is what must vanish."""
    async with deployment.worker():
        await deployment.ended(await deployment.submit(target_languages=("es",)))
        script.faults["Separate"] = fails(Internal("The separator broke."))
        job = await deployment.ended(await deployment.submit(target_languages=("es",)))
    assert job.status is JobStatus.COMPLETED
    separated, ducked = script.requests("Mix")
    assert (separated.separated.uri, separated.duck_gain_db) == ("file:///background.flac", -6.0)
    assert (ducked.HasField("separated"), ducked.duck_gain_db) == (False, -22.0)
    assert {request.background.uri for request in (separated, ducked)} == {"file:///programme.flac"}
    originals = [request.original.uri for request in script.requests("Measure")]
    assert originals == ["file:///voice.flac", "file:///speech.flac"]
    report = await _report(deployment, job)
    assert report["source"]["separation"] == {"engine": "none", "reason": "The separator broke."}
    assert report["languages"][0]["lineage"]["separation"]["name"] == "none"


async def test_every_line_is_announced_once_and_the_end_last(deployment, script: Script) -> None:
    job_id = await deployment.submit()
    async with deployment.worker():
        await deployment.ended(job_id)
    types = [event.type for event in await deployment.events(job_id)]
    assert types[:2] == ["job.created", "job.started"]
    assert types.count("segment.recognised") == script.segments
    assert types.count("line.ready") == 2 * script.segments
    assert types[-1] == "job.completed"


async def test_lines_are_spoken_while_later_chunks_are_still_being_recognised(deployment, script: Script) -> None:
    held = asyncio.Event()
    script.gates["Transcribe"] = held
    script.gated = lambda request: request.regions[0].start_ms >= 40_000
    job_id = await deployment.submit(target_languages=("es",))
    async with deployment.worker():
        await eventually(lambda: script.count("Synthesize") == 20)
        assert script.count("Transcribe") == 3
        held.set()
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.COMPLETED
    assert script.count("Synthesize") == 25


async def test_a_model_that_wants_the_whole_transcript_gets_it_once_for_each_language(
    deployment, script: Script
) -> None:
    script.summary = True
    job_id = await deployment.submit()
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.COMPLETED
    asked = script.requests("Summarize")
    assert {(request.target_language, len(request.lines)) for request in asked} == {("es", 25), ("ca", 25)}
    first, middle, last = sorted(
        (request for request in script.requests("Translate") if request.target_language == "es"),
        key=lambda request: int(request.segments[0].id.partition(".")[0]),
    )
    assert {request.about.text for request in script.requests("Translate")} == {"Numbers."}
    assert [(len(request.before), len(request.after)) for request in (first, middle, last)] == [(0, 3), (3, 3), (3, 0)]
    assert (first.after[0], last.before[-1]) == (middle.segments[0].text, middle.segments[-1].text)
    spanish = (await _report(deployment, job))["languages"][0]
    assert spanish["terminology"] == {
        "summary": "Numbers.",
        "terms": [{"source": "one", "target": "uno"}],
        "engine": {"name": "instant", "model": "none", "version": "1"},
        "problem": None,
    }
    assert spanish["cost"][0] == {"stage": "terms", "engine": "instant", "usd": "0.000090"}
    found = [event.data for event in await deployment.events(job_id) if event.type == "terms.found"]
    assert {event["language"] for event in found} == {"es", "ca"}


async def test_a_source_in_which_no_turns_are_found_has_one_speaker(deployment, script: Script) -> None:
    script.speakers = ()
    job_id = await deployment.submit(target_languages=("es",))
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert (job.status, job.error) == (JobStatus.COMPLETED, None)
    assert {request.voice for request in script.requests("Synthesize")} == {"instant:0"}


async def test_a_chunk_in_which_no_word_is_recognised_has_no_lines_and_the_others_are_dubbed(
    deployment, script: Script
) -> None:
    script.unheard = lambda region: region.start_ms < 20_000
    job_id = await deployment.submit(target_languages=("es",))
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert (job.status, job.error) == (JobStatus.COMPLETED, None)
    (spanish,) = (await _report(deployment, job))["languages"]
    assert [line["start_ms"] for line in spanish["segments"]] == list(range(20_000, 50_000, 2_000))


async def test_a_line_with_nothing_to_speak_is_silent_and_flagged_and_its_language_completes(
    deployment, script: Script
) -> None:
    error = InvalidInput("The text has no word to speak.", reason="nothing_to_speak")
    script.faults["Synthesize"] = lambda request: error if len(script.requests("Synthesize")) == 1 else None
    job_id = await deployment.submit(target_languages=("es",))
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert (job.status, job.error) == (JobStatus.COMPLETED, None)
    (spanish,) = (await _report(deployment, job))["languages"]
    (silent,) = [segment for segment in spanish["segments"] if segment["flags"] == ["nothing_to_speak"]]
    assert (silent["planned"], silent["measured"], silent["natural_ms"]) == (None, None, 0)
    measured = spanish["metrics"]["measured"]
    assert (measured["dropped"], measured["coverage"], spanish["metrics"]["planned"]["silent"]) == (1, 0.96, 1)
    (mix,) = script.requests("Mix")
    assert (len(mix.clips), len(mix.duck_ranges)) == (script.segments - 1, script.segments - 1)


async def test_a_language_with_nothing_to_speak_at_all_completes_in_silence(deployment, script: Script) -> None:
    script.faults["Synthesize"] = fails(InvalidInput("Nothing.", reason="nothing_to_speak"))
    job_id = await deployment.submit(target_languages=("es",))
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.COMPLETED
    (spanish,) = (await _report(deployment, job))["languages"]
    measured = spanish["metrics"]["measured"]
    assert (measured["dropped"], measured["coverage"]) == (script.segments, 0.0)


async def test_one_failed_language_does_not_fail_the_others_and_costs_nothing(deployment, script: Script) -> None:
    error = InvalidInput("No engine.", reason="unsupported_language_pair")
    script.faults["Translate"] = fails(error, only(target_language="xx"))
    job_id = await deployment.submit(target_languages=("xx", "es"))
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.COMPLETED
    assert job.spent_credits == 50
    types = [(event.type, event.data.get("reason")) for event in await deployment.events(job_id)]
    assert ("language.failed", "unsupported_language_pair") in types


async def test_a_job_without_a_good_language_fails_for_its_reason(deployment, script: Script) -> None:
    script.faults["Translate"] = fails(InvalidInput("No engine.", reason="unsupported_language_pair"))
    job_id = await deployment.submit()
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.reason == "unsupported_language_pair"
    assert (script.count("Release"), script.count("Quote"), script.count("Settle")) == (1, 0, 0)


async def test_a_source_without_speech_fails_releases_its_credits_and_leaves_nothing(
    deployment, script: Script
) -> None:
    script.faults["DetectSpeech"] = fails(PreconditionFailed("No speech.", reason="no_speech"))
    job_id = await deployment.submit()
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.reason == "no_speech"
    assert script.count("Release") == 1
    assert [key async for key in deployment.storage.list(job_prefix(job.user_id, job_id))] == []
    assert (await deployment.queue.depth()).visible == 0


@pytest.mark.parametrize(("spoken", "language"), [(("de", 0.9), "de"), (None, "en")], ids=["identified", "default"])
async def test_a_source_language_that_is_not_named_is_identified_and_published(
    deployment, script: Script, spoken: tuple[str, float] | None, language: str
) -> None:
    script.spoken = spoken
    job_id = await deployment.submit(source_language=None)
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert (job.status, job.source_language) == (JobStatus.COMPLETED, language)
    assert {request.language for request in script.requests("Transcribe")} == {language}
    assert {request.source_language for request in script.requests("Translate")} == {language}
    events = [event for event in await deployment.events(job_id) if event.type == "source.language"]
    assert [event.data for event in events] == [{"source_language": language}]


@pytest.mark.parametrize("expected", [0.3, None], ids=["near", "unknown"])
async def test_a_named_source_language_stays_where_what_is_heard_does_not_exclude_it(
    deployment, script: Script, expected: float | None
) -> None:
    script.spoken, script.expected = ("de", 0.7), expected
    job_id = await deployment.submit(source_language="en")
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert (job.status, job.source_language) == (JobStatus.COMPLETED, "en")
    assert [request.expected for request in script.requests("IdentifyLanguage")] == ["en"]


async def test_a_source_in_another_language_than_the_named_one_stops_the_job_unless_it_is_forced(
    deployment, script: Script
) -> None:
    script.spoken, script.expected = ("de", 0.97), 0.001
    stopped = await deployment.submit(source_language="en")
    async with deployment.worker():
        job = await deployment.ended(stopped)
        assert job.error is not None
        assert (job.status, job.error.reason) == (JobStatus.FAILED, "wrong_language")
        assert "“de”" in job.error.message
        assert script.count("IdentifyLanguage") == 2
        assert (script.count("Translate"), script.released_credits) == (0, 1)
        options = JobOptions(force=True)
        forced = await deployment.ended(await deployment.submit(source_language="en", options=options))
    assert forced.status is JobStatus.COMPLETED


async def test_a_job_whose_language_is_not_clear_fails_before_anything_is_recognised(
    deployment, script: Script
) -> None:
    script.spoken = ("de", 0.4)
    job_id = await deployment.submit(source_language=None)
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.reason == "language_unclear"
    assert (script.count("Transcribe"), script.count("Release"), script.count("Settle")) == (0, 1, 0)


async def test_a_cancelled_job_stops_its_calls_and_gives_its_credits_back(deployment, script: Script) -> None:
    script.gates["Synthesize"] = asyncio.Event()
    job_id = await deployment.submit()
    async with deployment.worker():
        await eventually(lambda: script.count("Synthesize") >= 1)
        async with transaction(deployment.engine) as connection:
            await control.request_cancel(connection, deployment.user_id, job_id)
        # Within two seconds by the settings as they are; the polls of tests are shorter.
        job = await deployment.ended(job_id)
        running = script.count("Synthesize")
        await eventually(lambda: script.cancelled == ["Synthesize"] * running)
    assert job.status is JobStatus.CANCELLED
    assert script.count("Release") == 1
    assert OrchestratorSettings.model_fields["worker_cancel_poll_s"].default <= 1.0


async def test_a_resumed_job_settles_its_new_reservation_and_does_only_what_is_left(deployment, script: Script) -> None:
    script.faults["Mix"] = fails(InvalidInput("The mix is not possible.", reason="mix_impossible"))
    job_id = await deployment.submit()
    async with deployment.worker():
        await deployment.ended(job_id)
        assert [request.reservation_id for request in script.requests("Release")] == [str(job_id)]
        script.faults.clear()
        before = script.count("Synthesize"), script.count("Transcribe")
        async with transaction(deployment.engine) as connection:
            await control.resume_job(connection, deployment.user_id, job_id, reservation_id="second")
        job = await deployment.ended(job_id)
    assert (job.status, job.spent_credits) == (JobStatus.COMPLETED, 100)
    assert script.requests("Settle")[-1].reservation_id == "second"
    assert (script.count("Synthesize"), script.count("Transcribe")) == before


@pytest.mark.parametrize(
    ("kind", "repeated"),
    [
        ("synthesis", "Synthesize"),
        ("detection", "DetectSpeech"),
        ("diarization", "Diarize"),
        ("separation", "Separate"),
    ],
)
async def test_a_job_resumed_after_an_engine_has_changed_does_over_only_what_depends_on_it(
    deployment, script: Script, monkeypatch: pytest.MonkeyPatch, kind: str, repeated: str
) -> None:
    """The new version finds the same, so what depends on its results alone is not done over."""
    monkeypatch.setattr(base, "KEEP_S", 0.0)
    script.faults["Mix"] = fails(InvalidInput("The mix is not possible.", reason="mix_impossible"))
    job_id = await deployment.submit(target_languages=("es",))
    async with deployment.worker():
        await deployment.ended(job_id)
    script.faults.clear()
    script.versions[kind] = "2"
    async with transaction(deployment.engine) as connection:
        await control.resume_job(connection, deployment.user_id, job_id, reservation_id="second")
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.COMPLETED
    once = {"ExtractAudio": 1, "DetectSpeech": 1, "Diarize": 1, "Separate": 1, "Transcribe": 3, "Translate": 3}
    expected = {**once, "Synthesize": script.segments}
    expected[repeated] *= 2
    assert {method: script.count(method) for method in expected} == expected


async def test_a_job_that_runs_past_its_deadline_is_stopped_and_failed(deployment, script: Script) -> None:
    script.gates["Synthesize"] = asyncio.Event()
    job_id = await deployment.submit(deadline_s=1.0)
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert (job.status, job.error and job.error.reason) == (JobStatus.FAILED, "job_overdue")
    assert script.count("Release") == 1


async def test_a_job_settled_before_it_was_cancelled_is_delivered(deployment, script: Script) -> None:
    held = asyncio.Event()
    script.gates["Settle"] = held
    script.released_credits = 0  # nothing is open any more: it was settled
    script.settled_credits = 42
    job_id = await deployment.submit()
    async with deployment.worker():
        await eventually(lambda: script.count("Settle") == 1)
        async with transaction(deployment.engine) as connection:
            await control.request_cancel(connection, deployment.user_id, job_id)
        await eventually(lambda: script.count("Release") == 1)
        held.set()
        job = await deployment.ended(job_id)
    assert (job.status, job.spent_credits) == (JobStatus.COMPLETED, 42)
    types = [event.type for event in await deployment.events(job_id)]
    assert types[-2:] == ["job.cancel_requested", "job.completed"]
    assert (script.count("Mix"), script.count("Release")) == (2, 1)


async def test_a_stopped_worker_gives_its_job_to_another_which_does_only_what_is_left(
    deployment, script: Script
) -> None:
    script.gates["Mix"] = asyncio.Event()
    job_id = await deployment.submit()
    async with deployment.worker():
        await eventually(lambda: script.count("Mix") == 2)
    assert (await deployment.job(job_id)).attempts == 0
    script.gates["Mix"].set()
    before = script.count("Synthesize"), script.count("Transcribe")
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.COMPLETED
    assert (script.count("Synthesize"), script.count("Transcribe")) == before
    assert script.count("Mix") == 4


async def test_a_transient_error_is_retried_and_recorded(deployment, script: Script) -> None:
    left = [Unavailable(reason="tts_down", retry_after=0.01), Unavailable(reason="tts_down", retry_after=0.01)]
    script.faults["Synthesize"] = lambda _: left.pop() if left else None
    job_id = await deployment.submit()
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.COMPLETED
    types = [event.type for event in await deployment.events(job_id)]
    assert types.count("step.retried") == 2
    assert script.count("Synthesize") == 2 * script.segments + 2


async def test_an_unknown_error_counts_as_an_attempt_and_at_last_fails_the_job(
    deployment, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defect(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(deployment.storage, "put_bytes", defect)
    # Each language fails by itself, so only the captions of the source reach the job.
    job_id = await deployment.submit()
    async with deployment.worker(worker_max_attempts=1):
        job = await deployment.ended(job_id)
    assert (job.status, job.error and job.error.reason) == (JobStatus.FAILED, "internal")
    assert script.count("Release") == 1


async def test_a_message_that_cannot_be_read_does_not_stop_the_worker(deployment) -> None:
    async with transaction(deployment.engine) as connection:
        await enqueue(connection, outbox, Message("not JSON"), priority=100)
    job_id = await deployment.submit()
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.COMPLETED


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not JSON", "unreadable_message"),
        ('{"messageType": "OTHER"}', "unknown_message_type"),
        (
            DubbingJobMessage(uuid7(), uuid7(), uuid7(), datetime.now(UTC)).to_message().body,
            "unknown_job",
        ),
    ],
)
async def test_a_poison_message_is_dead_lettered_for_its_reason(deployment, body: str, reason: str) -> None:
    async with transaction(deployment.engine) as connection:
        await enqueue(connection, outbox, Message(body))

    async def buried() -> list[str]:
        async with transaction(deployment.engine) as connection:
            return list((await connection.execute(select(outbox.c.dead_reason))).scalars())

    async def dead() -> bool:
        return await buried() == [reason]

    async with deployment.worker():
        await eventually(dead)
    assert await buried() == [reason]


async def test_a_worker_takes_no_more_messages_than_it_has_free_slots(deployment, script: Script) -> None:
    script.gates["Probe"] = asyncio.Event()
    job_ids = [await deployment.submit() for _ in range(5)]
    async with deployment.worker(worker_max_jobs=3):
        await eventually(lambda: script.count("Probe") == 3)
        depth = await deployment.queue.depth()
        assert (depth.visible, depth.in_flight) == (2, 3)
        script.gates["Probe"].set()
        ended = [await deployment.ended(job_id) for job_id in job_ids]
    assert {job.status for job in ended} == {JobStatus.COMPLETED}


async def test_languages_show_their_own_state(deployment) -> None:
    job_id = await deployment.submit()
    async with deployment.worker():
        await deployment.ended(job_id)
    async with transaction(deployment.engine) as connection:
        view = await queries.get_job(connection, deployment.user_id, job_id)
    assert {language.status for language in view.languages} == {LanguageStatus.COMPLETED}
