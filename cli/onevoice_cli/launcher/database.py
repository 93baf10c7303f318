"""The launcher's side of the keeper: PostgreSQL for as long as this object is open."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from onevoice_cli.launcher import logs
from onevoice_kit.errors import Internal, Unavailable

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
DATABASE_ENDED = 3
"""The keeper's exit code when PostgreSQL ended by itself."""


class Database:
    """Starts the keeper, reports process groups to it (a `Registry`), and makes it stop."""

    def __init__(self, data: Path, *, lock_descriptor: int, env: Mapping[str, str]) -> None:
        self._data = data
        self._lock_descriptor = lock_descriptor
        self._env = env
        self._log = data / "logs" / "postgres.log"
        self._process: asyncio.subprocess.Process | None = None
        self._groups: set[int] = set()

    async def start(self) -> str:
        """The address of the running server; `Unavailable` (reason `database_start_failed`) with the cause."""
        logs.rotate(self._log)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "onevoice_cli.launcher.keeper", str(self._data / "postgres")),
                env=dict(self._env),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                # The folder stays locked until the keeper has cleaned up, even when the launcher is killed.
                pass_fds=(self._lock_descriptor,),
            )
        return self._address(await self._first_line())

    async def _first_line(self) -> bytes:
        try:
            return await asyncio.wait_for(self._running().stdout.readline(), START_TIMEOUT_S)  # type: ignore[union-attr]
        except TimeoutError:
            raise _start_failure(f"it was not ready after {START_TIMEOUT_S:.0f} s", self._log) from None

    def _address(self, line: bytes) -> str:
        answer = json.loads(line) if line.strip() else {}
        if "url" not in answer:
            words = logs.tail(self._log, 1)
            raise _start_failure(answer.get("error") or (words[0] if words else "the process ended"), self._log)
        for group in self._groups:
            self._report("+", group)
        return str(answer["url"])

    async def lost(self) -> str:
        """Waits until PostgreSQL or its keeper ends unexpectedly; returns how."""
        code = await self._running().wait()
        return "ended by itself" if code == DATABASE_ENDED else f"lost its keeper (exit code {code})"

    def started(self, group: int) -> None:
        """The keeper will end this process group if we cannot."""
        self._groups.add(group)
        self._report("+", group)

    def ended(self, group: int) -> None:
        """The process group is gone."""
        self._groups.discard(group)
        self._report("-", group)

    def _report(self, sign: str, group: int) -> None:
        # Before the keeper runs, the groups are only remembered; `_address` reports them.
        stdin = self._process.stdin if self._process is not None else None
        if stdin is not None and not stdin.is_closing():
            stdin.write(f"{sign}{group}\n".encode())

    async def stop(self) -> None:
        """Ends PostgreSQL; returns when the keeper is gone."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise Internal(f"PostgreSQL did not stop within {STOP_TIMEOUT_S:.0f} s.", reason="database_stuck") from None

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise Internal("PostgreSQL has not been started.", reason="database_not_started")
        return self._process


def _start_failure(cause: str, log: Path) -> Unavailable:
    return Unavailable(
        f"PostgreSQL cannot start: {cause.rstrip('.')}. Its log is {log}.", reason="database_start_failed"
    )
