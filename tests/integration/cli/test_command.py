"""The `onevoice` command as a process: one sentence, the right exit code, never a traceback."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from onevoice_cli.launcher.services import free_ports

ROOT = Path(__file__).parents[3]


class Command:
    """A started `onevoice`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.seen = ""

    async def until(self, text: str) -> None:
        assert self.process.stdout is not None
        while text not in self.seen:
            line = (await self.process.stdout.readline()).decode()
            assert line, f"{text!r} never came after {self.seen!r}"
            self.seen += line

    async def end(self) -> tuple[int, str, str]:
        out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, self.seen + out.decode(), err.decode()


@pytest.fixture
def onevoice(tmp_path, rest):
    """Starts the command in an empty folder, with this server in its environment unless `env` has another."""

    async def start(*arguments: str, **env: str) -> Command:
        paths = os.pathsep.join(str(ROOT / part) for part in ("", "libs", "gen", "cli"))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ONEVOICE")}
        given = {"ONEVOICE_URL": rest.url, "ONEVOICE_API_KEY": "ov_test", "ONEVOICE_DATA": str(tmp_path / "data")} | env
        return Command(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "onevoice_cli", *arguments),
                cwd=tmp_path,
                env={**clean, "PYTHONPATH": paths, **given},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        )

    return start


async def outcome(command: Command) -> tuple[int, str]:
    """Exit code and the one line on standard error."""
    code, _, err = await command.end()
    assert "Traceback" not in err
    assert err.count("\n") == 1, err
    return code, err.strip()


async def test_a_finished_dub_exits_with_zero_and_plain_lines(onevoice, video, tmp_path):
    code, out, err = await (await onevoice("dub", str(video), "--to", "es")).end()
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert (tmp_path / "my talk-dubbed" / "my talk.es.mp4").exists()


async def test_a_missing_file(onevoice):
    code, said = await outcome(await onevoice("dub", "none.mp4", "--to", "es"))
    assert (code, said) == (1, "onevoice: There is no file none.mp4. [file_missing]")


async def test_no_server(onevoice, video):
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    code, said = await outcome(await onevoice("dub", str(video), "--to", "es", ONEVOICE_URL=url))
    assert (code, said) == (
        3,
        f"onevoice: No server answers at {url}; `onevoice up` starts one on this machine. [no_server]",
    )


async def test_no_configuration(onevoice, video):
    code, said = await outcome(await onevoice("dub", str(video), "--to", "es", ONEVOICE_URL="", ONEVOICE_API_KEY=""))
    assert code == 1
    assert "`onevoice up`" in said


async def test_a_key_that_is_not_known(onevoice, video):
    code, said = await outcome(await onevoice("dub", str(video), "--to", "es", "--api-key", "ov_wrong"))
    assert (code, said) == (4, "onevoice: The API key is not valid. [invalid_api_key]")


async def test_a_server_that_is_something_else(onevoice, video, rest):
    code, said = await outcome(await onevoice("status", ONEVOICE_URL=f"{rest.url}/elsewhere"))
    assert code == 1
    assert "answered 404" in said


async def test_a_failed_job(onevoice, video, rest):
    rest.job_error = {"reason": "no_speech", "message": "The video has no speech."}
    code, said = await outcome(await onevoice("dub", str(video), "--to", "es"))
    assert (code, said) == (1, "onevoice: The job failed: The video has no speech. [no_speech]")


async def test_a_failed_language_exits_with_one(onevoice, video, rest):
    rest.language_errors["ca"] = "No engine speaks it."
    code, out, _ = await (await onevoice("dub", str(video), "--to", "es,ca")).end()
    assert code == 1
    assert "ca failed: No engine speaks it." in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interrupted_dub_cancels_its_job(onevoice, video, rest, number, code):
    rest.runs_forever = True
    command = await onevoice("dub", str(video), "--to", "es")
    await command.until("transcribe")
    command.process.send_signal(number)
    ended, out, err = await command.end()
    assert (ended, err) == (code, "")
    assert rest.cancelled
    assert "cancelling the job" in out


async def test_status_shows_parts_and_jobs(onevoice):
    code, out, _ = await (await onevoice("status")).end()
    assert code == 0
    for expected in ("database", "asr", "job-1", "completed"):
        assert expected in out


async def test_debug_shows_the_traceback(onevoice):
    code, _, err = await (await onevoice("dub", "none.mp4", "--to", "es", "--debug")).end()
    assert code == 1
    assert "Traceback" in err
    assert "file_missing" in err or "There is no file" in err


async def test_migrate_without_a_database(onevoice):
    code, said = await outcome(await onevoice("migrate", DATABASE_URL=""))
    assert (code, said) == (2, "onevoice: DATABASE_URL is not set. [not_configured]")
