"""`onevoice status`: the health of a deployment and its latest jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from onevoice_cli.client.api import NO_RETRY, ApiClient
from onevoice_cli.client.settings import ClientSettings

_STYLE = {"ok": "green", "healthy": "green", "completed": "green", "failed": "red", "degraded": "yellow", "down": "red"}
_GOOD = frozenset({"ok", "healthy", "up", "serving", "true"})


async def status(settings: ClientSettings, console: Console, limit: int = 10) -> bool:
    """Prints both tables. True if the deployment is healthy."""
    async with ApiClient(settings) as api:
        health = await api.get("monitoring/health", retry=NO_RETRY)
        jobs = await api.get("jobs", retry=NO_RETRY, limit=limit)
    console.print(f"[bold]{escape(settings.url)}[/] is {_coloured(str(health.get('status', 'unknown')))}")
    console.print(health_table(health))
    console.print(jobs_table(jobs.get("items") or []))
    return str(health.get("status", "")).lower() in _GOOD


def health_table(health: Mapping[str, Any]) -> Table:
    """One row a part of the deployment."""
    table = Table(show_edge=False)
    table.add_column("part")
    table.add_column("state")
    table.add_column("facts")
    for name, value in _parts(health):
        state, facts = _state(value)
        table.add_row(escape(name), _coloured(state), escape(facts))
    return table


def _parts(health: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The parts, where groups of them (`stages`, `checks` …) are unfolded."""
    parts: list[tuple[str, Any]] = []
    for name, value in health.items():
        if name == "status":
            continue
        grouped = isinstance(value, Mapping) and value and all(isinstance(one, Mapping) for one in value.values())
        parts += list(value.items()) if grouped else [(name, value)]
    return parts


def _state(value: Any) -> tuple[str, str]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        alive = sum(1 for one in value if isinstance(one, Mapping) and one.get("alive", True))
        return ("ok" if alive else "down"), f"{alive} alive, {len(value) - alive} gone"
    if not isinstance(value, Mapping):
        return "", _fact(value)
    facts = [f"{key} {_fact(fact)}" for key, fact in value.items() if key not in ("status", "ok") and fact is not None]
    state = value.get("status", value.get("ok", ""))
    return {True: "ok", False: "failed"}.get(state, str(state)), ", ".join(facts)


def _fact(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def jobs_table(jobs: list[Mapping[str, Any]]) -> Table:
    """One row a job, as the API lists them."""
    table = Table(show_edge=False, title="Latest jobs", title_justify="left")
    for heading in ("job", "status", "stage", "progress", "languages", "created"):
        table.add_column(heading, no_wrap=heading == "job")
    for job in jobs:
        table.add_row(
            escape(str(job.get("id"))),
            _coloured(str(job.get("status"))),
            escape(str(job.get("stage") or "")),
            f"{float(job.get('progress') or 0):.0f}%",
            escape(", ".join(job.get("target_languages") or [])),
            escape(str(job.get("created_at") or "")[:19].replace("T", " ")),
        )
    return table


def _coloured(word: str) -> str:
    return f"[{_STYLE.get(word, 'default')}]{escape(word)}[/]"
