"""Runs a launcher until Ctrl-C, SIGTERM or SIGHUP."""

from __future__ import annotations

import asyncio
import signal

from rich.console import Console

from onevoice_cli.launcher.display import UpDisplay
from onevoice_cli.launcher.launcher import Launcher, Running, UpOptions

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def up(options: UpOptions, console: Console) -> None:
    """Returns after a clean stop that was asked for; raises what the launcher raises."""
    with UpDisplay(console) as display:

        def ready(running: Running) -> None:
            display.ready(running, aws=options.aws)

        launcher = Launcher(options, display.changed, ready)
        run = asyncio.create_task(launcher.run())
        asked = False

        def stop() -> None:
            nonlocal asked
            if asked:
                launcher.kill_all()
                return
            asked = True
            run.cancel()
            display.say("\nStopping; once more kills what still runs.")

        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop)
        try:
            await run
        except asyncio.CancelledError:
            if not asked:
                raise
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
