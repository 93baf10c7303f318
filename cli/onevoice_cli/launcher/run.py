"""`onevoice up` on a terminal: a live table while starting, plain lines elsewhere and afterwards, an end on Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from onevoice_cli.launcher.launcher import Launcher, Running, UpOptions
from onevoice_cli.launcher.supervisor import Change, State

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STYLE = {State.HEALTHY: "green", State.RESTARTING: "yellow", State.STOPPED: "dim", State.STOPPING: "dim"}


@contextmanager
def _readers_may_leave() -> Iterator[None]:
    """The display must not decide what runs: the terminal may be closed, the pipe's reader gone (rich exits then)."""
    with suppress(OSError, SystemExit):
        yield


class UpDisplay:
    """A context manager; the launcher calls `changed` and `ready`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._changes: dict[str, Change] = {}
        self._live = Live(console=console, refresh_per_second=10, transient=False) if console.is_terminal else None

    def __enter__(self) -> UpDisplay:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _readers_may_leave():
            self._end_live()

    def changed(self, change: Change) -> None:
        """Shows that a process went into another state."""
        with _readers_may_leave():
            self._show(change)

    def _show(self, change: Change) -> None:
        self._changes[change.name] = change
        if change.state is State.STOPPING:
            self._end_live()
        if self._live is not None:
            self._live.update(self._table())
        if self._live is None or change.detail:
            self._line(change)

    def say(self, text: str) -> None:
        """A plain line."""
        with _readers_may_leave():
            self._console.print(text, soft_wrap=True)

    def ready(self, running: Running, *, aws: bool) -> None:
        """Prints the addresses."""
        with _readers_may_leave():
            self._ready(running, aws)

    def _ready(self, running: Running, aws: bool) -> None:
        self._end_live()
        say = self._console.print
        say(f"\nOneVoice runs at [bold]{running.url}[/] (started in {running.seconds:.1f} s)", soft_wrap=True)
        say(f"  API page     {running.url}/docs", soft_wrap=True)
        say(f"  address and API key for `onevoice dub`: {escape(str(running.client_file))}", soft_wrap=True)
        if aws:
            say("  S3 and SQS are a stand-in (moto) that keeps objects and messages in memory:")
            say("  they are gone when this command ends; accounts and job records in PostgreSQL stay.")
        say("Ctrl-C stops it.")

    def _line(self, change: Change) -> None:
        took = f" in {change.seconds:.1f} s" if change.seconds else ""
        detail = f": {change.name} {change.detail}" if change.detail else ""
        if change.state is State.STARTING or (change.state is State.STOPPING and not change.detail):
            return
        text = escape(f"{change.name:<13}{change.state}{took}{detail}")
        self._console.print(text, style=_STYLE.get(change.state), soft_wrap=True)
        for line in change.log_lines:
            self._console.print(f"    {escape(line)}", style="dim", soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for change in self._changes.values():
            busy = change.state in (State.STARTING, State.RESTARTING)
            mark = Spinner("dots") if busy else "[green]✓[/]"
            took = f"{change.seconds:.1f} s" if change.seconds else ""
            table.add_row(mark, change.name, f"[{_STYLE.get(change.state, 'default')}]{change.state}[/]", took)
        return table

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


async def up(options: UpOptions, console: Console) -> None:
    """Runs until Ctrl-C, SIGTERM or SIGHUP; raises what the launcher raises."""
    with UpDisplay(console) as display:

        def ready(running: Running) -> None:
            display.ready(running, aws=options.aws)

        launcher = Launcher(options, display.changed, ready)
        run = asyncio.create_task(launcher.run())
        stopping = False

        def stop() -> None:
            nonlocal stopping
            if stopping:
                launcher.kill_all()
                return
            stopping = True
            run.cancel()
            display.say("\nStopping; once more kills what still runs.")

        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop)
        try:
            await run
        except asyncio.CancelledError:
            if not stopping:
                raise
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
