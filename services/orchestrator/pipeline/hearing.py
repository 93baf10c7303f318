"""The part of the graph that follows from the engines of recognition: speech, language, speakers, separation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from onevoice_jobs.records import JobRecord

from ..clients.asr import CONVERSATION, DETECTION, DIARIZATION, IDENTIFICATION, SEPARATION, TRANSCRIPTION
from ..policy.line import EngineUse
from ..steps import plausible, separation, source
from ..steps.graph import item
from ..steps.task import Task
from . import handles


def hearing(
    job: JobRecord, default: str, engines: Mapping[str, list[EngineUse]], then: Callable[..., Iterator[Task[Any]]]
) -> Iterator[Task[Any]]:
    """
    The speakers are found with the words where an engine may find both in one call, else beside them. `default` is the
    language where nothing names one; `then` adds what follows from the detected speech, and gets `one_call`.
    """
    one_call = bool(engines.get(CONVERSATION))
    named = job.source_language or job.options.source_language
    kinds = (DIARIZATION, CONVERSATION, TRANSCRIPTION) if one_call else (DIARIZATION,)
    yield source.Detect(
        gives=handles.DETECT,
        sound=handles.EXTRACT,
        engines=item(handles.ASR_ENGINES, DETECTION),
        then=partial(then, one_call=one_call),
    )
    yield source.Language(
        gives=handles.LANGUAGE,
        media=handles.PROBE,
        sound=handles.EXTRACT,
        speech=handles.DETECT,
        engines=item(handles.ASR_ENGINES, IDENTIFICATION),
        named=named,
        default=default,
    )
    if not job.options.force:
        yield plausible.CheckLanguage(
            gives=handles.CHECK_LANGUAGE,
            media=handles.PROBE,
            sound=handles.EXTRACT,
            speech=handles.DETECT,
            engines=item(handles.ASR_ENGINES, IDENTIFICATION),
            named=named,
        )
    yield source.Diarize(
        gives=handles.DIARIZE,
        sound=handles.EXTRACT,
        speech=handles.DETECT,
        engines=tuple(item(handles.ASR_ENGINES, kind) for kind in kinds),
        count=job.options.speakers or 0,
        language=(handles.LANGUAGE,) if one_call else (),
        engine=job.options.engines.asr or "" if one_call else "",
    )
    yield separation.Separate(
        gives=handles.SEPARATE,
        sound=handles.EXTRACT,
        speech=handles.DETECT,
        engine=job.options.engines.separation or "",
        engines=item(handles.ASR_ENGINES, SEPARATION),
    )
