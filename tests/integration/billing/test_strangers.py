"""A process without rights moves no credits, however it names itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from onevoice.billing.v1 import billing_service_pb2 as pb
from onevoice.billing.v1.billing_service_pb2_grpc import BillingServiceStub
from onevoice_kit.errors import Unavailable
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.server import GrpcServer
from onevoice_kit.settings import ClientSettings, GrpcServerSettings
from services.billing.ledger import Ledger
from services.billing.models import Account
from services.billing.servicer import ACCESS, SERVICE, BillingServicer
from tests.support.certificates import Authority

TIMEOUT_S = 20.0
SECRET, OTHER = "the-secret-of-this-deployment-" + "x" * 8, "a-secret-that-somebody-made-up-" + "y" * 8

ATTACKS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "settle": lambda billing: billing.Settle(pb.SettleRequest(reservation_id="res-1", credits=500), timeout=TIMEOUT_S),
    "release": lambda billing: billing.Release(pb.ReleaseRequest(reservation_id="res-1"), timeout=TIMEOUT_S),
    "read": lambda billing: billing.ListLedger(pb.ListLedgerRequest(user_id="ann"), timeout=TIMEOUT_S),
}
"""A stranger spends what another user reserved, frees a running job's credits, reads a user's ledger."""


class Deployment:
    """The ways in which a process may call billing under one way of identification."""

    def __init__(self, server: dict[str, Any], clients: dict[str, tuple[str, ClientSettings]]) -> None:
        self.server = GrpcServerSettings(grpc_host="127.0.0.1", grpc_port=0, **server)
        self.clients = clients


def deployments(authority: Authority) -> dict[str, Deployment]:
    secret = {name: ClientSettings(grpc_shared_secrets=name) for name in (SECRET, OTHER)}
    return {
        "secret": Deployment(
            {"grpc_shared_secrets": SECRET},
            {
                "no token": ("", ClientSettings()),
                "another secret": ("gateway", secret[OTHER]),
                "a stage": ("tts", secret[SECRET]),
                "gateway": ("gateway", secret[SECRET]),
            },
        ),
        "certificates": Deployment(
            dict(authority.server()),
            {
                "no certificate": ("", ClientSettings(grpc_client_tls_ca=authority.cert)),
                "no TLS": ("", ClientSettings()),
                "a stage": ("", authority.client("tts")),
                "gateway": ("", authority.client("gateway")),
            },
        ),
    }


@asynccontextmanager
async def billing(deployment: Deployment, ledger: Ledger, client: str) -> AsyncIterator[BillingServiceStub]:
    server = GrpcServer(deployment.server, "billing", BillingServicer(ledger).register, services={SERVICE: ACCESS})
    await server.start()
    caller, settings = deployment.clients[client]
    async with connect(server.address, settings, caller=caller) as channel:
        yield BillingServiceStub(channel)
    await server.stop(0)


STRANGERS = [
    ("secret", "no token", "UNAUTHENTICATED"),
    ("secret", "another secret", "UNAUTHENTICATED"),
    ("secret", "a stage", "PERMISSION_DENIED"),
    ("certificates", "no certificate", "UNAVAILABLE"),
    ("certificates", "no TLS", "UNAVAILABLE"),
    ("certificates", "a stage", "PERMISSION_DENIED"),
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("way", "stranger", "status"), STRANGERS)
async def test_a_stranger_neither_spends_nor_frees_nor_reads(ledger, tmp_path, way, stranger, status, attack):
    await ledger.reserve("ann", "res-1", 500)
    async with billing(deployments(Authority(tmp_path))[way], ledger, stranger) as stub:
        with pytest.raises(Unavailable) as caught:
            await ATTACKS[attack](stub)
    assert isinstance(caught.value.__cause__, grpc.aio.AioRpcError)
    assert caught.value.__cause__.code().name == status
    assert await ledger.account("ann") == Account("ann", 100, 500)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("way", ["secret", "certificates"])
async def test_the_gateway_does_all_three(ledger, tmp_path, way, attack):
    await ledger.reserve("ann", "res-1", 500)
    async with billing(deployments(Authority(tmp_path))[way], ledger, "gateway") as stub:
        await ATTACKS[attack](stub)
