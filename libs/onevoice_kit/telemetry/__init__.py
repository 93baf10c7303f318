"""Logs, metrics and traces: one setup, one list of names, all tied by the trace id."""

from __future__ import annotations

from onevoice_kit.telemetry.logging import get_logger
from onevoice_kit.telemetry.setup import setup

__all__ = ["get_logger", "setup"]
