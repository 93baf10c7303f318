"""`onevoice migrate`: brings the three schemas of one database up to date."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

HISTORIES = (
    ("jobs", "onevoice_jobs.migrations"),
    ("gateway", "services.gateway.migrations"),
    ("billing", "services.billing.migrations"),
)
"""Schema and the package that holds its history, by name: the command line imports no service code."""


def import_histories() -> dict[str, Path]:
    """Schema to folder; importing it all takes half a second the first time."""
    importlib.import_module("onevoice_kit.db.migrations")
    return {
        schema: cast(Callable[[], Path], importlib.import_module(package).migrations_path)()
        for schema, package in HISTORIES
    }


async def migrate_all(database_url: str) -> dict[str, str]:
    """Upgrades every schema to its newest revision; returns the revision of each."""
    from onevoice_kit.db import migrate

    return {
        schema: await migrate(database_url, folder, schema) or "none" for schema, folder in import_histories().items()
    }
