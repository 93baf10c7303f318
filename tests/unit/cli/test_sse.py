"""Reading server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from onevoice_cli.client.sse import MAX_EVENT_BYTES, Event, parse, split_lines
from onevoice_kit.errors import Internal


async def events(*chunks: bytes) -> list[Event]:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [event async for event in parse(split_lines(stream()))]


async def test_an_event_has_id_type_and_json_data():
    assert await events(b'id: 7\nevent: job.progress\ndata: {"percent": 5}\n\n') == [
        Event("7", "job.progress", {"percent": 5})
    ]


async def test_the_id_stays_for_later_events_and_the_type_does_not():
    first, second = await events(b"id: 7\nevent: a\ndata: {}\n\ndata: {}\n\n")
    assert (first.id, first.type) == ("7", "a")
    assert (second.id, second.type) == ("7", "message")


async def test_every_line_end_is_understood_even_when_a_chunk_cuts_it():
    assert [event.type for event in await events(b"event: a\r", b"\ndata: {}\r\n\r", b"\nevent: b\rdata: {}\r\r")] == [
        "a",
        "b",
    ]


async def test_several_data_lines_are_one_text():
    assert (await events(b'data: {"a":\ndata: 1}\n\n'))[0].data == {"a": 1}


async def test_comments_and_empty_events_are_skipped():
    assert await events(b": ping\n\nevent: lonely\n\n") == []


async def test_an_event_that_was_cut_off_is_not_delivered():
    assert await events(b"data: {}\n\ndata: {") == [Event("", "message", {})]


async def test_a_line_separator_inside_json_does_not_split_it():
    text = '{"text": "a\u2028b\u0085c"}'
    assert (await events(f"data: {text}\n\n".encode()))[0].data == {"text": "a\u2028b\u0085c"}


async def test_a_character_cut_by_a_chunk_comes_through():
    data = 'data: {"text": "ñ"}\n\n'.encode()
    cut = data.index("ñ".encode()) + 1
    assert (await events(data[:cut], data[cut:]))[0].data == {"text": "ñ"}


@pytest.mark.parametrize("piece", [b"x" * 70_000, b"data:" + b"x" * 70_000 + b"\n", b"data:\n" * 70_000])
async def test_an_event_that_never_ends_is_given_up(piece):
    with pytest.raises(Internal, match="too large"):
        await events(*[piece] * (MAX_EVENT_BYTES // 70_000 + 2))
