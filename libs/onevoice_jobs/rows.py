"""Rows of the database to records, and records to the JSON that the statements take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from onevoice_jobs.models import jobs, language_tasks
from onevoice_jobs.options import JobOptions
from onevoice_jobs.records import (
    Artifact,
    Edit,
    Event,
    EventRecord,
    JobError,
    JobRecord,
    LanguageRecord,
    RunRecord,
    Segment,
    StepRecord,
    Translation,
    Word,
)
from onevoice_jobs.states import JobStatus, LanguageStatus, RunReason
from onevoice_kit.storage.base import ObjectRef

AnyRow = Row[*tuple[Any, ...]]
_HIDDEN = {"lease_owner", "lease_until", "last_event", "enqueued_at", "updated_at", "edits_epoch"}
JOB_COLUMNS = [column for column in jobs.c if column.name not in _HIDDEN]
LANGUAGE_COLUMNS = list(language_tasks.c)


def _values(row: AnyRow) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


def dumps(value: object) -> str:
    """JSON text for a statement's parameter."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def ref_to_json(ref: ObjectRef) -> dict[str, Any]:
    """An object reference as it is kept in the database."""
    return asdict(ref)


def ref_from_json(value: Mapping[str, Any]) -> ObjectRef:
    """The reverse of `ref_to_json`."""
    return ObjectRef(value["uri"], value["sha256"], value["size"], value["content_type"])


def error_from_json(value: Mapping[str, Any] | None) -> JobError | None:
    """A recorded failure, if there is one."""
    return JobError(value["reason"], value["message"]) if value else None


def job_from_row(row: AnyRow) -> JobRecord:
    """From a row that has the `JOB_COLUMNS`."""
    values = {column.name: row._mapping[column.name] for column in JOB_COLUMNS}  # noqa: SLF001 - see `_values`
    values["status"] = JobStatus(values["status"])
    values["source"] = ref_from_json(values["source"])
    values["target_languages"] = tuple(values["target_languages"])
    values["options"] = JobOptions.model_validate(values["options"])
    values["error"] = error_from_json(values["error"])
    return JobRecord(**values)


def language_from_row(row: AnyRow) -> LanguageRecord:
    """From a row of `LANGUAGE_COLUMNS`."""
    values = _values(row)
    values["status"] = LanguageStatus(values["status"])
    values["error"] = error_from_json(values["error"])
    return LanguageRecord(**values)


def step_from_row(row: AnyRow) -> StepRecord:
    """From a row of `steps`."""
    return StepRecord(row.step_key, row.input_hash, row.attempt, row.output, row.payment)


def segment_from_row(row: AnyRow) -> Segment:
    """From a row of `segments`."""
    words = tuple(Word(**word) for word in row.words)
    return Segment(_values(row)["index"], row.chunk, row.start_ms, row.end_ms, row.speaker, row.source_text, words)


def translation_from_row(row: AnyRow) -> Translation:
    """From a row of `translations`."""
    return Translation(
        row.language,
        _values(row)["index"],
        row.text,
        ref_from_json(row.audio) if row.audio else None,
        row.natural_ms,
        row.start_ms,
        row.end_ms,
        row.speed,
        row.onset_error_ms,
        tuple(row.flags),
        row.revision,
    )


def edit_from_row(row: AnyRow) -> Edit:
    """From a row of `edits`."""
    return Edit(row.revision, row.language, _values(row)["index"], row.line, row.text)


def run_from_row(row: AnyRow) -> RunRecord:
    """From a row of `runs`."""
    values = _values(row)
    values |= {"reason": RunReason(row.reason), "status": JobStatus(row.status), "error": error_from_json(row.error)}
    return RunRecord(**values)


def artifact_from_row(row: AnyRow) -> Artifact:
    """From a row of `artifacts`."""
    return Artifact(row.kind, row.language, row.filename, ref_from_json(row.object), row.created_at)


def event_from_row(row: AnyRow) -> EventRecord:
    """From a row of `job_events`."""
    return EventRecord(row.id, row.job_id, row.type, row.data, row.created_at)


def events_to_json(events: Iterable[Event]) -> str:
    """The parameters of the statements that insert events."""
    return dumps([{"type": event.type, "data": dict(event.data)} for event in events])
