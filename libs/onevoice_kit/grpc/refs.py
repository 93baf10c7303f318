"""Object references to and from the wire."""

from __future__ import annotations

from onevoice.common.v1 import media_pb2
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
