"""Transactions end in the kit's errors, and survive a server that drops connections."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from onevoice_kit import db
from onevoice_kit.errors import Busy, DeadlineExceeded, Unavailable
from onevoice_kit.settings import DatabaseSettings
from onevoice_kit.testing.waiting import eventually


async def _scalar(engine, statement: str):
    async with db.transaction(engine) as connection:
        return (await connection.execute(text(statement))).scalar()


async def test_a_transaction_commits_at_its_end_and_rolls_back_on_an_error(engine):
    await _scalar(engine, "SELECT 1")
    async with db.transaction(engine) as connection:
        await connection.execute(text("CREATE TABLE thing (n int PRIMARY KEY)"))
        await connection.execute(text("INSERT INTO thing VALUES (1)"))
    with pytest.raises(IntegrityError):
        async with db.transaction(engine) as connection:
            await connection.execute(text("INSERT INTO thing VALUES (2), (1)"))
    assert await _scalar(engine, "SELECT count(*) FROM thing") == 1


async def test_a_statement_that_takes_too_long_is_stopped(postgres_url: str):
    engine = db.create_engine(DatabaseSettings(database_url=SecretStr(postgres_url), database_statement_timeout_ms=50))
    with pytest.raises(DeadlineExceeded) as caught:
        await _scalar(engine, "SELECT pg_sleep(30)")
    await engine.dispose()
    assert caught.value.reason == "database_timeout"


async def test_a_server_that_is_not_there_is_unavailable(tmp_path):
    for url in (f"postgresql://postgres@/postgres?host={tmp_path}", "postgresql://postgres@127.0.0.1:1/postgres"):
        engine = db.create_engine(DatabaseSettings(database_url=SecretStr(url)))
        with pytest.raises(Unavailable) as caught:
            await _scalar(engine, "SELECT 1")
        assert caught.value.reason == "database_unavailable"
        await engine.dispose()


async def test_a_database_that_does_not_exist_is_unavailable(postgres_url: str):
    engine = db.create_engine(DatabaseSettings(database_url=SecretStr(postgres_url.replace("/test_", "/gone_"))))
    with pytest.raises(Unavailable):
        await _scalar(engine, "SELECT 1")
    await engine.dispose()


async def test_a_connection_dropped_while_idle_is_replaced_unnoticed(engine, monkeypatch):
    monkeypatch.setattr("onevoice_kit.db.connections._TRUSTED_S", -1.0)
    await _scalar(engine, "SELECT 1")
    other = db.create_engine(DatabaseSettings(database_url=SecretStr(engine.url.render_as_string(hide_password=False))))
    await _scalar(
        other,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    await eventually(lambda: _is_alone(other))
    await other.dispose()
    assert await _scalar(engine, "SELECT 2") == 2


async def _is_alone(engine) -> bool:
    """True once the other connections to the database have ended: the signal is sent before they do."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return bool(await _scalar(engine, others) == 0)


async def test_a_connection_dropped_within_a_transaction_makes_it_unavailable(engine):
    with pytest.raises(Unavailable):
        await _scalar(engine, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert await _scalar(engine, "SELECT 2") == 2


async def test_a_pool_that_stays_empty_is_busy(postgres_url: str, monkeypatch):
    monkeypatch.setattr("onevoice_kit.db.engine.POOL_TIMEOUT_S", 0.05)
    engine = db.create_engine(DatabaseSettings(database_url=SecretStr(postgres_url), database_pool_size=1))
    async with db.transaction(engine):
        with pytest.raises(Busy) as caught:
            await _scalar(engine, "SELECT 1")
    await engine.dispose()
    assert caught.value.reason == "database_busy"


async def test_sessions_keep_their_objects_after_a_commit(engine):
    async with db.session_factory(engine)() as session, session.begin():
        assert (await session.execute(text("SELECT 3"))).scalar() == 3


async def test_many_transactions_share_a_small_pool(postgres_url: str):
    engine = db.create_engine(DatabaseSettings(database_url=SecretStr(postgres_url), database_pool_size=2))
    results = await asyncio.gather(*(_scalar(engine, f"SELECT {n}") for n in range(20)))
    await engine.dispose()
    assert results == list(range(20))


async def test_a_deadlock_is_busy_for_the_one_that_loses(engine):
    async with db.transaction(engine) as connection:
        await connection.execute(text("CREATE TABLE pair AS SELECT n FROM generate_series(1, 2) AS n"))
    both_locked = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with db.transaction(engine) as connection:
            await connection.execute(text(f"UPDATE pair SET n = n WHERE n = {first}"))
            await both_locked.wait()
            await connection.execute(text(f"UPDATE pair SET n = n WHERE n = {second}"))

    outcomes = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    (loser,) = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(loser, Busy)
    assert loser.reason == "database_busy"
