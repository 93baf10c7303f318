"""Fixtures for every test: databases, stores and a local AWS, each fresh, on servers shared within the session."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from onevoice_kit.storage.file import FileStorage
from onevoice_kit.testing.storage import file_storage as open_file_storage
from onevoice_local.aws import Aws, AwsServer, aws_server
from onevoice_local.databases import PostgresDatabases, postgres_server

_POSTGRES_DIR = "ONEVOICE_TEST_POSTGRES_DIR"
_LIGHT = {
    "ASR_TRANSCRIPTION_ENGINES": "pocketsphinx",
    "TTS_ENGINES": "espeak",
    "TRANSLATE_ENGINES": "apertium",
    "TRANSLATE_MEANING": "none",
    "ASR_DIARIZATION_ENGINES": "single",
    "ASR_SEPARATION_ENGINES": "none",
}
"""Engines of tests that judge neither words nor speakers: they start sooner than the neural ones, and what was fetched
on this machine counts for nothing. A test may set others."""
_PATIENT = {"DATABASE_CONNECT_TIMEOUT_S": "60"}
"""After 5 s without a connection a service tries again; a test that calls something once does not, and on a machine
with ten times more work than cores the server takes so long. Tests of silence set a time of their own."""
_is_worker = "PYTEST_XDIST_WORKER" in os.environ


def pytest_configure() -> None:
    """A session's workers share one folder, and so one server; pytest's own folders are closed to other users."""
    for name, value in (_LIGHT | _PATIENT).items():
        os.environ.setdefault(name, value)
    if not _is_worker:
        os.environ[_POSTGRES_DIR] = tempfile.mkdtemp(prefix="onevoice-test-postgres-")


def pytest_unconfigure() -> None:
    """The session's databases go with it; the last worker has stopped the server by now."""
    if not _is_worker:
        shutil.rmtree(os.environ.pop(_POSTGRES_DIR), ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresDatabases]:
    """The session's server, to make databases on; `prepare_template` and `fresh` make migrated ones cheap."""
    with postgres_server(Path(os.environ[_POSTGRES_DIR])) as databases:
        yield databases


@pytest.fixture
async def postgres_url(postgres: PostgresDatabases) -> AsyncIterator[str]:
    """The address of an empty database of one's own."""
    async with postgres.fresh() as url:
        yield url


@pytest.fixture
def file_storage(tmp_path: Path) -> FileStorage:
    """A file store on an empty folder."""
    return open_file_storage(tmp_path / "objects")


@pytest.fixture(scope="session")
def local_aws() -> Iterator[AwsServer]:
    """The worker's local stand-in for AWS."""
    with aws_server() as server:
        yield server


@pytest.fixture
def aws(local_aws: AwsServer) -> Aws:
    """An empty bucket and queues of one's own on the local stand-in."""
    return local_aws.create()
