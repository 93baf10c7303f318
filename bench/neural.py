"""The job of the demo clip with neural engines, against one process that calls the same engines; memory by service."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import psutil

from onevoice_cli.sample import build_clip
from tests.e2e.stack import Stack, running_stack

from .jobs import busy_dub, dub, serial, upload
from .memory import MemoryWatch
from .table import Row

ROUNDS = 3


def run() -> list[Row]:
    """The rows of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = asyncio.run(build_clip(folder / "clip.mp4", 60.0)).path
        with running_stack(folder / "stack", "local") as stack:
            watches = {service: MemoryWatch(pid) for service, pid in _services(stack).items()}
            rows = _measure(stack, clip, folder)
            return rows + [_memory(service, watch.stop()) for service, watch in watches.items()]


def _measure(stack: Stack, clip: Path, folder: Path) -> list[Row]:
    with stack.client() as client:
        video = upload(client, clip)
        dub(client, video, ("es",))  # warms models, connections, code
        ones, serials = [], []
        for _ in range(ROUNDS):  # taken in turns, so that the machine's moods hit both alike
            ones.append(busy_dub(stack, client, video, ("es",)))
            serials.append(serial(clip, folder))
    one, alone = (min(timing.whole for timing in timings) for timings in (ones, serials))
    one_cpu, alone_cpu = (min(timing.cpu for timing in timings) for timings in (ones, serials))
    return [
        Row("neural job, against one serial process", one / alone, 0.65, f"{one:.2f} s, {alone:.2f} s"),
        Row("the same, processor time", one_cpu / alone_cpu, None, f"{one_cpu:.2f} s, {alone_cpu:.2f} s"),
    ]


def _services(stack: Stack) -> dict[str, int]:
    """The process of each service, by its name."""
    found = {}
    for process in psutil.Process(stack.process.pid).children(recursive=True):
        modules = [word for word in process.cmdline() if word.startswith("services.")]
        if modules and process.cmdline()[1:2] == ["-m"]:
            found[modules[0].removeprefix("services.")] = process.pid
    return found


def _memory(service: str, megabytes: float) -> Row:
    return Row(f"memory of {service} at its highest", megabytes, None, "MB, with the processes that it starts")
