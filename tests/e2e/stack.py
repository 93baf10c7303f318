"""A whole deployment as a user starts it: `onevoice up` in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Stack:
    """A running deployment."""

    url: str
    api_key: str
    data: Path
    shape: str
    process: subprocess.Popen[bytes]

    def client(self, *, timeout: float = 60.0) -> httpx.Client:
        """A REST client of the local user."""
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False)

    def onevoice(self, *arguments: str, timeout: float = 600.0) -> subprocess.CompletedProcess[str]:
        """Runs the command line against this deployment."""
        environment = os.environ | {"ONEVOICE_URL": self.url, "ONEVOICE_API_KEY": self.api_key}
        return subprocess.run(
            [sys.executable, "-m", "onevoice_cli", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def objects(self) -> set[str]:
        """Every stored object, by path; of the file store only."""
        folder = self.data / "objects"
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@contextmanager
def deployment_folder() -> Iterator[Path]:
    """A folder for a deployment's data; not one of pytest's, which it closes to PostgreSQL's system user."""
    with tempfile.TemporaryDirectory(prefix="onevoice-e2e-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def running_stack(data: Path, shape: str, **environment: str) -> Iterator[Stack]:
    """Starts a deployment of a shape (`local` or `aws`) on a folder, and stops it as Ctrl-C would."""
    data.mkdir(parents=True, exist_ok=True)
    log = data / "up.log"
    command = [sys.executable, "-m", "onevoice_cli", "up", "--data", str(data), "--port", "0"]
    command += ["--aws"] if shape == "aws" else []
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=os.environ | environment)
        try:
            url, key = _started(process, data, log)
            yield Stack(url, key, data, shape, process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(STOP_TIMEOUT_S)


def _started(process: subprocess.Popen[bytes], data: Path, log: Path) -> tuple[str, str]:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"`onevoice up` ended with {process.returncode}:\n{log.read_text()}")
        if b"OneVoice runs at" in log.read_bytes():
            known = tomllib.loads((data / "client.toml").read_text())
            return known["url"], known["api_key"]
        time.sleep(0.1)
    raise AssertionError(f"`onevoice up` was not ready in time:\n{log.read_text()}")
