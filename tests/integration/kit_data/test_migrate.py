"""Histories of migrations, one per schema."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from onevoice_kit import db

FIRST = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "001", None
def upgrade():
    op.create_table("thing", sa.Column("id", sa.Integer, primary_key=True), schema="{schema}")
"""
SECOND = """
from alembic import op
revision, down_revision = "002", "001"
def upgrade():
    op.execute("INSERT INTO {schema}.thing VALUES (7)")
"""
BROKEN = """
from alembic import op
revision, down_revision = "003", "002"
def upgrade():
    op.execute("INSERT INTO {schema}.thing VALUES (8)")
    op.execute("SELECT 1 / 0")
"""


def _history(folder: Path, schema: str, *scripts: str) -> Path:
    versions = folder / schema / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    for number, script in enumerate(scripts, start=1):
        (versions / f"{number:03}_step.py").write_text(script.format(schema=schema))
    return folder / schema


async def _things(engine, schema: str) -> list[int]:
    async with db.transaction(engine) as connection:
        return list((await connection.execute(text(f"SELECT id FROM {schema}.thing"))).scalars())


async def test_a_history_is_run_to_its_head_once(postgres_url: str, engine, tmp_path: Path):
    history = _history(tmp_path, "shop", FIRST, SECOND)
    assert await db.migrate(postgres_url, history, "shop") == "002"
    assert await db.migrate(postgres_url, history, "shop") == "002"
    assert await _things(engine, "shop") == [7]


async def test_new_steps_are_added_to_what_is_there(postgres_url: str, engine, tmp_path: Path):
    assert await db.migrate(postgres_url, _history(tmp_path, "shop", FIRST), "shop") == "001"
    assert await db.migrate(postgres_url, _history(tmp_path, "shop", FIRST, SECOND), "shop") == "002"
    assert await _things(engine, "shop") == [7]


async def test_schemas_have_histories_of_their_own(postgres_url: str, engine, tmp_path: Path):
    await db.migrate(postgres_url, _history(tmp_path, "shop", FIRST, SECOND), "shop")
    await db.migrate(postgres_url, _history(tmp_path, "office", FIRST), "office")
    assert await _things(engine, "shop") == [7]
    assert await _things(engine, "office") == []


async def test_many_processes_may_migrate_at_once(postgres_url: str, engine, tmp_path: Path):
    history = _history(tmp_path, "shop", FIRST, SECOND)
    results = await asyncio.gather(*(asyncio.to_thread(_migrate, postgres_url, history) for _ in range(4)))
    assert results == ["002"] * 4
    assert await _things(engine, "shop") == [7]


async def test_a_step_that_fails_takes_its_whole_run_back(postgres_url: str, engine, tmp_path: Path):
    await db.migrate(postgres_url, _history(tmp_path, "shop", FIRST), "shop")
    with pytest.raises(DBAPIError):
        await db.migrate(postgres_url, _history(tmp_path, "shop", FIRST, SECOND, BROKEN), "shop")
    assert await _things(engine, "shop") == []
    (tmp_path / "shop/versions/003_step.py").unlink()
    assert await db.migrate(postgres_url, tmp_path / "shop", "shop") == "002"


def _migrate(url: str, history: Path) -> str | None:
    return asyncio.run(db.migrate(url, history, "shop"))
