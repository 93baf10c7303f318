"""`onevoice up`: everything started in the right order, watched, and undone whatever happens."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from onevoice_cli.launcher import account
from onevoice_cli.launcher.database import Database
from onevoice_cli.launcher.folder import DataLock, load_secrets, prepare
from onevoice_cli.launcher.services import (
    GRPC_SERVICES,
    Machine,
    aws_spec,
    check_port,
    create_resources,
    database_specs,
    free_ports,
    stage_specs,
)
from onevoice_cli.launcher.supervisor import Change, RestartPolicy, State, Supervisor
from onevoice_cli.migrations import import_histories, migrate_all
from onevoice_kit.errors import Unavailable

_DATABASE_RESTARTS = 5


@dataclass(frozen=True, slots=True)
class UpOptions:
    """Options of `onevoice up`."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free one."""
    public_url: str = ""
    """Address under which clients reach the gateway; empty: made of host and port."""
    aws: bool = False
    policy: RestartPolicy = field(default_factory=RestartPolicy)


@dataclass(frozen=True, slots=True)
class Running:
    """A deployment that is healthy."""

    url: str
    client_file: Path
    seconds: float
    """Duration of the start."""
    pids: Mapping[str, int]


class Launcher:
    """One run. Calls `on_change` for every change of a process, and `on_ready` once, when all are healthy."""

    def __init__(
        self, options: UpOptions, on_change: Callable[[Change], None], on_ready: Callable[[Running], None]
    ) -> None:
        self._options = options
        self._on_change = on_change
        self._on_ready = on_ready
        self._supervisor: Supervisor | None = None

    async def run(self) -> None:
        """
        Runs until cancelled, then stops everything. `Conflict` where the folder or port is taken, `Unavailable`
        where something cannot be started or kept running.
        """
        began = time.monotonic()
        data = prepare(self._options.data)
        with DataLock(data) as lock:
            machine = self._machine(data)
            async with self._database(data, lock) as database:
                self._supervisor = Supervisor(data / "logs", database, self._on_change, self._options.policy)
                try:
                    running = await self._start(machine, database, self._supervisor, began)
                    self._on_ready(running)
                    raise await _first(self._supervisor.failed(), self._keep_database(database))
                finally:
                    await _undisturbed(self._supervisor.stop())

    def kill_all(self) -> None:
        """Kills the processes instead of waiting for them: the second Ctrl-C."""
        if self._supervisor is not None:
            self._supervisor.kill()

    def _machine(self, data: Path) -> Machine:
        return Machine(
            data=data,
            host=self._options.host,
            port=check_port(self._options.host, self._options.port),
            given_url=self._options.public_url.rstrip("/"),
            ports=dict(zip((*GRPC_SERVICES, "aws"), free_ports(len(GRPC_SERVICES) + 1), strict=True)),
            secrets=load_secrets(data),
        )

    @asynccontextmanager
    async def _database(self, data: Path, lock: DataLock) -> AsyncIterator[Database]:
        database = Database(data, lock_descriptor=lock.descriptor, env=os.environ)
        try:
            yield database
        finally:
            self._on_change(Change("postgres", State.STOPPING))
            began = time.monotonic()
            await _undisturbed(database.stop())
            self._on_change(Change("postgres", State.STOPPED, time.monotonic() - began))

    async def _start(self, machine: Machine, database: Database, supervisor: Supervisor, began: float) -> Running:
        """Services that need nothing start first, beside the database; those that need the database follow."""
        async with together() as tasks:
            database_url = tasks.create_task(self._start_database(database))
            if self._options.aws:
                await supervisor.start([aws_spec(machine.ports["aws"])])
                machine = replace(machine, storage_env=await create_resources(machine.ports["aws"]))
            tasks.create_task(supervisor.start(stage_specs(machine)))
            env = machine.env() | {"DATABASE_URL": await database_url}
            client_file = tasks.create_task(account.ensure_client_file(machine.data, machine.public_url, env))
            tasks.create_task(supervisor.start(database_specs(machine, env)))
        path = client_file.result()
        if not await account.key_works(path, machine.local_url):
            await account.ensure_client_file(machine.data, machine.public_url, env, new_key=True)
        return Running(machine.public_url, path, time.monotonic() - began, supervisor.pids())

    async def _start_database(self, database: Database) -> str:
        self._on_change(Change("postgres", State.STARTING))
        began = time.monotonic()
        # Reading the migration code takes about as long as starting the server; both at once.
        warm_up = asyncio.create_task(asyncio.to_thread(import_histories))
        url = await database.start()
        await warm_up
        await migrate_all(url)
        self._on_change(Change("postgres", State.HEALTHY, time.monotonic() - began))
        return url

    async def _keep_database(self, database: Database) -> Unavailable:
        """Brings PostgreSQL back when it ends; returns what to say when that does not help."""
        for _ in range(_DATABASE_RESTARTS):
            detail = await database.lost()
            self._on_change(Change("postgres", State.RESTARTING, detail=detail))
            began = time.monotonic()
            try:
                await database.start()
            except Unavailable as error:
                return error
            self._on_change(Change("postgres", State.HEALTHY, time.monotonic() - began))
        return Unavailable(f"PostgreSQL ended {_DATABASE_RESTARTS} times.", reason="database_lost")


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises its first error itself, not a group of one."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from first.__cause__


async def _first(*waits: Coroutine[object, object, Unavailable]) -> Unavailable:
    """The result of whichever ends first; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()


async def _undisturbed(work: Coroutine[object, object, None]) -> None:
    """Finishes the work even when this task is cancelled meanwhile: it is what a cancelled run ends with."""
    task = asyncio.create_task(work)
    while not task.done():
        with suppress(asyncio.CancelledError):  # we are stopping already
            await asyncio.shield(task)
    task.result()
