"""Server-sent events (WHATWG HTML, section 9.2) with JSON data."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from onevoice_kit.errors import Internal

MAX_EVENT_BYTES = 1 << 20
"""Of a line, and of the data of an event in characters."""
_END = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""A carriage return that ends a chunk may be half of a pair: it waits for the next chunk."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    id: str
    """The last id of the stream so far, as the specification defines it; empty before the first."""
    type: str
    data: Mapping[str, Any]
    """The JSON object; empty where the data is not one."""


async def split_lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """Lines without their ends. Not `str.splitlines`, which also splits at characters that JSON may hold."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = _END.split(rest + chunk)
        for line in lines:
            yield line.decode("utf-8", "replace")
        if len(rest) > MAX_EVENT_BYTES:
            raise _too_large()
    if rest.endswith(b"\r"):
        yield rest[:-1].decode("utf-8", "replace")


async def parse(lines: AsyncIterable[str]) -> AsyncIterator[Event]:
    """Events from lines. An event that the end of the stream cut off is not delivered."""
    last_id, kind, data, size = "", "", list[str](), 0
    async for line in lines:
        if not line:
            if data:
                yield Event(last_id, kind or "message", _object("\n".join(data)))
            kind, data, size = "", [], 0
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
            size += len(value) + 1
            if size > MAX_EVENT_BYTES:
                raise _too_large()
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last_id = value


def _too_large() -> Internal:
    return Internal("The server sent an event that is too large.", reason="event_too_large")


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
