"""The processes of one machine: command, environment, ports, health check and place in the stop order of each."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from onevoice_cli.launcher.process import ServiceSpec, grpc_ready, http_ready
from onevoice_kit.errors import Conflict, InvalidInput
from onevoice_kit.grpc.identity import process_keys
from onevoice_local.aws import AwsServer

STAGES = ("asr", "translate", "tts", "mixer")
"""Services that need no database, so they start beside it."""
GRPC_SERVICES = (*STAGES, "billing", "orchestrator")
LOCAL_FREE_CREDITS = "1000000"
"""On one's own machine credits are only a measure."""
AWS_NAME = "onevoice"
"""Of the bucket and the queue of the stand-in for AWS."""
VISIBILITY_TIMEOUT_S = 900
MAX_RECEIVES = 5
"""Receipts of one message before it goes to the dead-letter queue."""
_STOP_ORDER = {"gateway": 0, "orchestrator": 1, "aws": 3}


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts of one run."""

    data: Path
    host: str
    port: int
    given_url: str
    """Address that clients use, where it is not made of host and port."""
    ports: Mapping[str, int]
    """gRPC port per service."""
    secrets: Mapping[str, str]
    storage_env: Mapping[str, str] = field(default_factory=dict)
    """Storage and queue settings that replace the local ones (`--aws`)."""

    @property
    def local_url(self) -> str:
        """The gateway's address on this machine."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def public_url(self) -> str:
        """The gateway's address for clients."""
        return self.given_url or self.local_url

    def env(self) -> dict[str, str]:
        """The environment of every service: this process's own with our settings on top."""
        addresses = {f"{name.upper()}_ADDRESS": f"127.0.0.1:{port}" for name, port in self.ports.items()}
        return {**os.environ, **addresses, **self._common(), **self.storage_env}

    def own(self, name: str) -> Mapping[str, str]:
        """The settings that one service alone gets: its keys, and the port of its metrics."""
        # The gateway signs addresses of objects, and checks them; nothing else does.
        signing = {"STORAGE_SIGNING_KEY": self.secrets["storage_signing_key"]} if name == "gateway" else {}
        keys = internal_keys(self.secrets["grpc_shared_secrets"])[name]
        return {**keys, **signing, "METRICS_PORT": self.metrics_port(name)}

    def metrics_port(self, name: str) -> str:
        """The port of a service's metrics: `METRICS_PORT` is the first service's, the next have the ports after it."""
        first = os.environ.get("METRICS_PORT", "")
        # Whatever is no number is passed on, for the service to refuse it by name.
        return str(int(first) + [*self.ports, "gateway"].index(name)) if first.isdecimal() and int(first) else first

    def _common(self) -> dict[str, str]:
        return {
            "ENVIRONMENT": "development",
            "LOG_FORMAT": "json",
            "METRICS_HOST": "127.0.0.1",
            "GRPC_HOST": "127.0.0.1",
            "GRPC_DRAIN_GRACE_S": "5",
            "HTTP_SHUTDOWN_GRACE_S": "5",
            "USE_SQS_TASK_QUEUE": "false",
            "STORAGE_BACKEND": "file",
            "STORAGE_DIR": str(self.data / "objects"),
            "STORAGE_PUBLIC_URL": self.public_url,
            "STORAGE_SIGNING_KEY": "",
            "FREE_CREDITS": LOCAL_FREE_CREDITS,
            "PYTHONUNBUFFERED": "1",
        }


def internal_keys(secret: str) -> Mapping[str, Mapping[str, str]]:
    """
    The gRPC keys of each process, by its name, derived from the secret of the deployment (ADR 015).

    A stage can check its own callers and pose as none of them; gateway and orchestrator can call the others.
    """
    secrets = [part.strip().encode() for part in secret.split(",")]
    called = {name: f"onevoice.{name}.v1.{name.capitalize()}Service" for name in (*STAGES, "billing")}
    keys = {name: process_keys(secrets, service, name, []) for name, service in called.items()}
    for name in ("orchestrator", "gateway"):
        keys[name] = process_keys(secrets, f"onevoice.{name}", name, list(called.values()))
    return keys


def stage_specs(machine: Machine) -> Sequence[ServiceSpec]:
    """The services that need no database."""
    return [_grpc_service(machine, name, machine.env()) for name in STAGES]


def database_specs(machine: Machine, env: Mapping[str, str]) -> Sequence[ServiceSpec]:
    """The services that need the database, whose address is in `env`."""
    others = [_grpc_service(machine, name, env) for name in GRPC_SERVICES if name not in STAGES]
    return [*others, _gateway(machine, env)]


def _grpc_service(machine: Machine, name: str, env: Mapping[str, str]) -> ServiceSpec:
    port = machine.ports[name]
    return ServiceSpec(
        name=name,
        argv=(sys.executable, "-m", f"services.{name}"),
        env={**env, **machine.own(name), "GRPC_PORT": str(port)},
        ready=grpc_ready(port),
        stop_order=_STOP_ORDER.get(name, 2),
    )


def _gateway(machine: Machine, env: Mapping[str, str]) -> ServiceSpec:
    return ServiceSpec(
        name="gateway",
        argv=(sys.executable, "-m", "services.gateway"),
        env={
            **env,
            **machine.own("gateway"),
            "HTTP_HOST": machine.host,
            "HTTP_PORT": str(machine.port),
        },
        ready=http_ready(f"{machine.local_url}/readyz"),
        stop_order=_STOP_ORDER["gateway"],
    )


def aws_spec(port: int) -> ServiceSpec:
    """The moto server behind `--aws`. Not restarted: its end takes every object and message with it."""
    return ServiceSpec(
        name="aws",
        argv=(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
        env=dict(os.environ),
        ready=http_ready(f"{_url(port)}/moto-api/data.json"),
        stop_order=3,
        restart=False,
    )


async def create_resources(port: int, *, max_receives: int = MAX_RECEIVES) -> Mapping[str, str]:
    """Makes bucket, queue and dead-letter queue; returns the settings that point services at them."""
    server = AwsServer(_url(port))
    created = await asyncio.to_thread(
        server.create, AWS_NAME, visibility_s=VISIBILITY_TIMEOUT_S, max_receives=max_receives
    )
    return created.environment() | {
        "SQS_VISIBILITY_TIMEOUT": str(VISIBILITY_TIMEOUT_S),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def free_ports(count: int) -> Sequence[int]:
    """Different ports of 127.0.0.1 that are free now. All stay bound while choosing, so that none comes twice."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def check_port(host: str, port: int) -> int:
    """The port, or a free one for 0; `Conflict` (reason `port_in_use`) where another process listens on it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # What a server does too: a port whose last owner has just closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise Conflict(f"This user may not listen on port {port}.", reason="port_forbidden") from None
        except socket.gaierror:
            raise InvalidInput(f"{host} is not an address of this machine.", reason="host_unknown") from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise InvalidInput(f"{host} is not an address of this machine.", reason="host_unknown") from None
            raise Conflict(
                f"Port {port} on {host} is in use; choose another one with --port.", reason="port_in_use"
            ) from None
        return int(probe.getsockname()[1])
