"""The deployment under load: every real process, restarted when it dies, with stages that take no time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from onevoice_cli.launcher.process import ServiceSpec, grpc_ready
from onevoice_cli.launcher.services import (
    GRPC_SERVICES,
    STAGES,
    Machine,
    aws_spec,
    create_resources,
    database_specs,
    free_ports,
    stage_specs,
)
from onevoice_cli.launcher.supervisor import Change, RestartPolicy, State, Supervisor
from onevoice_cli.migrations import migrate_all

from .messages import SqsMessages
from .meters import CpuMeter

_FOR_EVER = RestartPolicy(budget=1_000_000, first_delay_s=0.1, max_delay_s=0.1)
_MAX_RECEIVES = 50
_IMPATIENT = {
    # What a process was doing when it died comes back after these, not after minutes.
    "WORKER_LEASE_S": "6",
    "WORKER_RENEW_S": "2",
    "WORKER_RECEIPT_S": "6",
    "IDEMPOTENCY_RUNNING_S": "5",
    "HOUSEKEEPING_INTERVAL_S": "2",
    # Each process can be killed while it holds a job; here that is what is done to it, not what the job does.
    "WORKER_MAX_ATTEMPTS": "20",
    "QUEUE_MAX_RECEIVES": str(_MAX_RECEIVES),
    "SWEEP_INTERVAL_S": "2",
    "SWEEP_STUCK_AFTER_S": "30",
}


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes of the deployment."""

    orchestrators: int = 2
    jobs_per_worker: int = 8
    aws: bool = False


class _NoKeeper:
    """The children end with us: each gets a signal when its parent dies."""

    def started(self, group: int) -> None:
        """Nothing to note."""

    def ended(self, group: int) -> None:
        """Nothing to note."""


@dataclass
class Deployment:
    """The running processes."""

    url: str
    database_url: str
    supervisor: Supervisor
    meter: CpuMeter
    healthy: set[str]
    messages: SqsMessages
    restarts: int = 0

    def victims(self) -> Sequence[str]:
        """Processes that may be killed now: those that have come up. The stand-in for AWS keeps its state in memory."""
        return sorted(self.healthy - {"aws"})

    def kill(self, name: str) -> None:
        """SIGKILL, now."""
        pids = self.supervisor.pids()
        self.meter.look(pids)
        os.kill(pids[name], signal.SIGKILL)

    def changed(self, change: Change) -> None:
        """Records a change that the supervisor reports."""
        if change.state is State.HEALTHY:
            self.healthy.add(change.name)
            self.meter.healthy(change.name, self.supervisor.pids()[change.name])
            return
        self.healthy.discard(change.name)
        self.restarts += change.state is State.RESTARTING


@asynccontextmanager
async def deployed(folder: Path, database_url: str, options: Options) -> AsyncIterator[Deployment]:
    """Everything up and healthy for the length of the block."""
    (folder / "logs").mkdir()
    names = [*GRPC_SERVICES, *_more_orchestrators(options), "aws", "gateway"]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    secrets = {"storage_signing_key": "0" * 64, "grpc_shared_secrets": "1" * 64}
    machine = Machine(folder, "127.0.0.1", ports["gateway"], "", ports, secrets)
    deployment = Deployment(machine.local_url, database_url, None, CpuMeter(), set(), SqsMessages({}))  # type: ignore[arg-type]
    supervisor = Supervisor(folder / "logs", _NoKeeper(), deployment.changed, _FOR_EVER)
    deployment.supervisor = supervisor
    watching = [
        asyncio.create_task(deployment.meter.watch(supervisor.pids)),
        asyncio.create_task(supervisor.failed()),  # keeps the logs short meanwhile
    ]
    try:
        await migrate_all(database_url)
        if options.aws:
            await supervisor.start([aws_spec(ports["aws"])])
            machine = replace(machine, storage_env=await create_resources(ports["aws"], max_receives=_MAX_RECEIVES))
            deployment.messages = SqsMessages(machine.storage_env)
        await supervisor.start(_specs(machine, database_url, options))
        yield deployment
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await supervisor.stop()


def _more_orchestrators(options: Options) -> Sequence[str]:
    return [f"orchestrator-{number}" for number in range(2, options.orchestrators + 1)]


def _specs(machine: Machine, database_url: str, options: Options) -> Sequence[ServiceSpec]:
    settings = {"DATABASE_URL": database_url, "WORKER_MAX_JOBS": str(options.jobs_per_worker), **_IMPATIENT}
    env = {**machine.env(), **settings}
    specs = list(database_specs(machine, env))
    orchestrator = next(spec for spec in specs if spec.name == "orchestrator")
    specs += [_another(orchestrator, name, machine.ports[name]) for name in _more_orchestrators(options)]
    return [*(_instant(spec, env) for spec in stage_specs(machine)), *specs]


def _another(spec: ServiceSpec, name: str, port: int) -> ServiceSpec:
    return replace(spec, name=name, env={**spec.env, "GRPC_PORT": str(port)}, ready=grpc_ready(port))


_OWN = ("GRPC_PORT", "GRPC_SERVER_KEYS", "GRPC_CALLER_KEYS", "METRICS_PORT")


def _instant(spec: ServiceSpec, env: Mapping[str, str]) -> ServiceSpec:
    assert spec.name in STAGES
    argv = (sys.executable, "-m", "tests.support.instant_processes", spec.name)
    return replace(spec, argv=argv, env={**env, **{name: spec.env[name] for name in _OWN}})
