"""`onevoice up` as a user runs it: the seven real services, PostgreSQL, signals, restarts."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import httpx
import pytest

from onevoice_cli.files import read_toml
from onevoice_cli.launcher.services import free_ports

pytestmark = [pytest.mark.xdist_group("launcher"), pytest.mark.slow]
ROOT = Path(__file__).parents[3]
SERVICES = ("asr", "translate", "tts", "mixer", "billing", "orchestrator", "gateway")


class Up:
    """A started `onevoice up` on a folder."""

    def __init__(self, data: Path, process: asyncio.subprocess.Process) -> None:
        self.data = data
        self.process = process
        self.seen = ""

    @classmethod
    async def start(cls, data: Path, *arguments: str, **env: str) -> Up:
        paths = os.pathsep.join(str(ROOT / part) for part in ("", "libs", "gen", "cli"))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ONEVOICE")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "onevoice_cli", "up", "--data", str(data), *arguments),
            env={**clean, "PYTHONPATH": paths, **env},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return cls(data, process)

    async def until(self, text: str) -> str:
        """Reads what it prints until this comes; returns the line."""
        assert self.process.stdout is not None
        while True:
            line = (await self.process.stdout.readline()).decode()
            assert line, f"{text!r} never came after {self.seen!r}"
            self.seen += line
            if text in line:
                return line

    async def end(self, number: signal.Signals | None = None) -> int:
        """Sends the signal and reads until it has ended; returns the exit code."""
        if number is not None:
            self.process.send_signal(number)
        out, _ = await self.process.communicate()
        self.seen += out.decode()
        assert self.process.returncode is not None
        return self.process.returncode

    def stop_reading(self) -> None:
        """Closes our end of its standard output, as a closed terminal does."""
        pipe = self.process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
        pipe.close()

    def client(self) -> httpx.AsyncClient:
        """As the client that was made for this deployment."""
        kept = read_toml(self.data / "client.toml")
        return httpx.AsyncClient(base_url=kept["url"], headers={"Authorization": f"Bearer {kept['api_key']}"})


def processes_of(data: Path) -> dict[int, str]:
    """Every living process whose command line or environment names the folder, except this one."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            words = command + b"\0" + (entry / "environ").read_bytes()
        except OSError:  # it has ended meanwhile, or is not ours
            continue
        if command and os.fsencode(data) in words:
            found[int(entry.name)] = command.replace(b"\0", b" ").decode()
    return found


def service_pid(data: Path, name: str) -> int:
    (pid,) = [pid for pid, command in processes_of(data).items() if command.rstrip().endswith(f"-m services.{name}")]
    return pid


async def until_gone(data: Path) -> None:
    """Waits until no process of the folder runs; the test's own timeout is the limit."""
    while processes_of(data):  # noqa: ASYNC110 - other people's children give no event
        await asyncio.sleep(0.05)


@pytest.fixture
def data():
    """
    A data folder; whatever a failed test left running on it is killed. Not one of pytest's, which every session
    closes anew to other users, such as the one PostgreSQL runs as for root.
    """
    parent = Path(tempfile.mkdtemp(prefix="onevoice-up-"))
    yield parent / "data"
    for pid in processes_of(parent / "data"):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(parent)


async def test_a_deployment_starts_serves_heals_and_leaves_nothing_behind(data):
    up = await Up.start(data, "--port", "0")
    await up.until("OneVoice runs at")
    await up.until("Ctrl-C")
    for name in (*SERVICES, "postgres"):
        assert f"{name:<13}healthy in" in up.seen
    assert f"{read_toml(data / 'client.toml')['url']}/docs" in up.seen
    assert str(data / "client.toml") in up.seen
    for private in ("client.toml", "secrets.toml"):
        assert (data / private).stat().st_mode & 0o777 == 0o600

    async with up.client() as client:
        health = (await client.get("/api/monitoring/health")).json()
        assert health["status"] == "ok"
        assert (await client.get("/docs")).status_code == 200

    second = await Up.start(data, "--port", "0")
    assert await second.end() == 1
    expected = f"Another `onevoice up` (process {up.process.pid}) already runs on {data}. [already_running]"
    assert second.seen == f"onevoice: {expected}\n"

    os.kill(service_pid(data, "tts"), signal.SIGKILL)
    assert "tts was ended by signal SIGKILL" in await up.until("restarting")
    await up.until("tts          healthy")

    assert await up.end(signal.SIGTERM) == 0
    assert processes_of(data) == {}
    assert up.seen.index("gateway      stopped") < up.seen.index("asr          stopped")
    assert up.seen.rstrip().splitlines()[-1].startswith("postgres     stopped")


async def test_a_restart_on_the_same_folder_loses_nothing_even_after_a_kill(data):
    up = await Up.start(data, "--port", "0")
    await up.until("Ctrl-C")
    key = read_toml(data / "client.toml")["api_key"]
    announced = {"filename": "talk.mp4", "content_type": "video/mp4", "size": 10, "sha256": "0" * 64}
    async with up.client() as client:
        video = (await client.post("/api/videos", json=announced)).json()["video"]
    assert await up.end(signal.SIGINT) == 0
    assert processes_of(data) == {}

    again = await Up.start(data, "--port", "0")
    await again.until("Ctrl-C")
    async with again.client() as client:
        assert (await client.get(f"/api/videos/{video['id']}")).json()["filename"] == "talk.mp4"
    again.process.kill()
    await again.end()
    await until_gone(data)

    third = await Up.start(data, "--port", "0")
    await third.until("Ctrl-C")
    assert read_toml(data / "client.toml")["api_key"] == key
    async with third.client() as client:
        assert (await client.get(f"/api/videos/{video['id']}")).status_code == 200
    os.kill(int((data / "postgres" / "pgdata" / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
    await third.until("postgres     healthy")
    async with third.client() as client:
        assert (await client.get(f"/api/videos/{video['id']}")).status_code == 200
    third.stop_reading()
    assert await third.end(signal.SIGHUP) == 0
    assert processes_of(data) == {}


async def test_the_aws_shape_starts_and_warns_that_its_objects_are_in_memory(data):
    up = await Up.start(data, "--port", "0", "--aws")
    await up.until("OneVoice runs at")
    await up.until("Ctrl-C")
    assert "in memory" in up.seen
    announced = {"filename": "talk.mp4", "content_type": "video/mp4", "size": 4, "sha256": "0" * 64}
    async with up.client() as client:
        assert (await client.get("/api/monitoring/health")).json()["status"] == "ok"
        upload = (await client.post("/api/videos", json=announced)).json()["upload"]
    assert "/onevoice/" in upload["url"]
    assert await up.end(signal.SIGTERM) == 0
    assert processes_of(data) == {}


async def test_a_port_in_use_is_one_sentence_and_nothing_is_started(data):
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    up = await Up.start(data, "--port", str(port))
    assert await up.end() == 1
    server.close()
    sentence = f"onevoice: Port {port} on 127.0.0.1 is in use; choose another one with --port. [port_in_use]"
    assert up.seen.strip().splitlines() == [sentence]


async def test_a_service_that_cannot_start_is_named_with_its_reason_and_the_rest_is_stopped(data):
    up = await Up.start(data, "--port", str(free_ports(1)[0]), GRPC_MAX_CONCURRENT_RPCS="many")
    assert await up.end() == 3
    last = up.seen.strip().splitlines()[-1]
    assert last.startswith("onevoice: ")
    assert "while starting" in last
    assert str(data / "logs") in last
    assert "Traceback" not in up.seen
    assert processes_of(data) == {}


async def test_a_stop_while_starting_is_clean(data):
    up = await Up.start(data, "--port", "0")
    await up.until("healthy")
    assert await up.end(signal.SIGINT) == 0
    assert "Traceback" not in up.seen
    assert processes_of(data) == {}


async def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    up = await Up.start(tmp_path / "file" / "data")
    assert await up.end() == 1
    assert up.seen.startswith("onevoice: The data folder")
