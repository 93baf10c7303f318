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


async def migrate_all(database_url: str) -> dict[str, str]:
    """Upgrades every schema to its newest revision; returns the revision of each."""
    from onevoice_kit.db import migrate

    revisions = {}
    for schema, package in HISTORIES:
        path = cast(Callable[[], Path], importlib.import_module(package).migrations_path)()
        revisions[schema] = await migrate(database_url, path, schema) or "none"
    return revisions
