"""The statements of a lease holder (`onevoice_jobs.statements`) as changes of a job in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause
from sqlalchemy.exc import IntegrityError

from onevoice_jobs import statements
from onevoice_jobs.events import JOB_PROGRESS
from onevoice_jobs.records import Artifact, Event, Segment, StepRecord, Translation, Word
from onevoice_jobs.rows import error_from_json, ref_from_json
from onevoice_jobs.states import JobStatus, LanguageStatus, StepStatus, sources
from onevoice_jobs.testing.state import MemoryJob

Parameters = Mapping[str, Any]
Change = Callable[[MemoryJob, Parameters, datetime], Any]


@dataclass(frozen=True, slots=True)
class Write:
    """One statement."""

    name: str
    change: Change
    of_language: bool = False
    """Whether its events are told only while the language is open."""
    to: JobStatus | None = None
    """The end it brings the job to, where it does; refused from a state that may not become that."""


def apply(statement: TextClause, job: MemoryJob, parameters: Parameters, now: datetime) -> tuple[bool, Any]:
    """Does what the statement does to a row that its fence let through; whether it changed it, and its result."""
    write = BY_STATEMENT[id(statement)]
    if write.to and job.record.status not in sources(JobStatus(parameters["status"])):
        return False, None
    news = [item for item in _rows(parameters, "events") if not _is_stored(job, item)]
    events = [Event(item["type"], item["data"]) for item in news]
    told = not write.of_language or parameters["language"] in job.open_languages()
    result = write.change(job, parameters, now)
    job.tell([_as_shown(job, event) for event in events] if told else [], now)
    return True, result


def _is_stored(job: MemoryJob, event: Mapping[str, Any]) -> bool:
    """Whether the step that the event belongs to, if it does, is stored already."""
    stored = job.steps.get(event.get("step", ""))
    return stored is not None and stored.input_hash == event["input_hash"]


def _as_shown(job: MemoryJob, event: Event) -> Event:
    """Progress is told as it is shown: it does not go back."""
    if event.type != JOB_PROGRESS:
        return event
    language = event.data.get("language")
    shown = job.languages[language].progress if language else job.record.progress
    return Event(event.type, {**event.data, "percent": int(shown)})


def _rows(parameters: Parameters, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(parameters.get(name, "[]"))
    return rows


def _finish_steps(job: MemoryJob, parameters: Parameters, now: datetime) -> None:
    for row in _rows(parameters, "steps"):
        key, hash_, attempt, output = row["key"], row["input_hash"], row["attempt"], row["output"]
        job.steps[key] = StepRecord(key, hash_, StepStatus.COMPLETED, attempt, output)
    for row in _rows(parameters, "segments"):
        words = tuple(Word(**word) for word in row.pop("words"))
        line, old = Segment(**row, words=words), job.segments.get(row["index"])
        revision = old.revision + (_content(old) != _content(line)) if old else 1
        job.segments[line.index] = replace(line, revision=revision)
    for row in _rows(parameters, "translations"):
        audio, flags = row.pop("audio"), tuple(row.pop("flags"))
        saved = Translation(**row, audio=ref_from_json(audio) if audio else None, flags=flags)
        before = job.translations.get((saved.language, saved.index))
        revision = before.revision + (_speech(before) != _speech(saved)) if before else 1
        job.translations[saved.language, saved.index] = replace(saved, revision=revision)
    for row in _rows(parameters, "artifacts"):
        kind, language = row["kind"], row["language"]
        old = job.artifacts.get((kind, language))
        made = old.created_at if old else now
        job.artifacts[kind, language] = Artifact(kind, language, row["filename"], ref_from_json(row["object"]), made)
    done = {"status": LanguageStatus.COMPLETED, "error": None, "progress": 100.0}
    for row in _rows(parameters, "completed"):
        _end_language(job, row["language"], now, metrics=row["metrics"], **done)


def _content(line: Segment) -> tuple[object, ...]:
    return line.start_ms, line.end_ms, line.speaker, line.source_text


def _speech(line: Translation) -> tuple[object, ...]:
    return line.text, line.audio and line.audio.uri


def _forget_results(job: MemoryJob, _: Parameters, __: datetime) -> None:
    for table in (job.steps, job.segments, job.translations, job.artifacts):
        table.clear()


def _nothing(_: MemoryJob, __: Parameters, ___: datetime) -> None:
    """An announcement changes nothing."""


def _job_progress(job: MemoryJob, parameters: Parameters, now: datetime) -> None:
    percent, started = parameters["percent"], job.record.started_at
    estimated = now + (now - started) * ((100 - percent) / percent) if percent >= 1 and started else None
    progress = max(job.record.progress, percent)
    job.change(stage=parameters["stage"], progress=progress, estimated_completion=estimated)


def _language_progress(job: MemoryJob, parameters: Parameters, now: datetime) -> None:
    language = parameters["language"]
    if language in job.open_languages():
        old = job.languages[language]
        job.change_language(
            language,
            stage=parameters["stage"],
            progress=max(old.progress, parameters["percent"]),
            status=LanguageStatus.PROCESSING,
            started_at=old.started_at or now,
        )


def _fail_language(job: MemoryJob, parameters: Parameters, now: datetime) -> None:
    _end_language(job, parameters["language"], now, status=LanguageStatus.FAILED, error=_error(parameters))


def _end_language(job: MemoryJob, language: str, now: datetime, **values: Any) -> None:
    if language in job.open_languages():
        started_at = job.languages[language].started_at or now
        job.change_language(language, started_at=started_at, completed_at=now, **values)


def _complete_job(job: MemoryJob, parameters: Parameters, now: datetime) -> None:
    _end(job, parameters, now, progress=100.0, metrics=json.loads(parameters["metrics"]))


def _end_job(job: MemoryJob, parameters: Parameters, now: datetime) -> None:
    error = _error(parameters)
    _end(job, parameters, now, error=error)
    for language in job.open_languages():
        status = LanguageStatus(parameters["status"])
        job.change_language(language, status=status, error=error, completed_at=now)


def _end(job: MemoryJob, parameters: Parameters, now: datetime, **values: Any) -> None:
    spent, status = parameters["spent_credits"], JobStatus(parameters["status"])
    if not 0 <= spent <= job.record.quoted_credits:
        raise IntegrityError("jobs_spent_credits_check", None, ValueError(spent))
    job.lease(None, None)
    job.change(status=status, completed_at=now, estimated_completion=None, spent_credits=spent, **values)
    _tell_people(job)


def _tell_people(job: MemoryJob) -> None:
    record, status = job.record, job.record.status.value
    data = {
        "event": f"job_{status}",
        "job_id": str(record.id),
        "user_id": str(record.user_id),
        "filename": record.filename,
        "languages": list(record.target_languages),
        "error": asdict(record.error) if record.error else None,
    }
    told = {"mail": status in ("completed", "failed") and record.notify_email, "alert": status == "failed"}
    for kind in (kind for kind, wanted in told.items() if wanted):
        key = ":".join([kind, str(record.id), status, *([str(record.resumes)] if record.resumes else [])])
        job.notifications.setdefault(key, (kind, (record.notify_email or "") if kind == "mail" else "", data))


def _error(parameters: Parameters) -> Any:
    return error_from_json(json.loads(parameters["error"] or "null"))


_FENCED = {
    "finish_steps": (statements.FINISH_STEPS, _finish_steps, False),
    "finish_steps_with_results": (statements.FINISH_STEPS_WITH_RESULTS, _finish_steps, False),
    "forget_results": (statements.FORGET_RESULTS, _forget_results, False),
    "language_progress": (statements.SET_LANGUAGE_PROGRESS, _language_progress, True),
    "fail_language": (statements.FAIL_LANGUAGE, _fail_language, True),
}

BY_STATEMENT: Mapping[int, Write] = {
    id(text): Write(name, change, of_language)
    for name, (fenced, change, of_language) in _FENCED.items()
    for text in (fenced.quiet, fenced.announcing)
} | {
    id(statements.ANNOUNCE): Write("announce", _nothing),
    id(statements.SET_JOB_PROGRESS): Write("job_progress", _job_progress),
    id(statements.COMPLETE_JOB): Write("complete_job", _complete_job, to=JobStatus.COMPLETED),
    id(statements.END_JOB): Write("end_job", _end_job, to=JobStatus.FAILED),
}
"""By the identity of the statement, for statements have no names."""
