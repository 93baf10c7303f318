"""Settings of the translation service; environment variables of the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from onevoice_kit.settings import GrpcServerSettings


class TranslateSettings(GrpcServerSettings):
    """What the service needs to know."""

    translate_engines: Annotated[tuple[str, ...], NoDecode] = ("apertium",)
    """Engines in order of preference, separated by commas."""
    translate_max_calls: int = Field(default=64, ge=1)
    """Translate calls that may run or wait at once; one more is told to come back later."""
    apertium_modes_dir: Path = Path("/usr/share/apertium/modes")
    """Folder in which the installed language pairs say how they run."""
    apertium_max_pipelines: int = Field(default=4, ge=1, le=64)
    """Language pairs kept running at once; each takes 100 to 150 MB."""
    apertium_line_timeout_s: float = Field(default=20.0, gt=0)
    """A pipeline that leaves a line unanswered for so long is taken for hung and started anew."""

    @field_validator("translate_engines", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value
