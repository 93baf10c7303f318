"""Videos: announced, sent by signed requests, verified, probed, deleted."""

from __future__ import annotations

import hashlib

import asyncpg
import pytest

from onevoice_kit.db import asyncpg_dsn
from onevoice_kit.errors import InvalidInput, PreconditionFailed, Unavailable
from tests.integration.gateway.conftest import (
    DURATION_MS,
    MP4,
    Gateway,
    User,
    add_video,
    announce,
    assert_problem,
    send,
)


async def test_a_video_is_announced_sent_verified_and_probed(gateway: Gateway, ada: User) -> None:
    created = await ada.client.post("/api/videos", json=announce(title="Talk", source_language="EN"))
    assert created.status_code == 201
    body = created.json()
    assert body["multipart"] is None
    assert body["video"]["status"] == "uploading"

    assert (await send(ada.client, body["upload"], MP4)).status_code == 200
    completed = await ada.client.post(f"/api/videos/{body['video']['id']}/complete", json={})

    video = completed.json()
    assert completed.status_code == 200
    assert video["status"] == "ready"
    assert video["title"] == "Talk"
    assert (video["duration_ms"], video["width"], video["height"], video["has_audio"]) == (DURATION_MS, 640, 360, True)
    assert video["source_language"] == "en"
    assert video["sha256"] == hashlib.sha256(MP4).hexdigest()


async def test_completing_twice_changes_nothing(gateway: Gateway, ada: User) -> None:
    video = await add_video(ada)
    again = await ada.client.post(f"/api/videos/{video['id']}/complete")
    assert again.status_code == 200
    assert again.json() == video
    assert gateway.world.calls["probe"] == 1


async def test_a_video_that_was_not_sent_cannot_be_completed(ada: User) -> None:
    created = (await ada.client.post("/api/videos", json=announce())).json()
    assert_problem(await ada.client.post(f"/api/videos/{created['video']['id']}/complete"), 409, "not_uploaded")


async def test_a_signed_request_takes_no_other_content(gateway: Gateway, ada: User) -> None:
    created = (await ada.client.post("/api/videos", json=announce())).json()
    changed = bytes(reversed(MP4))
    assert_problem(await send(ada.client, created["upload"], changed), 422, "checksum_mismatch")
    assert_problem(await send(ada.client, created["upload"], MP4 + b"more"), 422, "size_mismatch")
    assert gateway.stored() == []


@pytest.mark.parametrize(
    ("content", "reason"), [(MP4[:-1] + b"!", "checksum_mismatch"), (MP4 + b"more", "size_mismatch")]
)
async def test_what_is_not_what_was_announced_is_deleted_and_the_video_rejected(
    gateway: Gateway, ada: User, content: bytes, reason: str
) -> None:
    created = (await ada.client.post("/api/videos", json=announce())).json()
    video_id = created["video"]["id"]
    # A store that does not check, as S3's stand-in: the object is put there behind the gateway's back.
    await gateway.storage.put_bytes(f"users/{ada.id}/videos/{video_id}/original.mp4", content, "video/mp4")

    assert_problem(await ada.client.post(f"/api/videos/{video_id}/complete"), 422, reason)

    video = (await ada.client.get(f"/api/videos/{video_id}")).json()
    assert video["status"] == "rejected"
    assert video["rejection"]["reason"] == reason
    assert gateway.stored() == []


@pytest.mark.parametrize("reason", ["not_media", "truncated_media", "no_audio", "forbidden_format"])
async def test_bad_media_are_rejected_with_the_mixers_reason_and_deleted(
    gateway: Gateway, ada: User, reason: str
) -> None:
    gateway.world.probe_error = InvalidInput("The file cannot be dubbed.", reason=reason)
    created = (await ada.client.post("/api/videos", json=announce())).json()
    await send(ada.client, created["upload"], MP4)

    complete = f"/api/videos/{created['video']['id']}/complete"
    problem = assert_problem(await ada.client.post(complete), 422, reason)
    assert problem["detail"] == "The file cannot be dubbed."
    assert gateway.stored() == []
    assert_problem(await ada.client.post(complete), 422, reason)


async def test_nothing_is_decided_while_the_mixer_does_not_answer(gateway: Gateway, ada: User) -> None:
    gateway.world.probe_error = Unavailable("Not now.", reason="mixer_away", retry_after=7)
    created = (await ada.client.post("/api/videos", json=announce())).json()
    await send(ada.client, created["upload"], MP4)
    complete = f"/api/videos/{created['video']['id']}/complete"
    response = await ada.client.post(complete)
    assert_problem(response, 503, "mixer_away")
    assert response.headers["Retry-After"] == "7"

    gateway.world.probe_error = None
    assert (await ada.client.post(complete)).json()["status"] == "ready"


async def test_an_empty_file_is_refused_at_once(ada: User) -> None:
    assert_problem(await ada.client.post("/api/videos", json=announce(b"")), 422, "empty_file")


async def test_a_file_above_the_limit_is_refused_at_once(ada: User) -> None:
    problem = assert_problem(
        await ada.client.post("/api/videos", json=announce(size=(5 << 30) + 1)), 413, "file_too_large"
    )
    assert problem["max_bytes"] == str(5 << 30)


@pytest.mark.parametrize("filename", ["../up.mp4", "a/b.mp4", "nul\x00.mp4", " ", ".."])
async def test_a_file_name_is_a_plain_name(ada: User, filename: str) -> None:
    problem = assert_problem(
        await ada.client.post("/api/videos", json=announce(filename=filename)), 422, "invalid_request"
    )
    assert [error["field"] for error in problem["errors"]] == ["body.filename"]


async def test_videos_are_listed_newest_first_in_pages(ada: User, bob: User) -> None:
    made = [(await ada.client.post("/api/videos", json=announce())).json()["video"]["id"] for _ in range(5)]
    await ada.client.post("/api/videos", json=announce())
    await bob.client.post("/api/videos", json=announce())

    seen: list[str] = []
    cursor: str | None = None
    while True:
        parameters = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await ada.client.get("/api/videos", params=parameters)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen[1:] == made[::-1]
    assert len(seen) == 6
    assert_problem(await ada.client.get("/api/videos", params={"cursor": "%%%"}), 422, "invalid_cursor")


async def test_another_users_video_is_not_found(ada: User, bob: User) -> None:
    video = await add_video(ada)
    path = f"/api/videos/{video['id']}"
    for method, suffix in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/complete"),
        ("GET", "/download-url"),
        ("GET", "/stream-url"),
        ("GET", "/upload-url"),
        ("GET", "/thumbnail"),
    ]:
        assert_problem(await bob.client.request(method, path + suffix), 404, "video_not_found")
    assert_problem(await bob.client.patch(path, json={"title": "Mine"}), 404, "video_not_found")
    assert_problem(await bob.client.post(f"{path}/dub", json={"target_languages": ["es"]}), 404, "video_not_found")


async def test_a_title_can_be_changed(ada: User) -> None:
    video = await add_video(ada)
    changed = await ada.client.patch(f"/api/videos/{video['id']}", json={"title": "Second take"})
    assert changed.json() == {**video, "title": "Second take"}


async def test_a_change_whose_commit_fails_is_answered_with_an_error(gateway: Gateway, ada: User) -> None:
    video = await add_video(ada)
    late = """
        CREATE FUNCTION gateway.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'too late'; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON gateway.videos DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION gateway.late();
    """
    connection = await asyncpg.connect(asyncpg_dsn(gateway.settings.database_url.get_secret_value()))
    await connection.execute(late)
    response = await ada.client.patch(f"/api/videos/{video['id']}", json={"title": "New"})
    await connection.execute("DROP FUNCTION gateway.late CASCADE")
    await connection.close()
    assert_problem(response, 500, "internal")
    assert (await ada.client.get(f"/api/videos/{video['id']}")).json()["title"] == video["title"]


async def test_a_deleted_video_leaves_nothing_behind(gateway: Gateway, ada: User) -> None:
    video = await add_video(ada)
    assert len(gateway.stored()) == 1
    assert (await ada.client.delete(f"/api/videos/{video['id']}")).status_code == 204
    assert gateway.stored() == []
    assert_problem(await ada.client.get(f"/api/videos/{video['id']}"), 404, "video_not_found")


async def test_a_video_in_work_cannot_be_deleted(ada: User) -> None:
    video = await add_video(ada)
    job = await ada.client.post(f"/api/videos/{video['id']}/dub", json={"target_languages": ["es"]})
    assert job.status_code == 202
    assert_problem(await ada.client.delete(f"/api/videos/{video['id']}"), 409, "video_in_use")
    await ada.client.post(f"/api/jobs/{job.json()['id']}/cancel")
    assert (await ada.client.delete(f"/api/videos/{video['id']}")).status_code == 204


async def test_the_original_can_be_saved_and_streamed(ada: User) -> None:
    video = await add_video(ada, filename="Ünïcode talk.mp4")
    saving = (await ada.client.get(f"/api/videos/{video['id']}/download-url")).json()
    saved = await ada.client.get(saving["url"])
    assert saved.content == MP4
    assert "attachment" in saved.headers["content-disposition"]
    streaming = (await ada.client.get(f"/api/videos/{video['id']}/stream-url")).json()
    part = await ada.client.get(streaming["url"], headers={"Range": "bytes=8-15"})
    assert (part.status_code, part.content) == (206, MP4[8:16])
    assert part.headers["content-type"] == "video/mp4"


async def test_upload_requests_can_be_fetched_again_until_the_video_is_there(ada: User) -> None:
    created = (await ada.client.post("/api/videos", json=announce())).json()
    path = f"/api/videos/{created['video']['id']}"
    again = (await ada.client.get(f"{path}/upload-url")).json()
    assert (await send(ada.client, again["upload"], MP4)).status_code == 200
    await ada.client.post(f"{path}/complete")
    assert_problem(await ada.client.get(f"{path}/upload-url"), 409, "upload_closed")


async def test_rejected_videos_cannot_be_dubbed(gateway: Gateway, ada: User) -> None:
    gateway.world.probe_error = PreconditionFailed("There is no sound.", reason="no_audio")
    created = (await ada.client.post("/api/videos", json=announce())).json()
    await send(ada.client, created["upload"], MP4)
    path = f"/api/videos/{created['video']['id']}"
    assert_problem(await ada.client.post(f"{path}/dub", json={"target_languages": ["es"]}), 409, "video_not_ready")
    await ada.client.post(f"{path}/complete")
    assert_problem(await ada.client.post(f"{path}/dub", json={"target_languages": ["es"]}), 409, "video_not_ready")
