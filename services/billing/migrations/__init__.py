"""The history of the schema `billing`; it goes forward only."""

from __future__ import annotations

from pathlib import Path


def migrations_path() -> Path:
    """The folder that `onevoice_kit.db.migrate` takes."""
    return Path(__file__).parent
