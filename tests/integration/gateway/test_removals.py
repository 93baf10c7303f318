"""Files of deleted and refused videos stay away; no database connection is held while the storage or billing works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text

from onevoice_kit.db import transaction, uuid7
from onevoice_kit.errors import PreconditionFailed, Unavailable
from onevoice_kit.storage.s3 import S3Storage
from onevoice_kit.testing.waiting import eventually
from onevoice_local.aws import Aws
from services.gateway.idempotency.service import Attempt, CreatingCall, Write, nothing
from services.gateway.jobs.submission import CREATE_JOB
from services.gateway.uploads.removals import Orphans, removals
from tests.integration.gateway.conftest import MP4, Gateway, User, add_video, announce, assert_problem, send
from tests.integration.gateway.test_aws import send_to_s3, settings_for


async def pending(gateway: Gateway) -> int:
    """Removals that are noted."""
    async with transaction(gateway.database) as connection:
        return (await connection.execute(select(func.count()).select_from(removals))).scalar_one()


async def let_signatures_expire(gateway: Gateway) -> None:
    """Makes every removal due as if the signed requests of its upload had expired."""
    async with transaction(gateway.database) as connection:
        await connection.execute(text("UPDATE gateway.removals SET due_at = now(), final_at = now()"))


async def test_a_signed_request_does_not_work_after_its_video_was_deleted(gateway: Gateway, ada: User) -> None:
    created = (await ada.client.post("/api/videos", json=announce())).json()
    assert (await send(ada.client, created["upload"], MP4)).status_code == 200
    assert (await ada.client.delete(f"/api/videos/{created['video']['id']}")).status_code == 204
    assert_problem(await send(ada.client, created["upload"], MP4), 409, "upload_closed")
    assert gateway.stored() == []


async def test_a_signed_request_does_not_work_after_its_video_was_refused(gateway: Gateway, ada: User) -> None:
    created = (await ada.client.post("/api/videos", json=announce())).json()
    assert (await send(ada.client, created["upload"], MP4)).status_code == 200
    gateway.world.probe_error = PreconditionFailed("The video has no sound.", reason="no_audio")
    refused = await ada.client.post(f"/api/videos/{created['video']['id']}/complete")
    assert_problem(refused, 422, "no_audio")
    assert_problem(await send(ada.client, created["upload"], MP4), 409, "upload_closed")
    assert gateway.stored() == []


async def test_a_video_that_is_deleted_while_its_file_arrives_leaves_nothing(gateway: Gateway, ada: User) -> None:
    created = (await ada.client.post("/api/videos", json=announce())).json()
    half_sent, go_on = asyncio.Event(), asyncio.Event()

    async def halves() -> AsyncIterator[bytes]:
        yield MP4[:100]
        half_sent.set()
        await go_on.wait()
        yield MP4[100:]

    request = created["upload"]
    sending = asyncio.create_task(ada.client.put(request["url"], headers=request["headers"], content=halves()))
    await half_sent.wait()
    assert (await ada.client.delete(f"/api/videos/{created['video']['id']}")).status_code == 204
    go_on.set()
    assert_problem(await sending, 409, "upload_closed")
    assert gateway.stored() == []


async def test_what_the_storage_could_not_remove_is_swept(
    gateway: Gateway, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(_prefix: str) -> int:
        raise Unavailable("The storage does not answer.", reason="storage_unavailable")

    video = await add_video(ada)
    with monkeypatch.context() as patched:
        patched.setattr(gateway.storage, "delete_prefix", down)
        assert (await ada.client.delete(f"/api/videos/{video['id']}")).status_code == 204
    assert len(gateway.stored()) == 1
    await let_signatures_expire(gateway)
    await gateway.removals.sweep()
    assert (gateway.stored(), await pending(gateway)) == ([], 0)


class TestWithS3:
    @pytest.fixture
    def options(self, aws: Aws) -> dict[str, Any]:
        return settings_for(aws)

    async def test_what_a_signed_request_brings_back_is_swept_when_its_signature_has_expired(
        self, gateway: Gateway, ada: User
    ) -> None:
        created = (await ada.client.post("/api/videos", json=announce())).json()
        assert (await ada.client.delete(f"/api/videos/{created['video']['id']}")).status_code == 204
        back: httpx.Response = await send_to_s3(created["upload"], MP4)
        assert back.is_success
        key = f"users/{ada.id}/videos/{created['video']['id']}/original.mp4"
        await gateway.removals.sweep()
        assert await gateway.storage.head(key) is not None  # the request may come yet again
        await let_signatures_expire(gateway)
        await gateway.removals.sweep()
        assert await gateway.storage.head(key) is None
        assert await pending(gateway) == 0

    async def test_old_objects_without_a_row_are_swept_page_by_page(self, gateway: Gateway, ada: User) -> None:
        storage = gateway.storage
        assert isinstance(storage, S3Storage)
        bucket: S3Storage = storage
        created = (await ada.client.post("/api/videos", json=announce())).json()["video"]["id"]
        sound = (await ada.client.post("/api/uploads", json=announce(kind="voice"))).json()["id"]
        mine = f"users/{ada.id}"
        results = [f"{mine}/jobs/{uuid7()}/tts/{number}.wav" for number in range(3)]
        kept = [*results, f"{mine}/uploads/{sound}/original.mp4", f"{mine}/videos/{created}/original.mp4"]
        lost = [f"users/{uuid7()}/{kind}/{uuid7()}/original.mp4" for kind in ("uploads", "videos", "videos")]
        for key in kept + lost:
            await storage.put_bytes(key, b"x", "video/mp4")

        class SmallPages:
            delete = storage.delete

            async def page(self, prefix: str, after: str) -> list[tuple[str, datetime]]:
                return await bucket.page(prefix, after, limit=2)

        await Orphans(gateway.database, SmallPages(), timedelta(hours=1)).sweep()
        assert {key async for key in storage.list("users")} == {*kept, *lost}  # they are too young
        sweeping = Orphans(gateway.database, SmallPages(), timedelta(0), pages=1)
        for _ in range(2 * len(kept + lost)):  # a first pass from somewhere, then one from the beginning
            await sweeping.sweep()
        assert {key async for key in storage.list("users")} == set(kept)


class TestWithOneConnection:
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"database_pool_size": 1}

    async def test_none_is_held_while_the_storage_removes(
        self, gateway: Gateway, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        blocked, go_on = asyncio.Event(), asyncio.Event()

        async def blocks(_prefix: str) -> int:
            blocked.set()
            await go_on.wait()
            return 0

        video = await add_video(ada)
        abandoned = (await ada.client.post("/api/videos", json=announce())).json()["video"]["id"]
        async with transaction(gateway.database) as connection:
            old = "UPDATE gateway.uploads SET expires_at = now() - interval '2 days' WHERE id = :id"
            await connection.execute(text(old), {"id": abandoned})
        monkeypatch.setattr(gateway.storage, "delete_prefix", blocks)
        for work in (ada.client.delete(f"/api/videos/{video['id']}"), gateway.removals.remove_stale()):
            blocked.clear()
            running = asyncio.ensure_future(work)
            await asyncio.wait_for(blocked.wait(), 30)
            assert (await ada.client.get("/api/videos")).status_code == 200
            go_on.set()
            await running
            go_on.clear()

    async def test_none_is_held_while_billing_undoes_a_call(self, gateway: Gateway, ada: User) -> None:
        blocked, go_on = asyncio.Event(), asyncio.Event()

        async def blocks(*_ids: object) -> None:
            blocked.set()
            await go_on.wait()

        idempotency = gateway.idempotency
        idempotency._undo = {CREATE_JOB: blocks}

        async def fails(attempt: Attempt, _: None) -> Write:
            attempt.leaves_traces = True
            raise Unavailable

        call = CreatingCall(ada.id, "key", CREATE_JOB, {})
        failing = asyncio.create_task(idempotency.run(call, fails, nothing))
        await asyncio.wait_for(blocked.wait(), 30)
        assert (await ada.client.get("/api/videos")).status_code == 200
        go_on.set()
        with pytest.raises(Unavailable):
            await failing

        async def free() -> bool:
            async with transaction(gateway.database) as connection:
                return not (await connection.execute(text("SELECT count(*) FROM gateway.idempotency_keys"))).scalar()

        await eventually(free)
