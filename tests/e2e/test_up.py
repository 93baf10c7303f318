"""`onevoice up`: stops cleanly, leaves nothing running, and goes on where it was."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from onevoice_cli.sample import Clip
from tests.e2e.stack import Stack, deployment_folder, running_stack
from tests.e2e.test_bad_input import ended, upload


@pytest.fixture
def data() -> Iterator[Path]:
    """An empty folder for a deployment."""
    with deployment_folder() as folder:
        yield folder


def processes_of(data: Path) -> list[str]:
    """Command lines and environments that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue  # it has just ended
        if str(data).encode() in told and b"pytest" not in told.split(b"\0")[1:2]:
            found.append(told.split(b"\0")[0].decode() + f" ({entry.name})")
    return found


def start_job(stack: Stack, client: httpx.Client, path: Path) -> str:
    """Uploads a video and starts its job."""
    video = upload(client, path)
    assert video.status_code == 200, video.text
    job = client.post(f"/api/videos/{video.json()['id']}/dub", json={"target_languages": ["es"]})
    assert job.status_code == 202, job.text
    job_id: str = job.json()["id"]
    return job_id


def test_a_job_that_was_running_when_it_stopped_is_finished_when_it_starts_again(clip: Clip, data: Path) -> None:
    with running_stack(data, "local") as stack, stack.client() as client:
        job_id = start_job(stack, client, clip.path)
        while client.get(f"/api/jobs/{job_id}").json()["status"] == "pending":
            time.sleep(0.05)
        key = stack.api_key
    assert processes_of(data) == []
    with running_stack(data, "local") as stack, stack.client() as client:
        assert stack.api_key == key
        job = ended(client, job_id)
        assert job["status"] == "completed"
        items = client.get(f"/api/jobs/{job_id}/download").json()["items"]
        (video,) = [item for item in items if item["kind"] == "video"]
        content = httpx.get(video["url"], timeout=60).raise_for_status().content
        assert hashlib.sha256(content).hexdigest() == video["sha256"]
    assert processes_of(data) == []


def test_a_second_start_on_the_same_folder_is_refused_in_one_sentence(data: Path) -> None:
    with running_stack(data, "local") as stack:
        second = stack.onevoice("up", "--data", str(data), "--port", "0", timeout=60)
    assert second.returncode != 0
    assert "Traceback" not in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1


def test_status_shows_the_health_of_the_deployment(local_stack: Stack) -> None:
    done = local_stack.onevoice("status")
    assert done.returncode == 0, done.stderr
    for name in ("database", "storage", "asr", "translate", "tts", "mixer", "billing"):
        assert name in done.stdout


def test_a_wrong_key_and_a_missing_server_are_one_sentence_each(local_stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "talk.mp4"
    file.write_bytes(b"x")
    wrong = local_stack.onevoice("dub", str(file), "--to", "es", "--api-key", "ov_wrong")
    away = local_stack.onevoice("dub", str(file), "--to", "es", "--url", "http://127.0.0.1:9")
    for done in (wrong, away):
        assert done.returncode not in (0, 1)
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/healthz", "/readyz"])
def test_the_pages_for_people_and_probes_answer(local_stack: Stack, path: str) -> None:
    assert httpx.get(local_stack.url + path).status_code == 200


def test_sound_without_a_picture_is_dubbed_too(local_stack: Stack, clip: Clip, tmp_path: Path) -> None:
    sound = tmp_path / "podcast.m4a"
    command = ["ffmpeg", "-v", "error", "-i", str(clip.path), "-vn", "-c:a", "copy", str(sound)]
    subprocess.run(command, check=True, timeout=60)
    done = local_stack.onevoice("dub", str(sound), "--to", "ca", "--from", "en", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "podcast.ca.m4a").stat().st_size > 10_000
