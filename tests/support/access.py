"""The callers of every method of every service, as the services declare them."""

from __future__ import annotations

from collections.abc import Mapping

from onevoice_kit.grpc.interceptors import Access
from services.asr import servicer as asr
from services.billing import servicer as billing
from services.mixer import servicer as mixer
from services.translate import servicer as translate
from services.tts import servicer as tts

ACCESS: Mapping[str, Access] = {service.SERVICE: service.ACCESS for service in (asr, translate, tts, mixer, billing)}
"""By the full name of the service."""
