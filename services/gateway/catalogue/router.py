"""Routes of the catalogue."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.gateway.catalogue.schemas import EnginesOut, LanguagesOut, VoiceOut, Voices
from services.gateway.dependencies import CallerDep, ServicesDep
from services.gateway.errors import problems
from services.gateway.schemas import Language

router = APIRouter(prefix="/api", tags=["catalogue"])


@router.get("/languages", summary="List languages", responses=problems())
async def list_languages(_caller: CallerDep, services: ServicesDep) -> LanguagesOut:
    """Languages that can be dubbed from and into here, and in which pairs."""
    return LanguagesOut.of(await services.catalogue.languages())


@router.get("/voices", summary="List voices", responses=problems())
async def list_voices(
    _caller: CallerDep,
    services: ServicesDep,
    language: Annotated[Language | None, Query(description="Only voices of this language.")] = None,
) -> Voices:
    """Voices by which dubbed lines can be spoken."""
    return Voices(items=[VoiceOut.of(voice) for voice in await services.catalogue.voices(language)])


@router.get("/engines", summary="List engines", responses=problems())
async def list_engines(_caller: CallerDep, services: ServicesDep) -> EnginesOut:
    """Engines by stage, in the order in which they are tried."""
    return EnginesOut.of(await services.catalogue.engines())
