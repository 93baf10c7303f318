"""The migrations make the schema of the models, besides columns and checks that the last release needs."""

from __future__ import annotations

from onevoice_jobs.migrations import migrations_path
from onevoice_jobs.models import SCHEMA, metadata
from onevoice_kit.db import migrate
from tests.support.databases import differences, unmodelled_checks

_KEPT = {"steps.status", "steps.error", "steps.started_at"}
"""Columns that the last release still writes; the next migration drops them, and their checks."""
_KEPT_CHECKS = {"steps_status_check", "steps_output_check"}


async def test_the_migrated_schema_is_that_of_the_models(engine):
    assert await differences(engine, metadata, SCHEMA, _KEPT) == []
    assert await unmodelled_checks(engine, metadata, SCHEMA) == _KEPT_CHECKS


async def test_migrating_again_changes_nothing(database_url):
    first = await migrate(database_url, migrations_path(), SCHEMA)
    assert await migrate(database_url, migrations_path(), SCHEMA) == first == "0004"
