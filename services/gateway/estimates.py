"""Estimates of what a job costs at the vendors: route, bodies, and the choice of the engines that it would get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field, model_validator

from onevoice_jobs import costs
from onevoice_jobs.estimate import Choice, Expected, LanguageChoice, Plan, assumptions, expected
from onevoice_kit.db import transaction
from onevoice_kit.engines.base import Price, Prices, Unit
from onevoice_kit.languages import best, distance
from services.gateway.catalogue.service import Catalogue, Engines
from services.gateway.clients.billing import BillingClient
from services.gateway.clients.stages import EngineInfo, VoiceInfo
from services.gateway.dependencies import CallerDep, EngineDep, part
from services.gateway.errors import problems
from services.gateway.jobs.schemas import DubIn
from services.gateway.schemas import Output
from services.gateway.videos.service import load_ready


class EstimateIn(DubIn):
    """A video, or a length, and what to make of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"duration_ms": 61500, "target_languages": ["es"], "source_language": "en"}]}
    )

    video_id: UUID | None = None
    duration_ms: Annotated[int, Field(gt=0, le=1 << 40)] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.video_id is None) == (self.duration_ms is None):
            raise ValueError("give either video_id or duration_ms")
        return self


class UnitsOut(Output):
    """The expected number of a unit that the vendor prices."""

    unit: str = Field(examples=["1k characters"])
    units: float = Field(examples=[0.9225])


class CostOut(Output):
    """The expected cost of one engine at one stage, at list price."""

    stage: str = Field(description="`asr`, `terms`, `translate` or `tts`, as in the report.", examples=["tts"])
    language: str | None = Field(description="Null for what is done once for the job.", examples=["es"])
    engine: str = Field(examples=["elevenlabs"])
    model: str
    units: list[UnitsOut] = Field(description="Empty where calls cost nothing, or the price is not known.")
    usd: str | None = Field(description="Null where the price is not known.", examples=["0.092250"])

    @classmethod
    def of(cls, one: Expected) -> Self:
        """From the expected use."""
        return cls(
            stage=one.stage,
            language=one.language,
            engine=one.engine.name,
            model=one.engine.model,
            units=[UnitsOut(unit=unit, units=units) for unit, units in one.units],
            usd=costs.usd(one.cost.microusd),
        )


class AssumptionOut(Output):
    """A number that the estimate rests on."""

    name: str = Field(examples=["characters_per_second"])
    language: str | None = Field(examples=["es"])
    value: float = Field(examples=[15.0])


class EstimateOut(Output):
    """The price of a job in credits, and what it is expected to cost at the vendors."""

    credits: int = Field(description="The whole job; it never costs more.", examples=[62])
    credits_per_language: int = Field(examples=[62])
    costs: list[CostOut] = Field(description="At the vendors, by stage, language and engine.")
    cost_usd: str | None = Field(description="Their sum; null where a part is not known.", examples=["0.101234"])
    assumptions: list[AssumptionOut]


_WISH_PROBLEMS = (
    (422, "unsupported_language_pair"),
    (422, "source_language_required"),
    (422, "unknown_engine"),
    (422, "unknown_voice"),
)
router = APIRouter(prefix="/api/billing", tags=["billing"])


@router.post(
    "/estimate",
    summary="Estimate the vendors' costs of a job",
    responses=problems((404, "video_not_found"), (409, "video_not_ready"), *_WISH_PROBLEMS),
)
async def estimate(
    asked: EstimateIn,
    caller: CallerDep,
    engine: EngineDep,
    catalogue: Annotated[Catalogue, Depends(part(Catalogue))],
    billing: Annotated[BillingClient, Depends(part(BillingClient))],
) -> EstimateOut:
    """
    Predicts the cost of a dub with these options at the vendors, at list price, and gives its price in credits. The
    report of the job has the cost of what it used. All of the source counts as speech; nothing is reserved.
    """
    duration_ms, source = asked.duration_ms or 0, asked.source_language
    if asked.video_id is not None:
        async with transaction(engine) as connection:
            video = await load_ready(connection, caller.user_id, asked.video_id)
        duration_ms, source = video.duration_ms or 0, source or video.source_language
    source = await catalogue.check(asked.needs(source))
    plan = planned(asked, duration_ms, source, await catalogue.engines(), await catalogue.voices())
    offer = await billing.quote(duration_ms, len(set(asked.target_languages)))
    uses = list(expected(plan))
    return EstimateOut(
        credits=offer.credits,
        credits_per_language=offer.credits_per_language,
        costs=[CostOut.of(one) for one in uses],
        cost_usd=costs.total_usd(one.cost for one in uses),
        assumptions=[AssumptionOut(name=one.name, language=one.language, value=one.value) for one in assumptions(plan)],
    )


def planned(asked: DubIn, duration_ms: int, source: str | None, engines: Engines, voices: Sequence[VoiceInfo]) -> Plan:
    """The job with the engines that it would get: those named, else the first that works and serves the languages."""
    asr = _first(engines.transcription, asked.engines.asr, lambda one: source is None or _speaks(one, source))
    targets = []
    for target in dict.fromkeys(asked.target_languages):
        translator = _first(engines.translation, asked.engines.translate, partial(_translates, source, target))
        speakers = _of_voices(asked, target, engines, voices) or (
            _first(engines.synthesis, asked.engines.tts, partial(_speaks, language=target)),
        )
        targets.append(LanguageChoice(target, _choice(translator), tuple(map(_choice, speakers))))
    return Plan(duration_ms, source, _choice(asr), tuple(targets), asked.terminology)


def _first(engines: Sequence[EngineInfo], named: str | None, serves: Callable[[EngineInfo], bool]) -> EngineInfo:
    """The engine of a stage; the catalogue has checked that there is one."""
    return next(one for one in engines if one.available and named in (None, one.name) and serves(one))


def _speaks(engine: EngineInfo, language: str) -> bool:
    return best(language, engine.languages) is not None


def _translates(source: str | None, target: str, engine: EngineInfo) -> bool:
    return any(
        distance(target, to) is not None and (source is None or distance(source, known) is not None)
        for known, to in engine.pairs
    )


def _of_voices(asked: DubIn, target: str, engines: Engines, voices: Sequence[VoiceInfo]) -> tuple[EngineInfo, ...]:
    """The engines of the voices that are chosen for a language; none where no voice is."""
    chosen = asked.voices.get(target, {})
    ids = [chosen] if isinstance(chosen, str) else list(chosen.values())
    names = {voice.engine for voice in voices if voice.id in ids}
    return tuple(engine for engine in engines.synthesis if engine.name in names)


def _choice(engine: EngineInfo) -> Choice:
    return Choice(engine.name, engine.model, _prices(engine), engine.wants_summary)


def _prices(engine: EngineInfo) -> Prices | None:
    """Those of the catalogue; None where calls cost money and the price, or its unit, is not known here."""
    if engine.paid and not engine.prices:
        return None
    if any(unit not in set(Unit) for _, unit in engine.prices):
        return None
    return tuple(Price(usd=Decimal(usd), unit=Unit(unit)) for usd, unit in engine.prices)
