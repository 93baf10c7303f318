"""Deployments and clips, made once for all end-to-end tests of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from onevoice_cli.sample import Clip, build_clip
from tests.e2e.stack import Stack, deployment_folder, running_stack


@pytest.fixture(scope="session")
def local_stack() -> Iterator[Stack]:
    """A deployment on files and the database outbox."""
    with deployment_folder() as folder, running_stack(folder, "local") as stack:
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
