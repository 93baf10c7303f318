"""Processor time of processes that come and go, and transactions of the database."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_SAMPLE_S = 0.2


class CpuMeter:
    """
    Seconds of processor time by service. A process is looked at five times a second, so what one that was killed did
    in its last moment is not known. Its start, until it was healthy, is counted apart.
    """

    def __init__(self) -> None:
        self._used: dict[tuple[str, int], float] = {}
        self._at_start: dict[tuple[str, int], float] = {}

    async def watch(self, pids: Callable[[], Mapping[str, int]]) -> None:
        """Samples until cancelled."""
        while True:
            self.look(pids())
            await asyncio.sleep(_SAMPLE_S)

    def look(self, pids: Mapping[str, int]) -> None:
        """Notes what the processes have used by now."""
        for name, pid in pids.items():
            with suppress(OSError, ValueError):  # it has just ended
                self._used[name, pid] = max(_cpu_s(pid), self._used.get((name, pid), 0.0))

    def healthy(self, name: str, pid: int) -> None:
        """Counts the time used so far as its start."""
        self.look({name: pid})
        self._at_start[name, pid] = self._used.get((name, pid), 0.0)

    def work_s(self) -> dict[str, float]:
        """By service: seconds of processor time since each process of it was healthy."""
        used: defaultdict[str, float] = defaultdict(float)
        for (name, pid), seconds in self._used.items():
            used[name.partition("-")[0]] += seconds - self._at_start.get((name, pid), seconds)
        return dict(used)

    def starts_s(self) -> float:
        """Seconds of processor time of all starts."""
        return sum(min(self._at_start.get(key, seconds), seconds) for key, seconds in self._used.items())


def postgres_cpu_s(data_dir: Path) -> float:
    """Seconds of processor time that a server's processes have used, those that have ended included."""
    postmaster = psutil.Process(int((data_dir / "pgdata" / "postmaster.pid").read_text().partition("\n")[0]))
    seconds = 0.0
    for process in [postmaster, *postmaster.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # a connection was closed
            times = process.cpu_times()
            seconds += times.user + times.system
            seconds += times.children_user + times.children_system if process == postmaster else 0
    return seconds


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


async def transactions(database: asyncpg.Connection) -> int:
    """Transactions of the database since it was made."""
    await database.execute("SELECT pg_stat_clear_snapshot()")
    query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    return int(await database.fetchval(query))
