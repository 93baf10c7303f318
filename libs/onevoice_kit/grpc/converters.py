"""Values of the kit to and from the messages that several contracts share: object references and engines."""

from __future__ import annotations

from collections.abc import Iterable

from onevoice.common.v1 import engine_pb2, media_pb2
from onevoice_kit.engines.base import FREE, Capabilities, EngineInfo
from onevoice_kit.errors import InvalidInput
from onevoice_kit.storage.base import ObjectRef


def ref_to_proto(ref: ObjectRef) -> media_pb2.ObjectRef:
    """The message for a reference."""
    return media_pb2.ObjectRef(uri=ref.uri, sha256=ref.sha256, size=ref.size, content_type=ref.content_type)


def ref_from_proto(message: media_pb2.ObjectRef) -> ObjectRef:
    """The reference in a message. Raises `InvalidInput` (reason `missing_object_ref`) where it has no URI."""
    if not message.uri:
        raise InvalidInput("An object reference is missing.", reason="missing_object_ref")
    return ObjectRef(uri=message.uri, sha256=message.sha256, size=message.size, content_type=message.content_type)


def engine_to_proto(capabilities: Capabilities, languages: Iterable[str]) -> engine_pb2.Engine:
    """An engine for the catalogue, with the languages that it serves."""
    info = capabilities.info
    prices = [engine_pb2.EnginePrice(usd=str(price.usd), unit=price.unit) for price in info.prices or ()]
    return engine_pb2.Engine(
        name=info.name,
        model=info.model,
        version=info.version,
        languages=sorted(set(languages)),
        available=capabilities.available,
        missing=capabilities.missing,
        partly_missing=capabilities.partly_missing,
        shutdown_date=info.shutdown_date.isoformat() if info.shutdown_date else "",
        price=prices[0] if prices else None,
        prices=prices,
        paid=info.prices != FREE,
    )


def engine_use_to_proto(info: EngineInfo) -> engine_pb2.EngineUse:
    """An engine for the lineage of a result."""
    after = [engine_pb2.EngineFailure(engine=failure.engine, reason=failure.reason) for failure in info.after]
    return engine_pb2.EngineUse(**info.identity, after=after)
