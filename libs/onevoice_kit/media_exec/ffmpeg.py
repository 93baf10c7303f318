"""Runs ffmpeg and ffprobe within the limits."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from onevoice_kit.media_exec.command import Command, guards, word
from onevoice_kit.media_exec.limits import MediaLimits
from onevoice_kit.media_exec.process import Budget, Running, start, tool, work_beside
from onevoice_kit.media_exec.reasons import bad_media
from onevoice_kit.media_exec.workspace import MediaFile, Workspace, open_workspace

_MOST_JSON = 4 << 20


class Ffmpeg:
    """The media tools of this machine."""

    def __init__(self, limits: MediaLimits | None = None, temp_dir: Path | None = None) -> None:
        """`temp_dir` is where workspaces are made; None: the system's folder for temporary files."""
        self.limits = limits or MediaLimits()
        self._temp_dir = temp_dir
        self._filters: dict[str, bool] = {}

    def workspace(self) -> AbstractAsyncContextManager[Workspace]:
        """An own folder for one piece of work."""
        return open_workspace(self._temp_dir)

    async def run(
        self,
        command: Command,
        workspace: Workspace,
        *,
        max_output_bytes: int | None = None,
        on_time: Callable[[float], None] | None = None,
    ) -> str:
        """
        Runs to the end and returns the messages. `on_time` gets how many seconds of output are written.
        Raises `InvalidInput` with the reason of bad media, `output_too_large`; `DeadlineExceeded` `media_time_limit`.
        """
        async with self._start(command, workspace, max_output_bytes, progress=on_time is not None) as running:
            if on_time is not None:
                await work_beside([running], lambda: _follow(running, on_time))
            await running.wait()
            return running.stderr

    @contextlib.asynccontextmanager
    async def stream(
        self, command: Command, workspace: Workspace, *, max_output_bytes: int | None = None
    ) -> AsyncIterator[Running]:
        """Runs for the length of the context with the pipes that the command names; the caller awaits `wait()`."""
        async with self._start(command, workspace, max_output_bytes) as running:
            yield running

    async def probe_json(self, file: MediaFile, workspace: Workspace, *options: str) -> tuple[dict[str, Any], str]:
        """Parsed JSON of ffprobe on an outside file, and its messages. Raises as `run`."""
        argv = [tool("ffprobe"), "-hide_banner", "-loglevel", "warning", *(word(option) for option in options)]
        argv += ["-of", "json", *guards(self.limits), "-i", f"file:{file.name}"]
        budget = Budget(self.limits.probe_time_limit_s, self.limits.max_memory_bytes, 0)
        async with start(argv, workspace.folder, budget, stdout=True) as running:
            output = await work_beside([running], lambda: running.stdout.read(_MOST_JSON + 1))
            if len(output) > _MOST_JSON:
                raise bad_media("media_too_complex")
            await running.wait()
            return json.loads(output or b"{}"), running.stderr

    async def probe_lines(
        self, file: MediaFile, workspace: Workspace, on_line: Callable[[str], None], *options: str
    ) -> str:
        """Hands ffprobe's compact output on line by line, so that a long one costs no memory; returns the messages."""
        argv = [tool("ffprobe"), "-hide_banner", "-loglevel", "warning", *(word(option) for option in options)]
        argv += ["-of", "csv=p=0", *guards(self.limits), "-i", f"file:{file.name}"]
        seconds = self.limits.probe_time_limit_s + file.path.stat().st_size / self.limits.read_bytes_per_s
        budget = Budget(seconds, self.limits.max_memory_bytes, 0)
        async with start(argv, workspace.folder, budget, stdout=True) as running:
            await work_beside([running], lambda: _each_line(running, on_line))
            await running.wait()
            return running.stderr

    async def has_filter(self, name: str) -> bool:
        """True where this ffmpeg has a filter; looked up once."""
        if name not in self._filters:
            async with self.workspace() as workspace:
                budget = Budget(self.limits.probe_time_limit_s, self.limits.max_memory_bytes, 0)
                argv = [tool("ffmpeg"), "-hide_banner", "-filters"]
                async with start(argv, workspace.folder, budget, stdout=True) as running:
                    listed = (await work_beside([running], running.stdout.read)).decode()
            self._filters[name] = any(line.split()[1:2] == [name] for line in listed.splitlines())
        return self._filters[name]

    @contextlib.asynccontextmanager
    async def _start(
        self, command: Command, workspace: Workspace, max_output_bytes: int | None, *, progress: bool = False
    ) -> AsyncIterator[Running]:
        limits = self.limits
        if max_output_bytes is not None:
            limits = replace(limits, max_output_bytes=min(max_output_bytes, limits.max_output_bytes))
        argv = [tool("ffmpeg"), *(["-progress", "pipe:1"] if progress else []), *command.argv(limits)]
        budget = Budget(limits.time_limit_s, limits.max_memory_bytes, limits.max_output_bytes)
        reads = any(part.file == "pipe" for part in command.inputs)
        writes = progress or any(part.file == "pipe" for part in command.outputs)
        async with start(argv, workspace.folder, budget, stdin=reads, stdout=writes) as running:
            yield running


def _follow(running: Running, on_time: Callable[[float], None]) -> None:
    def follow(line: str) -> None:
        name, _, value = line.partition("=")
        if name == "out_time_us" and value.isdigit():
            on_time(int(value) / 1e6)

    _each_line(running, follow)


def _each_line(running: Running, on_line: Callable[[str], None]) -> None:
    for line in running.stdout:
        on_line(line.decode(errors="replace").rstrip("\n"))
