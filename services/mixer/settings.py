"""Settings of the mixer."""

from __future__ import annotations

import os

from pydantic import Field

from onevoice_kit.media_exec import MediaSettings
from onevoice_kit.settings import GrpcServerSettings, StorageSettings


class MixerSettings(GrpcServerSettings, StorageSettings, MediaSettings):
    """Environment of the mixer."""

    mixer_max_jobs: int = Field(default=0, ge=0)
    """Calls worked on at once; 0: one for each CPU."""
    mixer_max_waiting: int = Field(default=64, ge=0)
    """Calls that wait for a place before further ones are refused as busy."""

    grpc_drain_grace_s: float = Field(default=120.0, ge=0)
    """After SIGTERM, the time for running calls to finish: a mix or mux that is cut off starts from its beginning."""

    def jobs(self) -> int:
        """Calls worked on at once."""
        return self.mixer_max_jobs or os.cpu_count() or 1
