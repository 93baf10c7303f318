"""What a detector of speech takes and returns."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.asr.audio import Samples
from services.asr.engines.base import EngineInfo

FRAME_SAMPLES = 512
"""Samples (of 16 kHz) that get one probability."""
FRAME_MS = 32


class SpeechScan(Protocol):
    """One pass over one audio, fed in order."""

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """Probability of speech, 0 to 1, for each frame; a last frame that is not full is filled with silence."""
        ...


class SpeechDetector(Protocol):
    """Tells speech from everything else; safe to use from many threads, each with its own scan."""

    @property
    def info(self) -> EngineInfo:
        """Which detector it is."""
        ...

    def scan(self) -> SpeechScan:
        """Starts a pass."""
        ...
