"""The migrations make the schema of the models."""

from __future__ import annotations

from onevoice_kit.db import migrate
from services.billing.migrations import migrations_path
from services.billing.models import SCHEMA, metadata
from tests.support.databases import differences, unmodelled_checks


async def test_the_migrated_schema_is_that_of_the_models(engine):
    assert await differences(engine, metadata, SCHEMA) == []
    assert await unmodelled_checks(engine, metadata, SCHEMA) == set()


async def test_migrating_again_changes_nothing(database_url):
    assert await migrate(database_url, migrations_path(), SCHEMA) == "0003"
