"""Notifications reach every subscriber, also after the connection was lost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from onevoice_kit import db
from onevoice_kit.db.listener import LOOK, Listener


@pytest.fixture
async def listener(postgres_url: str) -> AsyncIterator[Listener]:
    """A listener on the test's database."""
    listener = Listener(postgres_url, max_pending=5)
    yield listener
    await listener.close()


async def _notify(engine, channel: str, *payloads: str) -> None:
    async with db.transaction(engine) as connection:
        for payload in payloads:
            await connection.execute(
                text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload}
            )


async def test_the_first_payload_marks_the_begin_of_listening(listener: Listener, engine):
    with listener.subscribe("jobs") as subscription:
        assert await subscription.get(20) == LOOK
        await _notify(engine, "jobs", "one", "two")
        assert [await subscription.get(20), await subscription.get(20)] == ["one", "two"]


async def test_every_subscriber_of_a_channel_receives_it_and_no_other(listener: Listener, engine):
    with listener.subscribe("a") as first, listener.subscribe("a") as second, listener.subscribe("b") as other:
        for subscription in (first, second, other):
            assert await subscription.get(20) == LOOK
        await _notify(engine, "a", "hello")
        await _notify(engine, "b", "bye")
        assert [await first.get(20), await second.get(20), await other.get(20)] == ["hello", "hello", "bye"]


async def test_one_connection_serves_all_channels(listener: Listener, engine):
    with listener.subscribe("a") as first, listener.subscribe("b") as second:
        await first.get(20)
        await second.get(20)
        async with db.transaction(engine) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            assert (await connection.execute(text(query))).scalar() == 1


async def test_a_subscriber_may_ask_for_one_payload_only(listener: Listener, engine):
    with listener.subscribe("jobs", only="j2") as subscription:
        assert await subscription.get(20) == LOOK
        await _notify(engine, "jobs", "j1", "j2", "j3")
        assert await subscription.get(20) == "j2"
        assert await subscription.get(0) is None


async def test_equal_payloads_that_wait_become_one(listener: Listener, engine):
    with listener.subscribe("jobs") as subscription, listener.subscribe("jobs") as marker:
        await subscription.get(20)
        await marker.get(20)
        for payload in ("same", "same", "other"):
            await _notify(engine, "jobs", payload)
        while await marker.get(20) != "other":
            pass  # until all of them have arrived
        assert [await subscription.get(20), await subscription.get(20)] == ["same", "other"]
        assert await subscription.get(0) is None


async def test_a_subscriber_that_is_too_slow_is_made_to_look(listener: Listener, engine):
    with listener.subscribe("jobs") as slow, listener.subscribe("jobs", only="5") as marker:
        await slow.get(20)
        await marker.get(20)
        await _notify(engine, "jobs", *map(str, range(6)))
        assert await marker.get(20) == "5"
        assert await slow.get(20) == LOOK
        assert await slow.get(0) is None


async def test_a_lost_connection_is_made_again_and_subscribers_look(listener: Listener, engine):
    with listener.subscribe("jobs") as subscription:
        assert await subscription.get(20) == LOOK
        async with db.transaction(engine) as connection:
            victims = "FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            await connection.execute(text(f"SELECT pg_terminate_backend(pid) {victims}"))
        assert await subscription.get(20) == LOOK
        await _notify(engine, "jobs", "after")
        assert await subscription.get(20) == "after"


async def test_iterating_listens_for_as_long_as_one_likes(listener: Listener, engine):
    heard = []
    async for payload in listener.listen("jobs"):
        heard.append(payload)
        if payload == LOOK:
            await _notify(engine, "jobs", "one")
        if payload == "one":
            break
    assert heard == [LOOK, "one"]


async def test_a_listener_without_a_server_keeps_trying_until_closed(tmp_path):
    listener = Listener(f"postgresql://postgres@/postgres?host={tmp_path}")
    with listener.subscribe("jobs") as subscription:
        assert await subscription.get(0.3) is None
    await listener.close()
