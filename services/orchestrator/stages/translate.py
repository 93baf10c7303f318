"""Calls to translation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from onevoice.translate.v1 import translate_service_pb2 as pb
from onevoice.translate.v1.translate_service_pb2_grpc import TranslateServiceStub
from onevoice_jobs.options import GlossaryTerm
from onevoice_kit.grpc.streams import final_result

from . import deadlines
from .lineage import EngineUse


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line to translate."""

    id: str
    text: str
    max_chars: int


@dataclass(frozen=True, slots=True)
class TranslatedLine:
    """A translated line."""

    id: str
    text: str
    unknown_words: tuple[str, ...]
    within_budget: bool


@dataclass(frozen=True, slots=True)
class Translations:
    """Translated lines, in the order they were given."""

    lines: tuple[TranslatedLine, ...]
    engine: EngineUse


class TranslateStage:
    """Translation."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = TranslateServiceStub(channel)

    async def translate(
        self, source: str, target: str, lines: Sequence[SourceLine], glossary: Sequence[GlossaryTerm], engine: str
    ) -> Translations:
        """Translates lines from `source` to `target` (BCP-47)."""
        request = pb.TranslateRequest(
            source_language=source,
            target_language=target,
            segments=[pb.SourceSegment(id=line.id, text=line.text, max_chars=line.max_chars) for line in lines],
            glossary=[pb.GlossaryTerm(source=term.source, target=term.target) for term in glossary],
            engine=engine,
        )
        call = self._stub.Translate(request, timeout=deadlines.SHORT_S * 4)
        result: pb.TranslateResult = await final_result(call)
        translated = tuple(
            TranslatedLine(line.id, line.text, tuple(line.unknown_words), line.within_budget)
            for line in result.segments
        )
        return Translations(translated, EngineUse.from_proto(result.engine))
