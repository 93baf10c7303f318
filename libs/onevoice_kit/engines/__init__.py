"""Engines of every stage: one description, one registry, one lifecycle, and wrappers around their calls."""

from onevoice_kit.engines.base import Capabilities, Engine, EngineInfo, Price
from onevoice_kit.engines.layers import Instrument, Layer, Limit, RetryLayer, call, fallback, stream
from onevoice_kit.engines.registry import Candidate, Registry

__all__ = [
    "Candidate",
    "Capabilities",
    "Engine",
    "EngineInfo",
    "Instrument",
    "Layer",
    "Limit",
    "Price",
    "Registry",
    "RetryLayer",
    "call",
    "fallback",
    "stream",
]
