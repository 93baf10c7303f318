"""Descriptions of engines as messages of the contracts."""

from __future__ import annotations

from collections.abc import Iterable

from onevoice.common.v1 import engine_pb2
from onevoice_kit.engines.base import Capabilities, EngineInfo


def engine_to_proto(capabilities: Capabilities, languages: Iterable[str]) -> engine_pb2.Engine:
    """An engine for the catalogue, with the languages that it serves."""
    info = capabilities.info
    return engine_pb2.Engine(
        name=info.name,
        model=info.model,
        version=info.version,
        languages=sorted(set(languages)),
        available=capabilities.available,
        missing=capabilities.missing,
        shutdown_date=info.shutdown_date.isoformat() if info.shutdown_date else "",
        price=engine_pb2.EnginePrice(usd=str(info.price.amount), unit=info.price.unit) if info.price else None,
    )


def engine_use_to_proto(info: EngineInfo) -> engine_pb2.EngineUse:
    """An engine for the lineage of a result."""
    return engine_pb2.EngineUse(**info.identity)
