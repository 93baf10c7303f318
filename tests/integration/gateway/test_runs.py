"""Editing lines of a completed job and making it again: priced by the edited lines, reserved once, nothing lost."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from onevoice_jobs.models import outbox
from onevoice_jobs.records import Artifact, Published
from onevoice_jobs.testing import completed, finish_step
from onevoice_kit.storage.base import ObjectRef
from tests.integration.gateway import working
from tests.integration.gateway.conftest import FREE_CREDITS, Gateway, User, assert_problem
from tests.integration.gateway.test_jobs import count, dub

SPENT = 62
AFTER = FREE_CREDITS - SPENT
KEY = {"Idempotency-Key": "regenerate-once"}


async def _completed(gateway: Gateway, user: User) -> str:
    job = await dub(user, ["es"])
    await working.finish(gateway, user, job["id"], spent=SPENT)
    return str(job["id"])


async def _edit(user: User, job_id: str, text: str, *, language: str = "es", index: int = 0) -> Any:
    return await user.client.patch(f"/api/jobs/{job_id}/translations/{language}/{index}", json={"text": text})


async def test_an_edited_job_is_made_again_as_a_new_revision_for_the_price_of_its_edited_lines(
    gateway: Gateway, ada: User
) -> None:
    job_id = await _completed(gateway, ada)
    answer = await _edit(ada, job_id, "Hola a todos.")
    expected = {"language": "es", "index": 0, "text": "Hola a todos.", "revision": 2}
    assert (answer.status_code, answer.json()) == (200, expected)
    again = await ada.client.post(f"/api/jobs/{job_id}/regenerate")
    job = again.json()
    assert (again.status_code, job["status"], job["revision"], job["quoted_credits"]) == (202, "pending", 2, 1)
    assert await gateway.credits(ada) == (AFTER - 1, 1)
    assert await count(gateway, outbox) == 2
    store = await working.take(gateway, job_id)
    assert [edit.text for edit in await store.edits()] == ["Hola a todos."]
    run = await store.run()
    await finish_step(store, "done:es", "h2", {}, completed("es"))
    await gateway.ledger.settle(run.reservation_id, 1)
    await store.job_completed(spent_credits=1, metrics={})
    assert await gateway.credits(ada) == (AFTER - 1, 0)
    runs = (await ada.client.get(f"/api/jobs/{job_id}/runs")).json()["items"]
    assert [(run["revision"], run["reason"], run["status"], run["spent_credits"]) for run in runs] == [
        (1, "submit", "completed", SPENT),
        (2, "edit", "completed", 1),
    ]
    assert (runs[0]["changed_ms"], runs[1]["changed_ms"]) == (None, {"es": 1000})


async def test_the_results_of_an_earlier_revision_can_be_downloaded(gateway: Gateway, ada: User) -> None:
    job_id = await _completed(gateway, ada)
    await _edit(ada, job_id, "Hola a todos.")
    await ada.client.post(f"/api/jobs/{job_id}/regenerate")
    store = await working.take(gateway, job_id)
    ref: ObjectRef = await gateway.storage.put_bytes(
        f"users/{ada.id}/jobs/{UUID(job_id)}/mixer/new.mp4", b"another film", "video/mp4"
    )
    await finish_step(store, "done", "h2", {}, Published(artifacts=(Artifact("video", "es", "talk.es.mp4", ref),)))
    content = {}
    for revision in (1, 2):
        query = {"kind": "video", "revision": revision}
        (item,) = (await ada.client.get(f"/api/jobs/{job_id}/download", params=query)).json()["items"]
        content[revision] = (await ada.client.get(item["url"])).content
    assert content == {1: b"a film", 2: b"another film"}
    none = await ada.client.get(f"/api/jobs/{job_id}/download", params={"revision": 3})
    assert none.json()["items"] == []


async def test_a_regeneration_that_is_repeated_under_its_key_is_reserved_once(gateway: Gateway, ada: User) -> None:
    job_id = await _completed(gateway, ada)
    await _edit(ada, job_id, "Hola a todos.")
    answers = [await ada.client.post(f"/api/jobs/{job_id}/regenerate", headers=KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert await gateway.credits(ada) == (AFTER - 1, 1)


async def test_a_regeneration_without_credits_changes_nothing(gateway: Gateway, ada: User) -> None:
    job_id = await _completed(gateway, ada)
    await _edit(ada, job_id, "Hola a todos.")
    await gateway.ledger.reserve(str(ada.id), "all-of-it", AFTER)
    assert_problem(await ada.client.post(f"/api/jobs/{job_id}/regenerate"), 402, "insufficient_credits")
    job = (await ada.client.get(f"/api/jobs/{job_id}")).json()
    assert (job["status"], job["revision"]) == ("completed", 1)


async def test_only_lines_of_a_completed_job_of_ones_own_are_edited(gateway: Gateway, ada: User, bob: User) -> None:
    job_id = await _completed(gateway, ada)
    assert_problem(await ada.client.post(f"/api/jobs/{job_id}/regenerate"), 409, "nothing_edited")
    assert_problem(await _edit(ada, job_id, "x", index=2), 404, "line_not_found")
    assert_problem(await _edit(ada, job_id, "x", language="fr"), 404, "line_not_found")
    assert (await _edit(ada, job_id, "")).status_code == 422
    assert (await _edit(ada, job_id, "escape \x1b[31m")).status_code == 422
    for call in (_edit(bob, job_id, "x"), bob.client.post(f"/api/jobs/{job_id}/regenerate")):
        assert_problem(await call, 404, "job_not_found")
    assert_problem(await bob.client.get(f"/api/jobs/{job_id}/runs"), 404, "job_not_found")
    assert (await _edit(ada, job_id, "Hola a todos.")).status_code == 200
    await ada.client.post(f"/api/jobs/{job_id}/regenerate")
    assert_problem(await _edit(ada, job_id, "x"), 409, "invalid_transition")
    assert_problem(await ada.client.post(f"/api/jobs/{job_id}/regenerate"), 409, "invalid_transition")
