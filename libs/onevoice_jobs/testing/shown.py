"""What steps show, for tests that need no step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onevoice_jobs.records import CompletedLanguage, Shown


def completed(language: str, metrics: Mapping[str, Any] | None = None) -> Shown:
    """A language that has ended well."""
    return Shown(completed=(CompletedLanguage(language, metrics or {}),))
