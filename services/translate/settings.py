"""Settings of the translation service; environment variables of the same names."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from onevoice_kit.settings import EngineSettings, GrpcServerSettings, Names


class TranslateSettings(GrpcServerSettings, EngineSettings):
    """Settings of this service."""

    translate_engines: Names = ("apertium",)
    """Engines in order of preference, separated by commas."""
    translate_max_calls: int = Field(default=64, ge=1)
    """Translate calls that may run at once; one more is refused with the time after which to retry."""
    apertium_modes_dir: Path = Path("/usr/share/apertium/modes")
    """Folder with one file per installed language pair: the programs that run it."""
    apertium_max_pipelines: int = Field(default=4, ge=1, le=64)
    """Language pairs kept running at once; each takes 100 to 150 MB."""
    apertium_line_timeout_s: float = Field(default=20.0, gt=0)
    """Longest time for one line; a pipeline that takes longer is replaced."""
