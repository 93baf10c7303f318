"""Whole jobs on a running deployment, against one process that calls the same engines one after another."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil

from onevoice_cli.sample import build_clip
from tests.e2e.stack import Stack, running_stack

from .table import Row

LANGUAGES = ("es", "ca", "ca-valencia", "es-419")
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of a job from its submission, seconds."""

    first_line: float
    whole: float
    cpu: float = 0.0
    """Processor time of all processes of the deployment, seconds."""


def run() -> list[Row]:
    """The rows of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = asyncio.run(build_clip(folder / "clip.mp4", 60.0)).path
        long_clip = asyncio.run(build_clip(folder / "long.mp4", 300.0, size=(640, 360))).path
        with running_stack(folder / "stack", "local") as stack:
            return _measure(stack, clip, long_clip, folder)


def _measure(stack: Stack, clip: Path, long_clip: Path, folder: Path) -> list[Row]:
    with stack.client() as client:
        video, long_video = upload(client, clip), upload(client, long_clip)
        dub(client, video, ("es",))  # warms models, connections, code
        ones, serials, fours = [], [], []
        for _ in range(ROUNDS):  # taken in turns, so that the machine's moods hit all alike
            ones.append(busy_dub(stack, client, video, ("es",)))
            serials.append(serial(clip, folder))
            fours.append(busy_dub(stack, client, video, LANGUAGES))
        long = [dub(client, long_video, ("es",)) for _ in range(2)]
    one, alone, four = (min(timing.whole for timing in timings) for timings in (ones, serials, fours))
    one_cpu, alone_cpu, four_cpu = (min(timing.cpu for timing in timings) for timings in (ones, serials, fours))
    first = min(long, key=lambda timing: timing.first_line / timing.whole)
    return [
        Row("job of the demo clip, against one serial process", one / alone, 0.65, f"{one:.2f} s, {alone:.2f} s"),
        Row("four languages, against one", four / one, 1.6, f"{four:.2f} s, {one:.2f} s"),
        # Other work on the machine hardly changes these.
        Row("the same job, processor time", one_cpu / alone_cpu, None, f"{one_cpu:.2f} s, {alone_cpu:.2f} s"),
        Row("the same languages, processor time", four_cpu / one_cpu, None, f"{four_cpu:.2f} s, {one_cpu:.2f} s"),
        Row(
            "first line ready, against the whole job (5 min)",
            first.first_line / first.whole,
            0.2,
            f"{first.first_line:.2f} s, {first.whole:.2f} s",
        ),
    ]


def busy_dub(stack: Stack, client: httpx.Client, video: str, languages: Sequence[str]) -> Timing:
    """A dub with the processor time that it took, that of the tools that have ended included."""
    before = _cpu_s(stack.process.pid)
    timing = dub(client, video, languages)
    return replace(timing, cpu=_cpu_s(stack.process.pid) - before)


def _cpu_s(pid: int) -> float:
    """Of a process and its descendants; what has ended counts with its parent."""
    total, process = 0.0, psutil.Process(pid)
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            total += sum(one.cpu_times()[:4])
    return total


def serial(clip: Path, folder: Path) -> Timing:
    """The work of one serial process (es), its models loaded before the clock starts."""
    command = [sys.executable, "-m", "bench.serial", str(clip), "es", str(folder / "serial")]
    # As the service runs: matrix threads only spin at these sizes.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600, env=environment)
    taken = json.loads(done.stdout.splitlines()[-1])
    return Timing(taken["seconds"], taken["seconds"], taken["cpu_s"])


def upload(client: httpx.Client, path: Path) -> str:
    """The id of the uploaded video."""
    data = path.read_bytes()
    body = {
        "filename": path.name,
        "content_type": "video/mp4",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "source_language": "en",
    }
    created = client.post("/api/videos", json=body).raise_for_status().json()
    upload = created["upload"]
    httpx.request(upload["method"], upload["url"], headers=upload["headers"], content=data, timeout=60)
    video: str = created["video"]["id"]
    client.post(f"/api/videos/{video}/complete", json={}).raise_for_status()
    return video


def dub(client: httpx.Client, video: str, languages: Sequence[str]) -> Timing:
    """A job from its submission to its end."""
    started = time.perf_counter()
    job = client.post(f"/api/videos/{video}/dub", json={"target_languages": list(languages)}).raise_for_status().json()
    first = 0.0
    with client.stream("GET", f"/api/jobs/{job['id']}/events", timeout=600) as events:
        for line in events.iter_lines():
            if line == "event: line.ready" and not first:
                first = time.perf_counter() - started
            elif line == "event: job.completed":
                return Timing(first, time.perf_counter() - started)
            elif line in ("event: job.failed", "event: job.cancelled"):
                break
    raise RuntimeError(f"The job did not complete: {client.get('/api/jobs/' + job['id']).text}")
