"""Settings of the speech synthesis service; environment variables of the same names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pydantic import Field

from onevoice_kit.settings import EngineSettings, GrpcServerSettings, Names, StorageSettings


class TtsSettings(GrpcServerSettings, StorageSettings, EngineSettings):
    """Settings of this service."""

    tts_engines: Names = ("kokoro", "espeak")
    """Engines in order of preference, separated by commas."""
    tts_workers: int = Field(default=0, ge=0, le=256)
    """Lines spoken at once; 0: one per core this process may use."""
    tts_max_waiting: int = Field(default=150, ge=0)
    """Lines that may wait for a place; one more is refused with the time after which to retry."""
    kokoro_voices: Path = Path(sys.prefix) / "share" / "onevoice" / "kokoro"
    """Folder with the voice files of Kokoro; `make install` fills it."""
    espeak_timeout_s: float = Field(default=30.0, gt=0)
    """Longest time for one line; the longest line takes a fifth of a second."""

    @property
    def workers(self) -> int:
        """Lines spoken at once, at least one."""
        return self.tts_workers or len(os.sched_getaffinity(0))
