"""The storage contract runs over every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from onevoice_kit.storage.base import Storage
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.storage.s3 import S3Storage
from onevoice_local.aws import Aws


@pytest.fixture
async def s3_storage(aws: Aws) -> AsyncIterator[S3Storage]:
    """The store on an empty bucket."""
    storage = S3Storage(aws.storage_settings())
    yield storage
    await storage.close()


@pytest.fixture(params=["file_storage", "s3_storage"])
def storage(request: pytest.FixtureRequest) -> Storage:
    """Each adapter in turn."""
    adapter: FileStorage | S3Storage = request.getfixturevalue(request.param)
    return adapter
