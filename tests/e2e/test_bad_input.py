"""Bad input ends in a typed error that names the cause; the job has failed, credits are back, nothing is left."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import bad_media
from tests.e2e.stack import Stack

REJECTED = [
    (bad_media.text, {"not_media"}),
    (bad_media.truncated, {"truncated_media"}),
    (bad_media.headless, {"truncated_media"}),
    (bad_media.silent_film, {"no_audio"}),
    (bad_media.playlist, {"forbidden_format", "not_media"}),
    (bad_media.concat_list, {"forbidden_format", "not_media"}),
    (bad_media.huge_picture, {"picture_too_large"}),
    (bad_media.many_streams, {"too_many_streams"}),
]


def announce(client: httpx.Client, path: Path, **changes: Any) -> httpx.Response:
    """Announces a video file."""
    data = path.read_bytes()
    body = {
        "filename": path.name,
        "content_type": "video/mp4",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return client.post("/api/videos", json=body | changes)


def send(created: dict[str, Any], data: bytes) -> httpx.Response:
    """Sends the bytes as the server asked for them."""
    upload = created["upload"]
    headers = {name: value for name, value in upload["headers"].items() if name.lower() != "content-length"}
    return httpx.request(upload["method"], upload["url"], headers=headers, content=data, timeout=60)


def upload(client: httpx.Client, path: Path) -> httpx.Response:
    """Announces, sends and completes a video; the answer of the completion."""
    created = announce(client, path)
    assert created.status_code == 201, created.text
    send(created.json(), path.read_bytes()).raise_for_status()
    return client.post(f"/api/videos/{created.json()['video']['id']}/complete", json={})


def available_credits(client: httpx.Client) -> int:
    """Credits that can be spent."""
    quote = client.post("/api/billing/quote", json={"duration_ms": 1000, "target_languages": ["es"]})
    available: int = quote.json()["available_credits"]
    return available


def ended(client: httpx.Client, job_id: str, timeout_s: float = 600) -> dict[str, Any]:
    """The job once it has ended."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        job: dict[str, Any] = client.get(f"/api/jobs/{job_id}").json()
        if job["status"] in ("completed", "failed", "cancelled"):
            return job
        time.sleep(0.1)
    raise AssertionError(f"the job did not end: {job}")


@pytest.mark.parametrize(("make", "reasons"), REJECTED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_file_that_cannot_be_dubbed_is_refused_and_deleted(
    local_stack: Stack, tmp_path: Path, make: bad_media.Make, reasons: set[str]
) -> None:
    make(path := tmp_path / "bad.mp4")
    before = local_stack.objects()
    with local_stack.client() as client:
        answer = upload(client, path)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] in reasons
    assert local_stack.objects() == before


@pytest.mark.parametrize("make", [bad_media.silence, bad_media.music_only])
def test_a_video_without_speech_fails_its_job_for_nothing(
    local_stack: Stack, tmp_path: Path, make: bad_media.Make
) -> None:
    make(path := tmp_path / "speechless.mp4")
    with local_stack.client() as client:
        video = upload(client, path)
        assert video.status_code == 200, video.text
        objects, money = local_stack.objects(), available_credits(client)
        job = client.post(f"/api/videos/{video.json()['id']}/dub", json={"target_languages": ["es"]})
        assert job.status_code == 202, job.text
        failed = ended(client, job.json()["id"])
        assert (failed["status"], failed["error"]["reason"]) == ("failed", "no_speech")
        assert available_credits(client) == money
    assert local_stack.objects() == objects


def test_an_empty_file_is_refused_before_it_is_sent(local_stack: Stack, tmp_path: Path) -> None:
    bad_media.empty(path := tmp_path / "empty.mp4")
    with local_stack.client() as client:
        answer = announce(client, path)
    assert (answer.status_code, answer.json()["reason"]) == (422, "empty_file")


def test_a_file_larger_than_the_limit_is_refused_before_it_is_sent(local_stack: Stack, tmp_path: Path) -> None:
    bad_media.text(path := tmp_path / "large.mp4")
    with local_stack.client() as client:
        answer = announce(client, path, size=6 << 30)
    assert (answer.status_code, answer.json()["reason"]) == (413, "file_too_large")


def test_other_bytes_than_announced_are_refused_and_deleted(local_stack: Stack, tmp_path: Path) -> None:
    bad_media.speech(path := tmp_path / "talk.mp4")
    before = local_stack.objects()
    with local_stack.client() as client:
        created = announce(client, path, sha256="0" * 64).json()
        sent = send(created, path.read_bytes())
        answer = client.post(f"/api/videos/{created['video']['id']}/complete", json={})
    assert sent.status_code == 422 or answer.json()["reason"] == "checksum_mismatch"
    assert answer.status_code in (409, 422)
    assert local_stack.objects() == before


def test_more_bytes_than_announced_are_refused(local_stack: Stack, tmp_path: Path) -> None:
    bad_media.text(path := tmp_path / "more.mp4")
    with local_stack.client() as client:
        created = announce(client, path).json()
    assert send(created, path.read_bytes() * 2).status_code in (400, 413, 422)


def test_an_unsupported_pair_of_languages_is_refused_and_costs_nothing(local_stack: Stack, tmp_path: Path) -> None:
    bad_media.speech(path := tmp_path / "talk.mp4")
    with local_stack.client() as client:
        video = upload(client, path)
        assert video.status_code == 200, video.text
        money = available_credits(client)
        job = client.post(f"/api/videos/{video.json()['id']}/dub", json={"target_languages": ["tlh"]})
        assert (job.status_code, job.json()["reason"]) == (422, "unsupported_language_pair")
        assert available_credits(client) == money


@pytest.mark.parametrize(
    ("make", "cause"),
    [(bad_media.empty, "empty"), (bad_media.text, "media"), (bad_media.silence, "speech")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_the_command_line_names_the_cause_in_one_sentence(
    local_stack: Stack, tmp_path: Path, make: bad_media.Make, cause: str
) -> None:
    make(path := tmp_path / "bad.mp4")
    done = local_stack.onevoice("dub", str(path), "--to", "es", "--out", str(tmp_path / "out"))
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert cause in last.lower()
    assert "Traceback" not in done.stdout + done.stderr
    assert not any((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True
