"""Uploads: single and in parts, verified by size, checksum and content."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from onevoice_kit.db import transaction
from services.gateway.uploads.repository import uploads
from tests.integration.gateway.conftest import MP4, Gateway, User, announce, assert_problem, send

WAV = b"RIFF\x24\x08\x00\x00WAVEfmt " + bytes(1000)
SRT = "1\n00:00:01,000 --> 00:00:02,000\nHallo, Welt – größer.\n".encode()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
FILES = [
    ("voice", WAV, "audio/wav"),
    ("background", WAV, "audio/wav"),
    ("voice_sample", WAV, "audio/wav"),
    ("subtitle", SRT, "application/x-subrip"),
    ("avatar", PNG, "image/png"),
    ("video", MP4, "video/mp4"),
]


async def upload(user: User, kind: str, content: bytes, content_type: str) -> dict[str, Any]:
    """A file that has been sent but not completed."""
    body = {**announce(content, content_type=content_type), "kind": kind}
    created = await user.client.post("/api/uploads", json=body)
    assert created.status_code == 201, created.text
    upload: dict[str, Any] = created.json()
    assert (await send(user.client, upload["upload"], content)).status_code == 200
    return upload


@pytest.mark.parametrize(("kind", "content", "content_type"), FILES)
async def test_a_file_is_uploaded_and_verified(ada: User, kind: str, content: bytes, content_type: str) -> None:
    begun = await upload(ada, kind, content, content_type)
    completed = await ada.client.post(f"/api/uploads/{begun['id']}/complete")
    assert completed.status_code == 200, completed.text
    assert completed.json() == {
        "id": begun["id"],
        "kind": kind,
        "status": "completed",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "content_type": content_type,
    }
    assert (await ada.client.post(f"/api/uploads/{begun['id']}/complete")).json() == completed.json()


@pytest.mark.parametrize(
    ("kind", "content"), [("avatar", SRT), ("subtitle", PNG), ("voice", SRT), ("video", WAV), ("video", b"#EXTM3U\n")]
)
async def test_content_of_another_kind_is_deleted(gateway: Gateway, ada: User, kind: str, content: bytes) -> None:
    begun = await upload(ada, kind, content, "application/octet-stream")
    complete = f"/api/uploads/{begun['id']}/complete"
    assert_problem(await ada.client.post(complete), 422, "content_mismatch")
    assert gateway.stored() == []
    assert_problem(await ada.client.post(complete), 409, "upload_closed")


async def test_another_users_upload_is_not_found(ada: User, bob: User) -> None:
    begun = await upload(ada, "voice", WAV, "audio/wav")
    assert_problem(await bob.client.post(f"/api/uploads/{begun['id']}/complete"), 404, "upload_not_found")


class TestInParts:
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"multipart_threshold_bytes": 1 << 20, "multipart_part_bytes": 5 << 20}

    @pytest.fixture
    def content(self) -> bytes:
        return MP4 + bytes(11 << 20)

    async def begin(self, user: User, content: bytes) -> dict[str, Any]:
        created = (await user.client.post("/api/videos", json=announce(content))).json()
        assert created["upload"] is None
        return dict(created)

    async def send_parts(self, user: User, created: dict[str, Any], content: bytes) -> list[dict[str, Any]]:
        part_size = created["multipart"]["part_size"]
        sent = []
        for part in created["multipart"]["upload"]:
            start = (part["number"] - 1) * part_size
            response = await send(user.client, part, content[start : start + part["size"]])
            assert response.status_code == 200, response.text
            sent.append({"number": part["number"], "etag": response.headers["etag"]})
        return sent

    async def test_a_large_file_goes_in_parts(self, gateway: Gateway, ada: User, content: bytes) -> None:
        created = await self.begin(ada, content)
        assert [part["size"] for part in created["multipart"]["upload"]] == [5 << 20, 5 << 20, (1 << 20) + len(MP4)]
        parts = await self.send_parts(ada, created, content)
        complete = f"/api/videos/{created['video']['id']}/complete"
        completed = await ada.client.post(complete, json={"parts": parts})
        assert completed.status_code == 200, completed.text
        assert completed.json()["sha256"] == hashlib.sha256(content).hexdigest()
        assert (await ada.client.post(complete, json={"parts": parts})).json() == completed.json()

    async def test_a_missing_part_is_reported_and_can_be_sent_later(self, ada: User, content: bytes) -> None:
        created = await self.begin(ada, content)
        parts = await self.send_parts(ada, created, content)
        complete = f"/api/videos/{created['video']['id']}/complete"
        assert_problem(await ada.client.post(complete, json={"parts": parts[:-1]}), 422, "invalid_parts")
        wrong = [*parts[:-1], {"number": 3, "etag": '"0000"'}]
        assert_problem(await ada.client.post(complete, json={"parts": wrong}), 422, "invalid_parts")
        assert (await ada.client.post(complete, json={"parts": parts})).status_code == 200

    async def test_parts_with_other_content_are_found_out(self, gateway: Gateway, ada: User, content: bytes) -> None:
        created = await self.begin(ada, content)
        parts = await self.send_parts(ada, created, content[:-1] + b"!")
        complete = f"/api/videos/{created['video']['id']}/complete"
        assert_problem(await ada.client.post(complete, json={"parts": parts}), 422, "checksum_mismatch")
        assert gateway.stored() == []

    async def test_an_abandoned_upload_is_dropped_after_a_day(
        self, gateway: Gateway, ada: User, content: bytes
    ) -> None:
        created = await self.begin(ada, content)
        await self.send_parts(ada, created, content)
        await gateway.removals.remove_stale()
        async with transaction(gateway.database) as connection:
            assert (await connection.execute(select(func.count()).select_from(uploads))).scalar_one() == 1
            await connection.execute(update(uploads).values(expires_at=func.now() - timedelta(hours=25)))
        await gateway.removals.remove_stale()
        async with transaction(gateway.database) as connection:
            assert (await connection.execute(select(func.count()).select_from(uploads))).scalar_one() == 0
        assert not [path for path in gateway.objects.rglob("*") if path.is_file() and path.stat().st_size > 1000]
