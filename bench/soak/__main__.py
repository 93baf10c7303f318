"""`python -m bench.soak --seconds 300 --kill-every 5`: exit code 1 where a job is lost or doubled, or credits drift."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import asyncpg

from onevoice_kit.testing.waiting import eventually
from onevoice_local.postgres import EmbeddedPostgres

from . import checks
from .client import Load, make_users
from .deployment import Deployment, Options, deployed
from .messages import SqsMessages
from .meters import postgres_cpu_s, transactions
from .report import Figures, render

_USERS = 4
_BEFORE_AWAY_S = 5.0
_SETTLED_S = 180.0
"""Time, after the last submission, within which everything must end."""


def main() -> None:
    """Soaks and prints."""
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--kill-every", type=float, default=5.0, help="seconds between kills; 0 kills nothing")
    parser.add_argument("--away", type=float, default=0.0, help="seconds for which tts is away, from 5 s on")
    parser.add_argument("--seed", type=int, default=None, help="decides which process is killed; the report names it")
    parser.add_argument("--in-flight", type=int, default=32, help="jobs open at a time")
    parser.add_argument("--jobs-per-worker", type=int, default=8)
    parser.add_argument("--orchestrators", type=int, default=2)
    parser.add_argument("--aws", action="store_true", help="SQS and S3 of a local stand-in")
    parser.add_argument("--keep", type=Path, help="folder for logs and database, kept; a temporary one without it")
    arguments = parser.parse_args()
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        with EmbeddedPostgres(folder / "postgres") as postgres:
            figures = asyncio.run(_soak(folder, postgres.url, arguments, random.Random(seed)))
    print(render(figures))
    sys.exit(0 if figures.sound else 1)


async def _soak(folder: Path, url: str, arguments: argparse.Namespace, rng: random.Random) -> Figures:
    options = Options(arguments.orchestrators, arguments.jobs_per_worker, arguments.aws)
    database = await asyncpg.connect(url)
    try:
        async with deployed(folder, url, options) as deployment:
            users = await make_users(deployment.url, url, _USERS)
            load = Load(deployment.url, users, arguments.in_flight)
            return await _measure(folder, deployment, database, load, arguments, rng)
    finally:
        await database.close()


async def _measure(
    folder: Path,
    deployment: Deployment,
    database: asyncpg.Connection,
    load: Load,
    arguments: argparse.Namespace,
    rng: random.Random,
) -> Figures:
    kills: Counter[str] = Counter()
    before, cpu_before = await transactions(database), postgres_cpu_s(folder / "postgres")
    killer = asyncio.create_task(_kill(deployment, arguments.kill_every, rng, kills))
    absence = asyncio.create_task(_absence(deployment, arguments.away))
    began, began_at, own = time.monotonic(), time.time(), time.process_time()
    await load.run(arguments.seconds, database)
    seconds = arguments.seconds
    killer.cancel()
    await asyncio.gather(killer, return_exceptions=True)
    await absence
    print(f"submitted for {time.monotonic() - began:.1f} s; waiting for the rest", flush=True)
    await _settled(database, deployment.messages)
    ended = await database.fetch("SELECT id, extract(epoch FROM completed_at)::float8 AS at FROM jobs.jobs")
    ends = {row["id"]: row["at"] for row in ended if row["at"] is not None}
    return Figures(
        seconds=seconds,
        completed=sum(at <= began_at + seconds for at in ends.values()),
        accepted=len(load.sent_at),
        repeats=load.repeats,
        kills=kills,
        latencies_s=[ends[job] - sent for job, sent in load.sent_at.items() if job in ends],
        cpu_s={**deployment.meter.work_s(), "postgres": postgres_cpu_s(folder / "postgres") - cpu_before},
        starts_cpu_s=deployment.meter.starts_s(),
        client_cpu_s=time.process_time() - own,
        transactions=await transactions(database) - before,
        load_average=os.getloadavg()[0],
        findings=[
            *await checks.findings(database, load.sent_at),
            checks.Finding("dead letters in SQS", await deployment.messages.dead()),
            checks.Finding("requests refused", len(load.refused)),
        ],
    )


async def _settled(database: asyncpg.Connection, messages: SqsMessages) -> None:
    """Waits for everything to end; what has not ended after a while is what the checks then find."""

    async def nothing_left() -> bool:
        return await checks.open_work(database) == 0 and await messages.left() == 0

    try:
        await eventually(nothing_left, _SETTLED_S, interval=0.5)
    except AssertionError:
        print(f"not everything has ended {_SETTLED_S:.0f} s after the last submission", file=sys.stderr)


async def _kill(deployment: Deployment, every_s: float, rng: random.Random, kills: Counter[str]) -> None:
    """Kills one of the processes that are up, again and again."""
    while every_s > 0:
        await asyncio.sleep(every_s)
        if victims := deployment.victims():
            victim = rng.choice(victims)
            deployment.healthy.discard(victim)
            deployment.kill(victim)
            kills[victim.partition("-")[0]] += 1


async def _absence(deployment: Deployment, away_s: float) -> None:
    """Keeps tts from coming up for so long, and prints how the jobs wait meanwhile."""
    if not away_s:
        return
    await asyncio.sleep(_BEFORE_AWAY_S)
    database = await asyncpg.connect(deployment.database_url)
    deployment.healthy.discard("tts")
    deployment.kill("tts")
    ends, stopped, next_s = time.monotonic() + away_s, 0, 0.0
    while time.monotonic() < ends:
        pid = deployment.supervisor.pids().get("tts", 0)
        if pid and pid != stopped:  # a new one, which does not listen yet
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                stopped = pid
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + away_s / 6
            print(f"{ends - time.monotonic():5.0f} s away: {await checks.waiting(database)}", flush=True)
        await asyncio.sleep(0.02)
    print(f"    0 s away: {await checks.waiting(database)}", flush=True)
    with contextlib.suppress(ProcessLookupError):
        os.kill(stopped, signal.SIGCONT)
    await database.close()


if __name__ == "__main__":
    main()
