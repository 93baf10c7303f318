"""Routes and bodies of the catalogue."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from fastapi.responses import RedirectResponse
from pydantic import Field

from services.gateway.catalogue.service import Catalogue, Engines, Languages
from services.gateway.clients.stages import EngineInfo, VoiceInfo
from services.gateway.dependencies import CallerDep, SettingsDep, StorageDep, part
from services.gateway.errors import problems
from services.gateway.schemas import Language, Output


class Pair(Output):
    """A pair of languages in one direction."""

    source: str = Field(examples=["en"])
    target: str = Field(examples=["es"])


class LanguagesOut(Output):
    """Languages that can be dubbed from and into here."""

    sources: list[str] = Field(examples=[["en"]])
    targets: list[str] = Field(examples=[["ca", "es"]])
    pairs: list[Pair]

    @classmethod
    def of(cls, found: Languages) -> Self:
        """From the catalogue."""
        pairs = [Pair(source=source, target=target) for source, target in found.pairs]
        return cls(sources=list(found.sources), targets=list(found.targets), pairs=pairs)


class VoiceOut(Output):
    """A voice."""

    id: str = Field(examples=["espeak:es+f2"])
    name: str
    language: str = Field(
        description="The one that serves the language of the list; of several the first where the list has none.",
        examples=["es"],
    )
    languages: list[str] = Field(description="Every language that it speaks.", examples=[["es"]])
    gender: str = Field(description="`female`, `male`, `neutral` or `unknown`.", examples=["female"])
    engine: str = Field(examples=["espeak"])
    sample_url: str | None = Field(
        description="Redirects to a sentence in its voice; null where there is no sample.",
        examples=["/api/voices/espeak%3Aes%2Bf2/sample?language=es"],
    )

    @classmethod
    def of(cls, voice: VoiceInfo) -> Self:
        """From the catalogue."""
        path = f"/api/voices/{quote(voice.id, safe='')}/sample?language={quote(voice.language)}"
        return cls(
            id=voice.id,
            name=voice.name,
            language=voice.language,
            languages=list(voice.speaks),
            gender=voice.gender,
            engine=voice.engine,
            sample_url=path if voice.has_sample else None,
        )


class Voices(Output):
    """Voices of this deployment."""

    items: list[VoiceOut]


class PriceOut(Output):
    """A list price of an engine."""

    usd: str = Field(description="US dollars for one unit, a decimal number.", examples=["15.00"])
    unit: str = Field(examples=["1M characters"])


class EngineOut(Output):
    """An engine."""

    name: str = Field(examples=["apertium"])
    model: str
    version: str
    languages: list[str] = Field(description="For translation the source languages.", examples=[["en"]])
    available: bool = Field(description="True where it can work here now.")
    missing: str | None = Field(
        description="What to install or set where it cannot work.", examples=["The engine needs a key."]
    )
    partly_missing: str | None = Field(
        description="What to install for languages that it does not serve here.",
        examples=["For “ja”: install the extra `onevoice[japanese]`."],
    )
    shutdown_date: str | None = Field(
        description="Day on which the vendor ends the model, where announced.", examples=["2027-01-31"]
    )
    paid: bool = Field(description="True where calls cost money, also where the price is not known.")
    prices: list[PriceOut] = Field(description="Their sum is paid.")

    @classmethod
    def of(cls, engine: EngineInfo) -> Self:
        """From the catalogue."""
        return cls(
            name=engine.name,
            model=engine.model,
            version=engine.version,
            languages=sorted(engine.languages),
            available=engine.available,
            missing=engine.missing or None,
            partly_missing=engine.partly_missing or None,
            shutdown_date=engine.shutdown_date or None,
            paid=engine.paid,
            prices=[PriceOut(usd=usd, unit=unit) for usd, unit in engine.prices],
        )


class EnginesOut(Output):
    """Engines by stage, in the order in which they are tried."""

    asr: list[EngineOut]
    detection: list[EngineOut]
    identification: list[EngineOut]
    diarization: list[EngineOut]
    translate: list[EngineOut]
    tts: list[EngineOut]
    separation: list[EngineOut]

    @classmethod
    def of(cls, found: Engines) -> Self:
        """From the catalogue."""
        return cls(
            asr=[EngineOut.of(engine) for engine in found.transcription],
            detection=[EngineOut.of(engine) for engine in found.detection],
            identification=[EngineOut.of(engine) for engine in found.identification],
            diarization=[EngineOut.of(engine) for engine in found.diarization],
            translate=[EngineOut.of(engine) for engine in found.translation],
            tts=[EngineOut.of(engine) for engine in found.synthesis],
            separation=[EngineOut.of(engine) for engine in found.separation],
        )


router = APIRouter(prefix="/api", tags=["catalogue"])

CatalogueDep = Annotated[Catalogue, Depends(part(Catalogue))]


@router.get("/languages", summary="List languages", responses=problems())
async def list_languages(_caller: CallerDep, catalogue: CatalogueDep) -> LanguagesOut:
    """Languages that can be dubbed from and into here, and in which pairs."""
    return LanguagesOut.of(await catalogue.languages())


@router.get("/voices", summary="List voices", responses=problems())
async def list_voices(
    _caller: CallerDep,
    catalogue: CatalogueDep,
    language: Annotated[Language | None, Query(description="Only voices of this language.")] = None,
) -> Voices:
    """Voices by which dubbed lines can be spoken."""
    return Voices(items=[VoiceOut.of(voice) for voice in await catalogue.voices(language)])


@router.get(
    "/voices/{voice_id:path}/sample",
    status_code=307,
    response_class=RedirectResponse,
    summary="Get a sample of a voice",
    responses=problems((404, "unknown_voice"), (404, "no_sample"), (422, "voice_language_mismatch")),
)
async def get_voice_sample(
    voice_id: str,
    _caller: CallerDep,
    catalogue: CatalogueDep,
    storage: StorageDep,
    settings: SettingsDep,
    language: Annotated[Language | None, Query(description="For a voice that speaks several.")] = None,
) -> RedirectResponse:
    """
    Redirects to a sentence in this voice: spoken here, once for everyone, or its vendor's recording. A paid engine
    speaks no samples.
    """
    sample = await catalogue.sample(voice_id, language)
    if isinstance(sample, str):
        return RedirectResponse(sample)
    return RedirectResponse(await storage.sign_get(storage.key(sample.uri), settings.download_expires_s))


@router.get("/engines", summary="List engines", responses=problems())
async def list_engines(_caller: CallerDep, catalogue: CatalogueDep) -> EnginesOut:
    """Engines by stage, in the order in which they are tried."""
    return EnginesOut.of(await catalogue.engines())
