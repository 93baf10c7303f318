"""The engine that produced a result, from the wire."""

from __future__ import annotations

from onevoice.common.v1.engine_pb2 import EngineUse as EngineUseMessage

from ..policy.line import EngineUse


def engine_from_proto(message: EngineUseMessage) -> EngineUse:
    """The engine's name, model and version."""
    return EngineUse(message.name, message.model, message.version)
