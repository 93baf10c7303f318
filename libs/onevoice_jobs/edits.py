"""Edits of lines: checks them, and computes which seconds of which languages they change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from onevoice_jobs.records import Edit, Segment, Translation
from onevoice_jobs.states import JobStatus
from onevoice_kit.errors import Conflict, InvalidInput, NotFound

MAX_TEXT = 5_000
MAX_VOICE = 200


def check_editable(status: JobStatus) -> None:
    """`Conflict` (reason `job_not_ended`) while the job is in work: its lines are still being made."""
    if not status.terminal:
        raise Conflict("The lines of a job can be edited once it has ended.", reason="job_not_ended")


def edited_segments(segments: Iterable[Segment], edits: Iterable[Edit]) -> list[Segment]:
    """The segments with the edits applied, the later over the earlier."""
    changes: dict[int, dict[str, Any]] = {}
    for edit in edits:
        if edit.language is None:
            name = "source_text" if edit.field == "text" else edit.field
            changes.setdefault(edit.index, {})[name] = edit.value
    return [replace(segment, **changes.get(segment.index, {})) for segment in segments]


def plan_segment_edits(
    segments: Sequence[Segment], pending: Iterable[Edit], index: int, changes: Mapping[str, str | int]
) -> list[Edit]:
    """
    The edits that give a segment new values for `text`, `start_ms`, `end_ms` or `speaker`.

    Raises `NotFound` (reason `segment_not_found`), `InvalidInput` (reasons `invalid_text`, `invalid_times` for times
    that leave the order of the lines, `unknown_speaker`).
    """
    current = {segment.index: segment for segment in edited_segments(segments, pending)}
    if index not in current:
        raise NotFound("There is no such line.", reason="segment_not_found")
    if "text" in changes:
        _check_text(changes["text"])
    start, end = changes.get("start_ms", current[index].start_ms), changes.get("end_ms", current[index].end_ms)
    before, after = current.get(index - 1), current.get(index + 1)
    in_order = (before is None or before.start_ms < start) and (after is None or start < after.start_ms)
    if {"start_ms", "end_ms"} & set(changes) and not (0 <= start < end and in_order):
        raise InvalidInput("The times of a line keep the order of the lines.", reason="invalid_times")
    if "speaker" in changes and changes["speaker"] not in {segment.speaker for segment in segments}:
        raise InvalidInput("There is no such speaker.", reason="unknown_speaker")
    stored = next(segment for segment in segments if segment.index == index)
    return _edits(stored, segments, None, stored.revision, changes)


def plan_translation_edits(
    segments: Sequence[Segment], translation: Translation | None, changes: Mapping[str, str | int]
) -> list[Edit]:
    """
    The edits that give a translation a new `text` or `voice`.

    Raises `NotFound` (reason `translation_not_found`), `InvalidInput` (reasons `invalid_text`, `invalid_voice`).
    """
    if translation is None:
        raise NotFound("There is no such translation.", reason="translation_not_found")
    if "text" in changes:
        _check_text(changes["text"])
    if "voice" in changes and not 0 < len(str(changes["voice"])) <= MAX_VOICE:
        raise InvalidInput("The voice is not valid.", reason="invalid_voice")
    segment = next(segment for segment in segments if segment.index == translation.index)
    return _edits(segment, segments, translation.language, translation.revision, changes)


def changed_languages(edits: Iterable[Edit], languages: Collection[str]) -> set[str]:
    """The languages that must be made again: an edit of a source line changes all."""
    edits = list(edits)
    return {language for language in languages if any(edit.language in (None, language) for edit in edits)}


def changed_ms(edits: Iterable[Edit], segments: Iterable[Segment], languages: Collection[str]) -> dict[str, int]:
    """By language: the length of its changed lines, each counted once; languages without any are left out."""
    edits = list(edits)
    lines = {segment.index: segment.end_ms - segment.start_ms for segment in edited_segments(segments, edits)}
    touched = {
        language: {edit.index for edit in edits if edit.language in (None, language)}
        for language in sorted(changed_languages(edits, languages))
    }
    return {language: sum(max(1, lines.get(index, 0)) for index in found) for language, found in touched.items()}


def _edits(
    segment: Segment,
    segments: Iterable[Segment],
    language: str | None,
    revision: int,
    changes: Mapping[str, str | int],
) -> list[Edit]:
    position = sum(1 for other in segments if other.chunk == segment.chunk and other.index < segment.index)
    line = (language, segment.index, segment.chunk, position)
    return [Edit(*line, field, value, revision + 1) for field, value in sorted(changes.items())]


def _check_text(text: str | int) -> None:
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT or "\x00" in text:
        raise InvalidInput("The text of a line is not valid.", reason="invalid_text")
