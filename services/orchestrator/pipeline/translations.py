"""The part of the graph that translates a language, which follows from the engines that may serve it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onevoice_jobs.records import JobRecord

from ..clients.translate import SUMMARY, TRANSLATION
from ..policy.line import EngineUse
from ..policy.terminology import is_wanted
from ..steps import language, plausible, terms
from ..steps.graph import Handle, item
from ..steps.task import Task
from . import handles


def translations(job: JobRecord, target: str, chunks: int, engines: dict[str, list[EngineUse]]) -> Iterator[Task[Any]]:
    """
    The translation of each chunk. Where the terminology of the whole transcript is wanted, each waits for it, and so
    for the last chunk of the recognition; else a chunk is translated while later ones are recognised.
    """
    options, wanted = job.options, is_wanted(job.options.terminology, chunks, engines[SUMMARY])
    common: dict[str, Any] = {
        "scope": target,
        "target": target,
        "language": handles.LANGUAGE,
        "glossary": options.glossary,
        "engine": options.engines.translate or "",
    }

    def checked(chunk: int) -> tuple[Handle[int], ...]:
        return () if options.force else (item(handles.check(chunk), plausible.PASSED),)

    if not wanted:
        yield terms.NoTerms(gives=handles.terms(target), scope=target)
    else:
        yield terms.FindTerms(
            gives=handles.terms(target),
            cuts=tuple(map(handles.cut, range(chunks))),
            engines=item(handles.translation_engines(target), SUMMARY),
            checked=checked(chunks - 1),
            **common,
        )
    for chunk in range(chunks):
        of_chunk = {
            **common,
            "gives": handles.translate(target, chunk),
            "lines": handles.cut(chunk),
            "engines": item(handles.translation_engines(target), TRANSLATION),
            "checked": checked(chunk),
        }
        if not wanted:
            yield language.Translate(**of_chunk)
            continue
        yield terms.TranslateInContext(
            terms=handles.terms(target),
            earlier=(handles.cut(chunk - 1),) if chunk else (),
            later=(handles.cut(chunk + 1),) if chunk + 1 < chunks else (),
            **of_chunk,
        )
