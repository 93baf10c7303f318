"""Settings of the speech synthesis service; environment variables of the same names."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from onevoice_kit.settings import GrpcServerSettings, StorageSettings


class TtsSettings(GrpcServerSettings, StorageSettings):
    """What the service needs to know."""

    tts_engines: Annotated[tuple[str, ...], NoDecode] = ("espeak",)
    """Engines in order of preference, separated by commas."""
    tts_workers: int = Field(default=0, ge=0, le=256)
    """Lines spoken at once; 0: one per core this process may use."""
    tts_max_waiting: int = Field(default=150, ge=0)
    """Lines that may wait for their turn; one more is told to come back later."""
    espeak_timeout_s: float = Field(default=30.0, gt=0)
    """Longest time for one line; the longest line takes a fifth of a second."""

    @field_validator("tts_engines", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @property
    def workers(self) -> int:
        """Lines spoken at once, at least one."""
        return self.tts_workers or len(os.sched_getaffinity(0))
