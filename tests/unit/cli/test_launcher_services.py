"""The environment that `onevoice up` gives its services."""

from __future__ import annotations

import pytest

from onevoice_cli.launcher.services import GRPC_SERVICES, Machine, database_specs, stage_specs
from onevoice_kit.grpc.identity import identification
from onevoice_kit.settings import GrpcServerSettings, Settings

PORTS = {name: 50_000 + number for number, name in enumerate(GRPC_SERVICES)}


def environments(tmp_path) -> dict[str, dict[str, str]]:
    secrets = {"storage_signing_key": "0" * 64, "grpc_shared_secrets": "1" * 64}
    machine = Machine(tmp_path, "127.0.0.1", 8000, "", PORTS, secrets)
    specs = [*stage_specs(machine), *database_specs(machine, machine.env())]
    return {spec.name: dict(spec.env) for spec in specs}


@pytest.mark.parametrize(("first", "expected"), [("9100", list(range(9100, 9107))), ("0", [0] * 7), (None, [0] * 7)])
def test_each_service_has_a_metrics_port_of_its_own(tmp_path, monkeypatch, first, expected):
    monkeypatch.delenv("METRICS_PORT", raising=False)
    if first is not None:
        monkeypatch.setenv("METRICS_PORT", first)
    ports = []
    for env in environments(tmp_path).values():
        monkeypatch.setenv("METRICS_PORT", env["METRICS_PORT"])
        ports.append(Settings().metrics_port)
    assert sorted(ports) == expected


def test_every_grpc_service_identifies_its_callers_without_a_setting_of_the_user(tmp_path, monkeypatch):
    for name, env in environments(tmp_path).items():
        if name == "gateway":
            continue
        monkeypatch.setenv("GRPC_SHARED_SECRETS", env["GRPC_SHARED_SECRETS"])
        monkeypatch.setenv("GRPC_HOST", env["GRPC_HOST"])
        assert identification(GrpcServerSettings()) is not None
