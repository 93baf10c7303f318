"""Bodies of quotes."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from services.gateway.schemas import Language, Model, Output


class QuoteIn(Model):
    """The subject of a quote: a video, or a length."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"duration_ms": 61500, "target_languages": ["es", "ca"]}]}
    )

    video_id: UUID | None = None
    duration_ms: Annotated[int, Field(gt=0, le=1 << 40)] | None = None
    target_languages: Annotated[list[Language], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.video_id is None) == (self.duration_ms is None):
            raise ValueError("give either video_id or duration_ms")
        return self


class QuoteOut(Output):
    """The price."""

    credits: int = Field(description="The whole job.", examples=[124])
    credits_per_language: int = Field(examples=[62])
    available_credits: int = Field(description="What you can spend now.", examples=[3600])
