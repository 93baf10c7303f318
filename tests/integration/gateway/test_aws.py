"""The AWS shape: objects in S3, the outbox relayed to SQS."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from onevoice_kit.queue.relay import OutboxRelay
from onevoice_kit.queue.sqs import SqsQueue
from onevoice_kit.testing.waiting import eventually
from onevoice_local.aws import Aws
from services.gateway.housekeeping import LAG, RELAY
from tests.integration.gateway.conftest import MP4, Gateway, User, announce, assert_problem


def settings_for(aws: Aws) -> dict[str, Any]:
    """The gateway's settings for one set of AWS resources."""
    chosen = {**aws.storage_settings().model_dump(), **aws.queue_settings().model_dump(exclude_unset=True)}
    wanted = ("aws_", "s3_", "sqs_", "use_sqs", "storage_backend")
    return {name: value for name, value in chosen.items() if name.startswith(wanted)}


@pytest.fixture
def options(aws: Aws) -> dict[str, Any]:
    return settings_for(aws)


async def send_to_s3(request: dict[str, Any], content: bytes) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        if request["method"] == "POST":
            files = {"file": ("file", content)}
            return await client.post(request["url"], data=request["fields"], files=files, headers=request["headers"])
        return await client.put(request["url"], content=content, headers=request["headers"])


async def ready_video(user: User) -> str:
    created = (await user.client.post("/api/videos", json=announce())).json()
    sent = await send_to_s3(created["upload"], MP4)
    assert sent.is_success, sent.text
    completed = await user.client.post(f"/api/videos/{created['video']['id']}/complete")
    assert completed.status_code == 200, completed.text
    video_id: str = created["video"]["id"]
    return video_id


async def received(aws: Aws) -> dict[str, Any]:
    """The body of the one message in the queue."""
    queue = SqsQueue(aws.queue_settings())
    try:
        (delivery,) = await queue.receive(wait_s=20)
    finally:
        await queue.close()
    body: dict[str, Any] = json.loads(delivery.body)
    return body


async def test_a_job_for_a_video_in_s3_reaches_the_queue(gateway: Gateway, ada: User, aws: Aws) -> None:
    video_id = await ready_video(ada)
    job = await ada.client.post(f"/api/videos/{video_id}/dub", json={"target_languages": ["es"]})
    assert job.status_code == 202, job.text
    body = await received(aws)
    assert (body["messageType"], body["jobId"], body["videoId"]) == ("DUBBING_JOB", job.json()["id"], video_id)
    health = (await ada.client.get("/api/monitoring/health")).json()
    assert (health["storage"]["status"], health["queue"]["status"]) == ("ok", "ok")


async def test_a_relay_that_dies_is_started_again_and_jobs_reach_the_queue(
    gateway: Gateway, ada: User, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(_relay: OutboxRelay) -> None:
        raise RuntimeError("an error of the code")

    async def failing() -> bool:
        return RELAY in background.failing()

    background = gateway.background
    with monkeypatch.context() as patched:
        patched.setattr(OutboxRelay, "run", dies)
        running = background.running(RELAY)
        assert running is not None
        running.cancel()
        await eventually(failing)
        assert_problem(await ada.client.get("/readyz"), 503, "background_work_failing")
        job = await ada.client.post(f"/api/videos/{await ready_video(ada)}/dub", json={"target_languages": ["es"]})
        assert job.status_code == 202, job.text
    assert (await received(aws))["jobId"] == job.json()["id"]


async def test_the_lag_of_the_outbox_is_measured_while_the_relay_is_dead(
    gateway: Gateway, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(_relay: OutboxRelay) -> None:
        raise RuntimeError("an error of the code")

    async def seen() -> bool:
        return (REGISTRY.get_sample_value("outbox_lag_seconds") or 0) > 0

    monkeypatch.setattr(OutboxRelay, "run", dies)
    monkeypatch.setattr("services.gateway.housekeeping._LAG_INTERVAL_S", 0.05)
    background = gateway.background
    for name in (RELAY, LAG):
        running = background.running(name)
        if running is not None:
            running.cancel()
    job = await ada.client.post(f"/api/videos/{await ready_video(ada)}/dub", json={"target_languages": ["es"]})
    assert job.status_code == 202, job.text
    await eventually(seen)


async def test_the_original_is_read_from_s3(gateway: Gateway, ada: User) -> None:
    video_id = await ready_video(ada)
    address = (await ada.client.get(f"/api/videos/{video_id}/stream-url")).json()["url"]
    async with httpx.AsyncClient() as client:
        part = await client.get(address, headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, MP4[4:8])


class TestInParts:
    @pytest.fixture
    def options(self, aws: Aws) -> dict[str, Any]:
        return {**settings_for(aws), "multipart_threshold_bytes": 1 << 20, "multipart_part_bytes": 5 << 20}

    async def test_a_large_file_goes_to_s3_in_parts(self, gateway: Gateway, ada: User) -> None:
        content = MP4 + bytes(6 << 20)
        created = (await ada.client.post("/api/videos", json=announce(content))).json()
        size, parts = created["multipart"]["part_size"], []
        for part in created["multipart"]["upload"]:
            start = (part["number"] - 1) * size
            sent = await send_to_s3(part, content[start : start + part["size"]])
            assert sent.is_success, sent.text
            parts.append({"number": part["number"], "etag": sent.headers["etag"]})
        complete = f"/api/videos/{created['video']['id']}/complete"
        completed = await ada.client.post(complete, json={"parts": parts})
        assert completed.status_code == 200, completed.text
        assert completed.json()["sha256"] == announce(content)["sha256"]


async def test_what_s3s_stand_in_lets_through_is_found_out_and_deleted(gateway: Gateway, ada: User) -> None:
    created = (await ada.client.post("/api/videos", json=announce())).json()
    key = f"users/{ada.id}/videos/{created['video']['id']}/original.mp4"
    await gateway.storage.put_bytes(key, MP4[:-1] + b"!", "video/mp4")
    response = await ada.client.post(f"/api/videos/{created['video']['id']}/complete")
    assert_problem(response, 422, "checksum_mismatch")
    assert await gateway.storage.head(key) is None


async def test_there_are_no_storage_addresses_at_the_gateway(gateway: Gateway) -> None:
    async with gateway.client() as nobody:
        assert_problem(await nobody.get("/storage/users/x"), 404, "route_not_found")
