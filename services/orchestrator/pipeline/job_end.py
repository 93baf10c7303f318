"""The tasks that end a job, whatever its languages came to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onevoice_jobs.records import JobRecord

from ..policy.line import Source
from ..steps import ending
from ..steps.context import Edits
from ..steps.graph import Handle
from ..steps.task import Task
from . import handles


def job_end(job: JobRecord, edits: Edits, cuts: tuple[Handle[dict[str, Source]], ...]) -> Iterator[Task[Any]]:
    """The report, the manifest and the settlement of credits."""
    ends = tuple(map(handles.done, job.target_languages))
    yield ending.Report(
        gives=handles.REPORT,
        job_id=str(job.id),
        media=handles.PROBE,
        language=handles.LANGUAGE,
        speech_regions=handles.DETECT,
        separated=handles.SEPARATE,
        speakers=handles.DIARIZE,
        transcripts=tuple(map(handles.transcribe, range(len(cuts)))),
        cuts=cuts,
        ends=ends,
    )
    yield ending.Manifest(
        gives=handles.MANIFEST,
        job_id=str(job.id),
        filename=job.filename,
        source=job.source,
        report=handles.REPORT,
        thumbnail=handles.THUMBNAIL,
        captions=handles.CAPTIONS,
        ends=ends,
    )
    yield ending.Settle(
        gives=handles.SETTLE,
        reservation=job.reservation,
        changed_ms=edits.changed_ms,
        media=handles.PROBE,
        manifest=handles.MANIFEST,
        ends=ends,
    )
