"""What runs on one machine: each service's command, environment, health check and place in the stop order."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onevoice_cli.launcher.health import grpc_ready, http_ready
from onevoice_cli.launcher.process import ServiceSpec

STAGES = ("asr", "translate", "tts", "mixer")
"""Services that need no database, so they start beside it."""
GRPC_SERVICES = (*STAGES, "billing", "orchestrator")
LOCAL_FREE_CREDITS = "1000000"
"""On one's own machine credits are only a measure."""
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
        """Where the gateway answers on this machine."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def public_url(self) -> str:
        """Where clients reach the gateway."""
        return self.given_url or self.local_url

    def env(self) -> dict[str, str]:
        """What every service gets: this process's environment with our settings on top."""
        addresses = {f"{name.upper()}_ADDRESS": f"127.0.0.1:{port}" for name, port in self.ports.items()}
        return {**os.environ, **addresses, **self._common(), **self.storage_env}

    def _common(self) -> dict[str, str]:
        return {
            "ENVIRONMENT": "development",
            "LOG_FORMAT": "json",
            "METRICS_PORT": "0",
            "GRPC_HOST": "127.0.0.1",
            "GRPC_DRAIN_GRACE_S": "5",
            "HTTP_SHUTDOWN_GRACE_S": "5",
            "USE_SQS_TASK_QUEUE": "false",
            "STORAGE_BACKEND": "file",
            "STORAGE_DIR": str(self.data / "objects"),
            "STORAGE_PUBLIC_URL": self.public_url,
            "GRPC_SHARED_SECRETS": self.secrets["grpc_shared_secrets"],
            "STORAGE_SIGNING_KEY": self.secrets["storage_signing_key"],
            "FREE_CREDITS": LOCAL_FREE_CREDITS,
            "PYTHONUNBUFFERED": "1",
        }


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
        env={**env, "GRPC_PORT": str(port)},
        ready=grpc_ready(port),
        stop_order=_STOP_ORDER.get(name, 2),
    )


def _gateway(machine: Machine, env: Mapping[str, str]) -> ServiceSpec:
    return ServiceSpec(
        name="gateway",
        argv=(sys.executable, "-m", "services.gateway"),
        env={**env, "HTTP_HOST": machine.host, "HTTP_PORT": str(machine.port)},
        ready=http_ready(f"{machine.local_url}/readyz"),
        stop_order=_STOP_ORDER["gateway"],
    )
