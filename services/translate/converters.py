"""Between protobuf messages and the values of the domain."""

from __future__ import annotations

from collections.abc import Iterable

from onevoice.common.v1 import progress_pb2
from onevoice.translate.v1 import translate_service_pb2
from onevoice_kit.grpc.converters import engine_to_proto, engine_use_to_proto
from services.translate.engines.base import Capabilities, Context, Summary, Term
from services.translate.summary import Described, Transcript
from services.translate.translation import Request, Result, Segment, TranslatedSegment


def request_from_proto(message: translate_service_pb2.TranslateRequest) -> Request:
    """A request, unchecked."""
    return Request(
        source_language=message.source_language,
        target_language=message.target_language,
        segments=tuple(Segment(segment.id, segment.text, segment.max_chars) for segment in message.segments),
        glossary=_terms(message.glossary),
        engine=message.engine,
        context=Context(
            Summary(message.about.text, _terms(message.about.terms)), tuple(message.before), tuple(message.after)
        ),
    )


def transcript_from_proto(message: translate_service_pb2.SummarizeRequest) -> Transcript:
    """A request, unchecked."""
    return Transcript(
        source_language=message.source_language,
        target_language=message.target_language,
        lines=tuple(message.lines),
        glossary=_terms(message.glossary),
        engine=message.engine,
    )


def _terms(messages: Iterable[translate_service_pb2.GlossaryTerm]) -> tuple[Term, ...]:
    return tuple(Term(term.source, term.target) for term in messages)


def summary_progress(fraction: float) -> translate_service_pb2.SummarizeResponse:
    """Progress of Summarize."""
    return translate_service_pb2.SummarizeResponse(progress=progress_pb2.Progress(fraction=fraction))


def summary_result(found: Described) -> translate_service_pb2.SummarizeResponse:
    """Result of Summarize."""
    terms = [translate_service_pb2.GlossaryTerm(source=one.source, target=one.target) for one in found.summary.terms]
    message = translate_service_pb2.SummarizeResult(
        summary=translate_service_pb2.Summary(text=found.summary.text, terms=terms),
        engine=engine_use_to_proto(found.engine),
        cost_microusd=found.cost_microusd,
        problem=found.problem,
    )
    return translate_service_pb2.SummarizeResponse(result=message)


def translation_progress(fraction: float) -> translate_service_pb2.TranslateResponse:
    """Progress of Translate."""
    return translate_service_pb2.TranslateResponse(progress=progress_pb2.Progress(fraction=fraction))


def translation_result(result: Result) -> translate_service_pb2.TranslateResponse:
    """Result of Translate."""
    message = translate_service_pb2.TranslateResult(
        segments=map(_segment_to_proto, result.segments),
        engine=engine_use_to_proto(result.engine),
        cost_microusd=result.cost_microusd,
    )
    return translate_service_pb2.TranslateResponse(result=message)


def _segment_to_proto(segment: TranslatedSegment) -> translate_service_pb2.TranslatedSegment:
    return translate_service_pb2.TranslatedSegment(
        id=segment.id,
        text=segment.text,
        unknown_words=segment.unknown_words,
        within_budget=segment.within_budget,
        missed_terms=segment.missed_terms,
        similarity=segment.similarity,
        meaning_lost=segment.meaning_lost,
    )


def translation_engine_to_proto(capabilities: Capabilities) -> translate_service_pb2.TranslationEngine:
    """An engine for the catalogue; its languages are the source languages."""
    return translate_service_pb2.TranslationEngine(
        engine=engine_to_proto(capabilities, {pair.source for pair in capabilities.pairs}),
        pairs=[
            translate_service_pb2.LanguagePair(source=pair.source, target=pair.target) for pair in capabilities.pairs
        ],
        can_shorten=capabilities.can_shorten,
        wants_summary=capabilities.wants_summary,
    )
