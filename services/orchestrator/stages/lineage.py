"""Which engine produced a result."""

from __future__ import annotations

from dataclasses import dataclass

from onevoice.common.v1.engine_pb2 import EngineUse as EngineUseMessage


@dataclass(frozen=True, slots=True)
class EngineUse:
    """An engine, its model and version; empty where the engine has none."""

    name: str
    model: str
    version: str

    @classmethod
    def from_proto(cls, message: EngineUseMessage) -> EngineUse:
        """From the wire."""
        return cls(message.name, message.model, message.version)
