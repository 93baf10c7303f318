"""Every method of every contract has its callers in a table, and only services that call are named there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from onevoice_kit.grpc.interceptors import Access
from tests.support.access import ACCESS

ROOT = Path(__file__).parents[2]
SERVICE = re.compile(r"^service (\w+) \{", re.MULTILINE)


def contracts() -> dict[str, set[str]]:
    """The methods of every service in `proto/`, by its full name."""
    found = {}
    for file in sorted((ROOT / "proto").rglob("*.proto")):
        if not SERVICE.search(file.read_text()):
            continue
        name = str(file.relative_to(ROOT / "proto")).removesuffix(".proto").replace("/", ".")
        module = importlib.import_module(f"{name}_pb2")
        for service in module.DESCRIPTOR.services_by_name.values():
            found[service.full_name] = {method.name for method in service.methods}
    return found


def callers(access: Access) -> set[str]:
    return {name for names in access.values() for name in names}


def test_every_contract_is_served_under_a_table_of_its_own():
    assert set(contracts()) == set(ACCESS)


@pytest.mark.parametrize("service", sorted(ACCESS))
def test_a_table_covers_exactly_the_methods_of_its_contract(service):
    assert set(ACCESS[service]) == contracts()[service]
    assert all(ACCESS[service].values())


@pytest.mark.parametrize("service", sorted(ACCESS))
def test_only_the_gateway_and_the_orchestrator_call_others(service):
    assert callers(ACCESS[service]) <= {"gateway", "orchestrator"}


def test_only_the_gateway_and_the_orchestrator_move_credits():
    billing = ACCESS["onevoice.billing.v1.BillingService"]
    assert billing["Reserve"] == {"gateway"}
    assert billing["Settle"] == billing["Release"] == {"gateway", "orchestrator"}
