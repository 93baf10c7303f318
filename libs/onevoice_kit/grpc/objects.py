"""Binds the objects that a request names to this deployment's storage and to the caller's scope (ADR 016)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.message import Message

from onevoice.common.v1.media_pb2 import ObjectRef
from onevoice_kit.errors import Forbidden
from onevoice_kit.grpc.layers import ServedCall
from onevoice_kit.storage.base import Storage, check_key

OUT_OF_SCOPE = "object_out_of_scope"
_PREFIX_FIELD = "output_prefix"
"""By convention of our contracts, the field with the key prefix under which results are stored."""


class Objects:
    """
    A layer that refuses requests which name objects of another owner.

    An owner is the first `depth` segments of a key. Every reference and output prefix of a request must be a plain
    key of `storage` and have the same owner: the scope of the call, which its caller sets from what it knows.
    """

    def __init__(self, storage: Storage, depth: int) -> None:
        self._storage = storage
        self._depth = depth

    @asynccontextmanager
    async def __call__(self, call: ServedCall) -> AsyncIterator[None]:
        """
        Raises `InvalidInput` (`foreign_uri`, `invalid_key`), `Forbidden` (`object_out_of_scope`).

        Where callers are not identified a call may have no scope; its objects must be of one owner even so.
        """
        owners = {self._owner(key) for key in self._keys(call.request)}
        scope = call.calling.scope
        if owners and (scope or call.callers):
            owners.add(scope)
        if len(owners) > 1:
            raise Forbidden("The request names objects that are not its caller's.", reason=OUT_OF_SCOPE)
        yield

    def _keys(self, request: Message) -> Iterator[str]:
        for part in _parts(request):
            if isinstance(part, str):
                yield check_key(part)
            elif part.uri:  # The converter refuses an empty one.
                yield self._storage.key(part.uri)

    def _owner(self, key: str) -> str:
        return "/".join(key.split("/")[: self._depth])


def _parts(message: Message) -> Iterator[ObjectRef | str]:
    """Every reference and output prefix in a message, however deep."""
    if isinstance(message, ObjectRef):
        yield message
        return
    for field, value in message.ListFields():
        if field.name == _PREFIX_FIELD:
            yield value
        elif field.message_type is not None:
            for inner in _messages(value):
                yield from _parts(inner)


def _messages(value: Any) -> Iterator[Message]:
    """The messages in a field that is single, repeated, or a map."""
    values = [value] if isinstance(value, Message) else value.values() if hasattr(value, "values") else value
    return (inner for inner in values if isinstance(inner, Message))
