"""The stage services as the pipeline sees them: domain values in, domain values out, deadlines set."""

from __future__ import annotations

from dataclasses import dataclass

from .asr import AsrStage
from .billing import BillingStage
from .mixer import MixerStage
from .translate import TranslateStage
from .tts import TtsStage

__all__ = ["AsrStage", "BillingStage", "MixerStage", "Stages", "TranslateStage", "TtsStage"]


@dataclass(frozen=True, slots=True)
class Stages:
    """Every service a job needs."""

    asr: AsrStage
    translate: TranslateStage
    tts: TtsStage
    mixer: MixerStage
    billing: BillingStage
