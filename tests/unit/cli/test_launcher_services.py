"""The environment that `onevoice up` gives its services."""

from __future__ import annotations

import pytest

from onevoice_cli.launcher.services import GRPC_SERVICES, Machine, database_specs, internal_keys, stage_specs
from onevoice_kit.grpc.identity import identification
from onevoice_kit.settings import GrpcServerSettings, Settings
from tests.support.access import ACCESS

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
    for env in environments(tmp_path).values():
        for setting in ("GRPC_SHARED_SECRETS", "GRPC_SERVER_KEYS", "GRPC_HOST"):
            monkeypatch.setenv(setting, env[setting])
        assert identification(GrpcServerSettings()) is not None


def test_only_callers_get_keys_to_call_and_no_process_gets_the_secret(tmp_path):
    found = environments(tmp_path)
    assert {name for name, env in found.items() if env["GRPC_CALLER_KEYS"]} == {"gateway", "orchestrator"}
    assert not any("1" * 64 in value for env in found.values() for value in env.values())


def test_only_the_gateway_gets_the_key_that_signs_addresses_of_objects(tmp_path, monkeypatch):
    monkeypatch.setenv("STORAGE_SIGNING_KEY", "of the person that starts it")
    found = environments(tmp_path)
    signing = {name: env["STORAGE_SIGNING_KEY"] for name, env in found.items()}
    assert signing == dict.fromkeys(GRPC_SERVICES, "") | {"gateway": "0" * 64}


@pytest.mark.parametrize("service", sorted(ACCESS))
def test_every_service_has_its_server_key_and_its_callers_have_theirs(service):
    keys = internal_keys("1" * 64)
    assert [name for name, own in keys.items() if own["GRPC_SERVER_KEYS"].startswith(f"{service}=")] == [
        service.split(".")[1]
    ]
    for caller in {name for names in ACCESS[service].values() for name in names}:
        assert f"{service}=" in keys[caller]["GRPC_CALLER_KEYS"]
