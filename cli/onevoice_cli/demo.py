"""`make demo`: builds a one-minute sample, starts everything, dubs it, shows the measurements."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from onevoice_cli.client import settings as client_settings
from onevoice_cli.client.dub import DubRequest, DubResult, dub
from onevoice_cli.client.show import Show
from onevoice_cli.launcher.launcher import Launcher, Running, UpOptions
from onevoice_cli.launcher.run import UpDisplay
from onevoice_cli.main import guarded, interruptible, output
from onevoice_cli.sample import Clip, build_clip


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of the demo."""

    folder: Path
    seconds: float
    languages: Sequence[str]
    aws: bool


async def demo(options: DemoOptions, console: Console) -> DubResult:
    """The whole demo; raises what building, starting or dubbing raises."""
    folder = options.folder.absolute()
    clip = await _sample(folder / "sample.mp4", options.seconds, console)
    up = UpOptions(folder / "state", port=0, aws=options.aws)
    async with running(up, console) as deployment:
        settings = client_settings.load(data=deployment.client_file.parent, env={})
        request = DubRequest(file=clip.path, targets=options.languages, out=folder / "dubbed", source="en")
        began = time.monotonic()
        result = await dub(settings, request, Show(console))
        console.print(f"\n{options.seconds:.0f} s of video dubbed in {time.monotonic() - began:.1f} s.")
        return result


async def _sample(path: Path, seconds: float, console: Console) -> Clip:
    console.print(f"Building {seconds:.0f} s of sample video: real speech (LibriVox), music, a picture.")
    clip = await build_clip(path, seconds)
    console.print(f"  {clip.path}: {len(clip.lines)} spoken lines", soft_wrap=True)
    return clip


@asynccontextmanager
async def running(options: UpOptions, console: Console) -> AsyncIterator[Running]:
    """A deployment on this machine for the length of the context."""
    ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    with UpDisplay(console) as display:
        launcher = asyncio.create_task(Launcher(options, display.changed, ready.set_result).run())
        try:
            waits: list[asyncio.Future[Any]] = [launcher, ready]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if launcher.done():
                await launcher  # raises why it could not start
            display.ready(ready.result(), aws=options.aws)
            yield ready.result()
        finally:
            launcher.cancel()
            with suppress(asyncio.CancelledError):  # that is how it ends
                await launcher


def main() -> None:
    """`python -m onevoice_cli.demo`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("demo-output"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--to", default="es,ca")
    parser.add_argument("--aws", action="store_true", help="S3 and SQS on a stand-in instead of folder and outbox")
    given = parser.parse_args()
    options = DemoOptions(given.folder, given.seconds, given.to.split(","), given.aws)
    result = interruptible(demo(options, output()))
    sys.exit(1 if result.failed_languages else 0)


if __name__ == "__main__":
    guarded(main)
