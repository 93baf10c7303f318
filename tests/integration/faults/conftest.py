"""A rig on a database of its own, with proxies wherever a test wants the network to break."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from onevoice_kit.storage.file import FileStorage
from onevoice_kit.testing.tcp_proxy import TcpProxy, tcp, tcp_proxy
from onevoice_local.aws import Aws, AwsServer
from onevoice_local.databases import PostgresDatabases
from tests.support.databases import migrated
from tests.support.rig import Rig, dial_postgres
from tests.support.rig import rig as new_rig


@pytest.fixture
async def database_url(postgres: PostgresDatabases) -> AsyncIterator[str]:
    async with migrated(postgres, "jobs", "billing") as url:
        yield url


@pytest.fixture
async def rig(database_url: str, file_storage: FileStorage, tmp_path) -> AsyncIterator[Rig]:
    """Jobs, billing and stages, and nothing in between."""
    async with new_rig(database_url, file_storage, tmp_path / "objects") as rig:
        yield rig


@pytest.fixture
async def database_proxy(database_url: str) -> AsyncIterator[TcpProxy]:
    """A way to the database that can be broken."""
    async with tcp_proxy(dial_postgres(database_url)) as proxy:
        yield proxy


@pytest.fixture
def aws(local_aws: AwsServer) -> Aws:
    """A bucket, and queues that bear many receives of one message."""
    return local_aws.create(max_receives=100)


@pytest.fixture
async def aws_proxy(aws: Aws) -> AsyncIterator[TcpProxy]:
    """A way to AWS that can be broken."""
    address = urlsplit(aws.endpoint_url)
    async with tcp_proxy(tcp(address.hostname or "", address.port or 80)) as proxy:
        yield proxy
