"""Connections to a database that has gone silent: nothing waits for ever, and nothing waits twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_kit.db import Listener, create_engine, transaction
from onevoice_kit.errors import Unavailable
from onevoice_kit.settings import DatabaseSettings
from onevoice_kit.testing.tcp_proxy import TcpProxy
from onevoice_kit.testing.waiting import eventually
from tests.support.rig import through

POOL = 3


@pytest.fixture
def address(database_url: str, database_proxy: TcpProxy) -> str:
    return through(database_url, database_proxy.port)


@pytest.fixture
async def engine(address: str) -> AsyncIterator[AsyncEngine]:
    settings = DatabaseSettings(
        database_url=SecretStr(address),
        database_pool_size=POOL,
        database_connect_timeout_s=2.0,
        database_answer_timeout_s=2.0,
    )
    engine = create_engine(settings)
    yield engine
    await engine.dispose()


async def query(engine: AsyncEngine, statement: str = "SELECT 1") -> object:
    async with transaction(engine) as connection:
        return (await connection.execute(text(statement))).scalar()


async def fill(engine: AsyncEngine) -> None:
    """Opens every connection of the pool."""
    together = asyncio.Barrier(POOL)

    async def one() -> None:
        async with transaction(engine) as connection:
            await connection.execute(text("SELECT 1"))
            await together.wait()

    await asyncio.gather(*(one() for _ in range(POOL)))


async def idle(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full pool whose connections must be asked whether they live."""
    await fill(engine)
    monkeypatch.setattr("onevoice_kit.db.connections._TRUSTED_S", -1.0)


async def test_a_statement_that_is_never_answered_makes_the_database_unavailable(
    engine: AsyncEngine, database_proxy: TcpProxy
) -> None:
    async def disturbed() -> None:
        async with transaction(engine) as connection:
            await connection.execute(text("SELECT 1"))
            database_proxy.half_open()
            await connection.execute(text("SELECT 2"))

    with pytest.raises(Unavailable) as caught:
        await disturbed()
    assert caught.value.reason == "database_unavailable"


async def test_idle_connections_that_died_silently_are_replaced_unnoticed(
    engine: AsyncEngine, database_proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    await idle(engine, monkeypatch)
    database_proxy.half_open()
    database_proxy.heal()
    asked = database_proxy.counts["connection"]
    assert [await query(engine, f"SELECT {n}") for n in range(2 * POOL)] == list(range(2 * POOL))
    assert database_proxy.counts["connection"] > asked


async def test_a_statement_given_up_by_its_caller_ends_although_the_database_is_silent(
    engine: AsyncEngine, database_proxy: TcpProxy
) -> None:
    async with transaction(engine) as connection:
        backend = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar()
    task = asyncio.create_task(query(engine, "SELECT pg_sleep(30)"))
    hold = database_proxy.hold(b"pg_sleep")
    await eventually(hold.caught.is_set)
    database_proxy.half_open()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    database_proxy.heal()
    assert await query(engine, "SELECT pg_backend_pid()") != backend


@pytest.mark.parametrize("code", ["25006", "53100", "57P05", "58030"])
async def test_what_only_this_server_cannot_do_makes_the_database_unavailable(engine: AsyncEngine, code: str) -> None:
    with pytest.raises(Unavailable):
        await query(engine, f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$")


@pytest.mark.parametrize("fault", [TcpProxy.half_open, TcpProxy.refuse, TcpProxy.stall])
async def test_a_pool_is_closed_although_the_database_is_out_of_reach(
    fault: Callable[[TcpProxy], None], engine: AsyncEngine, database_proxy: TcpProxy
) -> None:
    await fill(engine)
    fault(database_proxy)
    await engine.dispose()
    with pytest.raises(Unavailable):
        await query(engine)


async def test_a_listener_receives_again_after_its_connection_died_silently(
    address: str, engine: AsyncEngine, database_proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onevoice_kit.db.listener.CONNECT_TIMEOUT_S", 0.3)
    listener = Listener(address, probe_s=0.2)
    with listener.subscribe("news") as subscription:
        assert await subscription.get(10) == ""
        database_proxy.half_open()
        database_proxy.heal()
        assert await subscription.get(30) == ""  # look for yourself: it was deaf for a while
        await query(engine, "SELECT pg_notify('news', 'paper')")
        assert await subscription.get(10) == "paper"
    await listener.close()
