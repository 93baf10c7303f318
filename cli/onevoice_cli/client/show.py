"""The display of `onevoice dub`: progress bars on a terminal, one line per change elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.progress_bar import ProgressBar
from rich.table import Table

from onevoice_cli.client.follow import JobView, Track

BETTER_WORDS = (
    "The words are a draft: Apertium translated them by rules, word by word. For better ones, fetch a neural model "
    "once (`onevoice models get opus-mt-en-es`; `onevoice models list` shows others), or use a language model on your "
    "own machine, or a key: see “Better words” in README.md."
)
_STYLE = {"completed": "green", "failed": "red", "cancelled": "yellow"}


class Show:
    """Everything a run of `dub` prints."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, str] = {}

    def say(self, text: str) -> None:
        """A plain line."""
        self._console.print(escape(text), soft_wrap=True, highlight=False)

    @contextmanager
    def transfer(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar in bytes; the value is called with how many more are done, from any thread."""
        if not self._console.is_terminal:
            self.say(f"{what} ({_size(total)})")
            yield _ignore
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(what, total=total)
            lock = threading.Lock()

            def advance(count: int) -> None:
                with lock:
                    progress.advance(task, count)

            yield advance

    @contextmanager
    def job(self) -> Iterator[Callable[[JobView], None]]:
        """Live state of a job; the value is called after every change."""
        if not self._console.is_terminal:
            yield self._changes
            return
        with Live(console=self._console, refresh_per_second=8) as live:
            elapsed = Progress(TextColumn("job"), TimeElapsedColumn(), console=self._console)
            elapsed.add_task("job")

            def update(view: JobView) -> None:
                live.update(_job_table(view, elapsed))

            yield update

    def _changes(self, view: JobView) -> None:
        for name, track in (("job", view.job), *view.languages.items()):
            line = f"{name}: {track.status}"
            if track.status == "processing":
                line = f"{name}: {track.stage or 'processing'}"
            if self._said.get(name) != line:
                self._said[name] = line
                self.say(f"{line} ({track.percent:.0f}%)" if track.status == "processing" else line)

    def estimate(self, found: Mapping[str, Any]) -> None:
        """Prints the price of a dub in credits, and its expected costs at the vendors."""
        self.say(f"{found['credits']} credits")
        self._console.print(costs_table(found.get("costs") or []))
        total = found.get("cost_usd")
        self.say(f"expected at list price: {f'${total}' if total else 'not known, as a price is missing'}")

    def results(self, files: Mapping[str, Path], report: Mapping[str, Any]) -> None:
        """Prints the measurements, the files, and the ways to better words where the words are a draft."""
        self._console.print(metrics_table(report))
        for path in sorted(files.values()):
            self.say(f"  {path}")
        for part in (report.get("source") or {}, *(report.get("languages") or [])):
            for found in part.get("fallbacks") or []:
                self.say(f"{part.get('language')}: {_fallback(found)}")
        if any("apertium" in _engines(language, "translate") for language in report.get("languages") or []):
            self.say(BETTER_WORDS)


def _fallback(found: Mapping[str, Any]) -> str:
    speakers = ", ".join(found.get("speakers") or [])
    heard = f"; {speakers} {'have' if ', ' in speakers else 'has'} another voice" if speakers else ""
    return f"engine {found['from']} stopped working ({found['reason']}), and {found['to']} took over{heard}."


def _ignore(_count: int) -> None:
    """Shows no progress where the output is not a terminal."""


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} bytes"


def _job_table(view: JobView, elapsed: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row(elapsed, *_cells(view.job))
    for language, track in sorted(view.languages.items()):
        table.add_row(f"[bold]{escape(language)}[/]", *_cells(track))
    return table


def _cells(track: Track) -> tuple[Any, ...]:
    word = track.stage if track.status == "processing" and track.stage else track.status
    lines = f"{track.lines} lines" if track.lines else ""
    style = _STYLE.get(track.status, "default")
    bar = ProgressBar(total=100, completed=track.percent, width=30)
    return bar, f"{track.percent:3.0f}%", f"[{style}]{escape(word)}[/]", lines, escape(track.problem)


def costs_table(costs: Sequence[Mapping[str, Any]]) -> Table:
    """The expected costs, one row for each stage, language and engine."""
    table = Table("stage", "language", "engine", "expected", "US dollars", show_edge=False)
    for cost in costs:
        units = ", ".join(f"{one['units']:.3f} × {one['unit']}" for one in cost["units"])
        engine = f"{cost['engine']} {cost['model']}".strip()
        cells = (cost["stage"], cost["language"] or "", engine, units, cost["usd"] or "not known")
        table.add_row(*(escape(str(cell)) for cell in cells))
    return table


_COLUMNS = (
    ("planned fit", "planned", "budget_fit", "{:.0%}"),
    ("planned speed p50", "planned", "speed_p50", "{:.2f}"),
    ("p95", "planned", "speed_p95", "{:.2f}"),
    ("max", "planned", "speed_max", "{:.2f}"),
    ("planned overruns", "planned", "overruns", "{:.0f}"),
    ("coverage", "measured", "coverage", "{:.0%}"),
    ("dropped", "measured", "dropped", "{:.0f}"),
    ("onset p95", "measured", "onset_error_p95_ms", "{:.0f} ms"),
    ("farthest from plan", "measured", "shift_max_ms", "{:.0f} ms"),
    ("overlap", "measured", "overlap_ms", "{:.0f} ms"),
    ("cut lines", "measured", "cut", "{:.0f}"),
    ("original left", "measured", "residue_db", "{:.0f} dB"),
    ("loudness", "measured", "loudness_lufs", "{:.1f} LUFS"),
    ("source", "measured", "source_loudness_lufs", "{:.1f} LUFS"),
    ("true peak", "measured", "true_peak_dbtp", "{:.1f} dBTP"),
    ("length", "measured", "length_delta_ms", "{:+.0f} ms"),
    ("captions too fast", "captions", "too_fast", "{:.0f}"),
)
"""Heading, group and name in `report.json`, format."""


def metrics_table(report: Mapping[str, Any]) -> Table:
    """The measured quality of each language, one column a language."""
    languages = report.get("languages") or []
    table = Table(title="Measured in the finished files", title_justify="left", show_edge=False)
    table.add_column("")
    for language in languages:
        table.add_column(str(language.get("language")), justify="right")
    for heading, group, name, form in _COLUMNS:
        values = [((language.get("metrics") or {}).get(group) or {}).get(name) for language in languages]
        table.add_row(heading, *("–" if value is None else form.format(value) for value in values))
    for stage in ("asr", "separation", "translate", "tts"):
        table.add_row(f"engine ({stage})", *(_engines(language, stage) for language in languages))
    return table


def _engines(language: Mapping[str, Any], stage: str) -> str:
    """The engines that served a stage, with their models."""
    used = (language.get("lineage") or {}).get(stage) or []
    names = [f"{one['name']} {one['model']}".strip() for one in (used if isinstance(used, list) else [used])]
    return escape(", ".join(names)) or "–"
