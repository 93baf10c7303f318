"""Creating calls happen once per `Idempotency-Key`, and what dies in between is cleaned up."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_kit.db import transaction, uuid7
from onevoice_kit.errors import Conflict, Unavailable
from services.gateway.idempotency import repository
from services.gateway.idempotency.repository import idempotency_keys
from services.gateway.idempotency.service import Answer, Attempt, CreatingCall, Idempotency, Write, nothing
from services.gateway.jobs.submission import CREATE_DUBBING_JOB, CREATE_JOB
from tests.integration.gateway.conftest import FREE_CREDITS, MP4, Gateway, User, add_video, announce, assert_problem

KEY = {"Idempotency-Key": "a-key-of-the-client"}


async def creating_call(user: User, what: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Address, body and another body of a creating call."""
    if what == "videos":
        return "/api/videos", {"json": announce()}, {"json": announce(title="Another")}
    if what == "uploads":
        body = announce(kind="voice", filename="voice.wav", content_type="audio/wav")
        return "/api/uploads", {"json": body}, {"json": {**body, "kind": "background"}}
    if what == "dubbing-jobs":
        files = {"file": ("talk.mp4", MP4, "video/mp4")}
        one, other = ({"files": files, "data": {"target_language": language}} for language in ("es", "ca"))
        return "/api/dubbing-jobs", one, other
    video = await add_video(user)
    body = {"target_languages": ["es"]}
    if what == "dub":
        return f"/api/videos/{video['id']}/dub", {"json": body}, {"json": {"target_languages": ["ca"]}}
    return "/api/jobs", {"json": {**body, "video_id": video["id"]}}, {"json": {**body, "video_id": str(uuid7())}}


@pytest.mark.parametrize("what", ["videos", "uploads", "jobs", "dub", "dubbing-jobs"])
async def test_a_repeated_call_gets_the_first_answer_and_another_body_is_refused(
    gateway: Gateway, ada: User, what: str
) -> None:
    path, body, other = await creating_call(ada, what)
    first = await ada.client.post(path, **body, headers=KEY)
    assert first.is_success, first.text
    again = await ada.client.post(path, **body, headers=KEY)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert_problem(await ada.client.post(path, **other, headers=KEY), 422, "idempotency_key_reused")
    spent = 62 if what in ("jobs", "dub", "dubbing-jobs") else 0
    assert await gateway.credits(ada) == (FREE_CREDITS - spent, spent)


async def test_calls_at_the_same_time_happen_once(gateway: Gateway, ada: User) -> None:
    path, body, _ = await creating_call(ada, "dub")
    answers = await asyncio.gather(*(ada.client.post(path, **body, headers=KEY) for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert_problem(answer, 409, "request_in_progress")
            assert answer.headers["Retry-After"]
    assert await gateway.credits(ada) == (FREE_CREDITS - 62, 62)


async def test_keys_belong_to_their_user(ada: User, bob: User) -> None:
    first = await ada.client.post("/api/videos", json=announce(), headers=KEY)
    second = await bob.client.post("/api/videos", json=announce(), headers=KEY)
    assert second.status_code == 201
    assert first.json()["video"]["id"] != second.json()["video"]["id"]


@pytest.mark.parametrize(
    "value", ["", " ", '""', '"open', 'half"quoted', "two words", "a,b", "a;b=1", "x" * 256, "käse"]
)
async def test_a_malformed_key_is_refused_and_nothing_happens(gateway: Gateway, ada: User, value: str) -> None:
    headers = {"Idempotency-Key": value.encode("latin-1")}
    response = await ada.client.post("/api/videos", json=announce(), headers=headers)  # type: ignore[arg-type]
    assert_problem(response, 400, "idempotency_key_malformed")
    assert (await ada.client.get("/api/videos")).json()["items"] == []


async def test_two_keys_are_one_too_many(ada: User) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert_problem(
        await ada.client.post("/api/videos", json=announce(), headers=headers), 400, "idempotency_key_malformed"
    )


async def test_a_key_is_the_same_with_and_without_quotes(ada: User) -> None:
    first = await ada.client.post("/api/videos", json=announce(), headers=KEY)
    quoted = {"Idempotency-Key": f'"{KEY["Idempotency-Key"]}"'}
    second = await ada.client.post("/api/videos", json=announce(), headers=quoted)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert first.json() == second.json()


async def test_an_answer_that_has_expired_is_not_given_again_even_before_housekeeping(
    ada: User, gateway: Gateway
) -> None:
    first = await ada.client.post("/api/videos", json=announce(), headers=KEY)
    async with transaction(gateway.database) as connection:
        await connection.execute(update(idempotency_keys).values(created_at=text("now() - interval '25 hours'")))
    second = await ada.client.post("/api/videos", json=announce(title="Another"), headers=KEY)
    assert second.status_code == 201
    assert first.json()["video"]["id"] != second.json()["video"]["id"]


async def test_a_call_that_failed_may_be_repeated_with_its_key(gateway: Gateway, ada: User) -> None:
    video = await add_video(ada)
    path = f"/api/videos/{video['id']}/dub"
    async with transaction(gateway.database) as connection:
        await connection.execute(text("ALTER TABLE jobs.outbox ADD CONSTRAINT full_up CHECK (body = '')"))
    body = {"target_languages": ["es"]}
    assert (await ada.client.post(path, json=body, headers=KEY)).status_code == 500
    async with transaction(gateway.database) as connection:
        await connection.execute(text("ALTER TABLE jobs.outbox DROP CONSTRAINT full_up"))
    assert (await ada.client.post(path, json=body, headers=KEY)).status_code == 202
    assert await gateway.credits(ada) == (FREE_CREDITS - 62, 62)


@pytest.mark.parametrize("operation", [CREATE_JOB, CREATE_DUBBING_JOB])
async def test_housekeeping_gives_back_what_a_dead_process_had_reserved(
    gateway: Gateway, ada: User, operation: str
) -> None:
    record = CreatingCall(ada.id, "died", operation, {}).record()
    async with transaction(gateway.database) as connection:
        await repository.insert_running(connection, record, gateway.idempotency.running_for)
    await gateway.ledger.reserve(str(ada.id), str(record.resource_id), 100)
    key = f"users/{ada.id}/videos/{record.resource_id}/original.mp4"
    if operation == CREATE_DUBBING_JOB:
        await gateway.storage.put_bytes(key, MP4, "video/mp4")

    await gateway.idempotency.housekeeping()
    assert await gateway.credits(ada) == (FREE_CREDITS - 100, 100)

    async with transaction(gateway.database) as connection:
        await connection.execute(update(idempotency_keys).values(running_until=text("now() - interval '1 second'")))
    await gateway.idempotency.housekeeping()
    assert await gateway.credits(ada) == (FREE_CREDITS, 0)
    assert gateway.stored() == []
    async with transaction(gateway.database) as connection:
        assert (await connection.execute(select(idempotency_keys))).all() == []


async def test_a_dead_call_that_cannot_be_undone_does_not_keep_others_from_it(gateway: Gateway, ada: User) -> None:
    undone: list[UUID] = []

    async def undo(_user_id: UUID, resource_id: UUID) -> None:
        if resource_id == records[0].resource_id:
            raise Unavailable
        undone.append(resource_id)

    idempotency = Idempotency(gateway.database, running_s=60, keep_s=60, undo={CREATE_JOB: undo}, batch=1)
    records = [CreatingCall(ada.id, f"died-{n}", CREATE_JOB, {}).record() for n in range(2)]
    async with transaction(gateway.database) as connection:
        for record, died_ago in zip(records, (2, 1), strict=True):
            await repository.insert_running(connection, record, -died_ago * idempotency.running_for)
    await idempotency.housekeeping()
    assert undone == []
    await idempotency.housekeeping()
    assert undone == [records[1].resource_id]


async def test_a_call_that_was_given_up_cannot_finish_any_more(gateway: Gateway, ada: User) -> None:
    call = CreatingCall(ada.id, "slow", CREATE_JOB, {})

    async def prepare(_attempt: Attempt, _: None) -> Write:
        async with transaction(gateway.database) as connection:
            await connection.execute(delete(idempotency_keys))  # by the housekeeping, after a long time
        return write

    async def write(_connection: AsyncConnection) -> Answer:
        return Answer(202, {})

    with pytest.raises(Conflict) as caught:
        await gateway.idempotency.run(call, prepare, nothing)
    assert caught.value.reason == "request_abandoned"


async def test_answers_are_forgotten_after_a_day(gateway: Gateway, ada: User) -> None:
    first = await ada.client.post("/api/videos", json=announce(), headers=KEY)
    async with transaction(gateway.database) as connection:
        await connection.execute(update(idempotency_keys).values(created_at=text("now() - interval '25 hours'")))
    await gateway.idempotency.housekeeping()
    second = await ada.client.post("/api/videos", json=announce(), headers=KEY)
    assert first.json()["video"]["id"] != second.json()["video"]["id"]
