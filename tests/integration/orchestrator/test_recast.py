"""An engine of synthesis dies within a job: its speakers are recast, nothing is paid twice, and the report names it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from onevoice_jobs import queries
from onevoice_jobs.keys import job_prefix
from onevoice_jobs.options import EngineChoice, JobOptions
from onevoice_jobs.records import JobRecord
from onevoice_jobs.states import JobStatus, LanguageStatus
from onevoice_kit.db import transaction
from onevoice_kit.errors import OneVoiceError, PreconditionFailed, Unavailable
from tests.support.instant_stages import Script, speaker_of

BUDGET = {"worker_retry_budget_s": 0.2}
REFUSED = PreconditionFailed(reason="engine_key_refused", details={"failed_engine": "first"})


def dies(script: Script, error: OneVoiceError, after: int) -> Counter[tuple[str, str]]:
    """The engine `first` fails after so many lines; counts the lines that are answered, by text and engine."""
    answered: Counter[tuple[str, str]] = Counter()

    def synthesize(request: Any) -> OneVoiceError | None:
        engine = speaker_of(request).name
        if engine == "first" and sum(count for (_, name), count in answered.items() if name == engine) >= after:
            return error
        answered[request.text, engine] += 1
        return None

    script.engines = ("first", "second")
    script.faults["Synthesize"] = synthesize
    return answered


async def report_of(deployment: Any, job: JobRecord) -> dict[str, Any]:
    key = f"{job_prefix(job.user_id, job.id)}/artifacts/report.job.report.json"
    report: dict[str, Any] = json.loads(await deployment.storage.get_bytes(key))
    return report


async def test_the_lines_of_a_recast_speaker_are_spoken_by_another_engine_and_no_other_line_again(
    deployment, script: Script
) -> None:
    script.speakers = ("speaker_1", "speaker_2")
    error = Unavailable(reason="engine_failed", details={"failed_engine": "first"})
    answered = dies(script, error, after=5)
    options = JobOptions(voices={"es": {"speaker_2": "second:0"}})
    job_id = await deployment.submit(target_languages=("es",), options=options)
    async with deployment.worker(**BUDGET):
        job = await deployment.ended(job_id)
    assert (job.status, job.error, job.attempts) == (JobStatus.COMPLETED, None, 1)
    assert set(answered.values()) == {1}, "a line that the same engine was paid for twice"
    engines = Counter(engine for _, engine in answered)
    assert engines == {"first": 5, "second": 25}
    (spanish,) = (await report_of(deployment, job))["languages"]
    first = {segment["index"] for segment in spanish["segments"] if segment["speaker"] == "speaker_1"}
    [fallback] = spanish["fallbacks"]
    assert fallback == {
        "stage": "tts",
        "from": "first",
        "to": "second",
        "reason": "engine_failed",
        "count": len(first),
        "speakers": ["speaker_1"],
    }
    assert spanish["lineage"]["tts"]["name"] == "second"
    [recast] = [event.data for event in await deployment.events(job_id) if event.type == "voices.recast"]
    assert recast == {
        "language": "es",
        "from": "first",
        "to": ["second"],
        "reason": "engine_failed",
        "voices": {"speaker_1": "second:1"},
    }


async def test_another_language_keeps_its_engine(deployment, script: Script) -> None:
    answered = dies(script, REFUSED, after=0)
    dead = script.faults["Synthesize"]
    script.faults["Synthesize"] = lambda request: dead(request) if getattr(request, "language", "") == "es" else None
    job_id = await deployment.submit()
    async with deployment.worker(**BUDGET):
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.COMPLETED
    assert {engine for _, engine in answered} == {"second"}
    lineage = {
        part["language"]: part["lineage"]["tts"]["name"] for part in (await report_of(deployment, job))["languages"]
    }
    assert lineage == {"es": "second", "ca": "first"}


async def test_an_engine_that_the_user_has_named_is_not_replaced(deployment, script: Script) -> None:
    dies(script, REFUSED, after=3)
    options = JobOptions(engines=EngineChoice(tts="first"))
    job_id = await deployment.submit(target_languages=("es",), options=options)
    async with deployment.worker(**BUDGET):
        job = await deployment.ended(job_id)
    assert (job.status, job.error and job.error.reason) == (JobStatus.FAILED, "engine_key_refused")
    async with transaction(deployment.engine) as connection:
        [language] = (await queries.get_job(connection, deployment.user_id, job_id)).languages
    assert language.status is LanguageStatus.FAILED
    assert "voices.recast" not in {event.type for event in await deployment.events(job_id)}


async def test_where_no_other_engine_speaks_the_language_the_job_waits_for_the_only_one(
    deployment, script: Script
) -> None:
    answered = dies(script, Unavailable(reason="engine_failed", details={"failed_engine": "first"}), after=3)
    script.engines = ("first",)
    job_id = await deployment.submit(target_languages=("es",))
    async with deployment.worker(worker_wait_min_s=0.1, worker_wait_max_s=0.2, **BUDGET):
        await deployment.waiting(job_id)
        script.faults.clear()
        job = await deployment.ended(job_id)
    assert job.status is JobStatus.COMPLETED
    assert script.count("Synthesize") - 3 >= 22
    assert set(answered.values()) == {1}
