"""Clients of the services that a job needs: domain values in, domain values out, deadlines set."""

from __future__ import annotations

from dataclasses import dataclass

from .asr import AsrClient
from .billing import BillingClient
from .mixer import MixerClient
from .translate import TranslateClient
from .tts import TtsClient

__all__ = ["AsrClient", "BillingClient", "Clients", "MixerClient", "TranslateClient", "TtsClient"]


@dataclass(frozen=True, slots=True)
class Clients:
    """Every service a job needs."""

    asr: AsrClient
    translate: TranslateClient
    tts: TtsClient
    mixer: MixerClient
    billing: BillingClient
