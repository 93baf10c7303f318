"""Deployments and clips, made once for all end-to-end tests of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from onevoice_cli.sample import Clip, build_clip
from tests.e2e.stack import Stack, deployment_folder, running_stack
from tests.e2e.vendors import Vendors, local_vendors


@pytest.fixture(scope="session")
def vendors() -> Iterator[Vendors]:
    """The local servers of three vendors."""
    with local_vendors() as vendors:
        yield vendors


@pytest.fixture(scope="session")
def local_stack(vendors: Vendors) -> Iterator[Stack]:
    """A deployment on files and the database outbox; its last engines are those of vendors."""
    with deployment_folder() as folder, running_stack(folder, "local", **vendors.environment) as stack:
        yield stack


@pytest.fixture(scope="session")
def aws_stack() -> Iterator[Stack]:
    """A deployment on S3 and SQS, of the local stand-in."""
    with deployment_folder() as folder, running_stack(folder, "aws") as stack:
        yield stack


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Half a minute of human speech, music and a picture."""
    path: Path = tmp_path_factory.mktemp("clip") / "talk.mp4"
    return asyncio.run(build_clip(path, 30.0, size=(640, 360)))
