"""Jobs: submitted in one transaction with credits reserved, followed, cancelled, and their results."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from onevoice_jobs.models import jobs, language_tasks, outbox
from onevoice_kit.db import transaction
from onevoice_kit.errors import InvalidInput
from services.gateway.idempotency.repository import idempotency_keys
from tests.integration.gateway import working
from tests.integration.gateway.conftest import FREE_CREDITS, MP4, Gateway, User, add_video, assert_problem

SECONDS = 62
"""Price of the video in one language: started seconds count whole."""


async def dub(user: User, targets: list[str], **changes: Any) -> dict[str, Any]:
    """A job for a new video."""
    video = await add_video(user)
    response = await user.client.post(f"/api/videos/{video['id']}/dub", json={"target_languages": targets, **changes})
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    return job


async def count(gateway: Gateway, table: Any) -> int:
    async with transaction(gateway.database) as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def test_a_job_is_submitted_with_its_languages_its_message_and_its_credits(gateway: Gateway, ada: User) -> None:
    video = await add_video(ada)
    body = {"video_id": video["id"], "target_languages": ["es", "ca"], "voices": {"es": "espeak:es"}, "loudness": "-16"}
    response = await ada.client.post("/api/jobs", json=body)

    job = response.json()
    assert response.status_code == 202
    assert (job["status"], job["progress"], job["error"]) == ("pending", 0, None)
    assert (job["source_language"], job["target_languages"]) == ("en", ["es", "ca"])
    assert [(task["language"], task["status"]) for task in job["languages"]] == [("es", "pending"), ("ca", "pending")]
    assert job["quoted_credits"] == 2 * SECONDS
    assert await gateway.credits(ada) == (FREE_CREDITS - 2 * SECONDS, 2 * SECONDS)
    async with transaction(gateway.database) as connection:
        message = (await connection.execute(select(outbox.c.body, outbox.c.group_id, outbox.c.attributes))).one()
        options = (await connection.execute(select(jobs.c.options))).scalar_one()
    assert json.loads(message.body)["jobId"] == job["id"]
    assert message.group_id == str(ada.id)
    assert (options["voices"], options["loudness"]) == ({"es": "espeak:es"}, "-16")
    assert (await ada.client.get(f"/api/jobs/{job['id']}")).json() == job


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"target_languages": ["de"]}, "unsupported_language_pair"),
        ({"target_languages": ["fr"]}, "unsupported_language_pair"),
        ({"target_languages": ["eo"]}, "unsupported_language_pair"),
        ({"source_language": "de"}, "unsupported_language_pair"),
        ({"target_languages": ["es", "ES"]}, "duplicate_languages"),
        ({"target_languages": [f"en-x-a{number}" for number in range(21)]}, "too_many_languages"),
        ({"voices": {"es": "espeak:none"}}, "unknown_voice"),
        ({"voices": {"es": {"speaker_1": "espeak:ca"}}}, "unknown_voice"),
        ({"voices": {"ca": "espeak:ca"}}, "unknown_voice"),
        ({"engines": {"asr": "whisper"}}, "unknown_engine"),
        ({"engines": {"translate": "openai"}}, "unknown_engine"),
        ({"engines": {"tts": "nobody"}}, "unknown_engine"),
        ({"target_languages": []}, "invalid_request"),
        ({"target_languages": ["not a language"]}, "invalid_request"),
        ({"loudness": "-99"}, "invalid_request"),
        ({"surprise": 1}, "invalid_request"),
    ],
)
async def test_what_this_deployment_cannot_do_is_refused_before_anything_is_reserved(
    gateway: Gateway, ada: User, change: dict[str, Any], reason: str
) -> None:
    video = await add_video(ada)
    wanted = {"target_languages": ["es"], **change}
    assert_problem(await ada.client.post(f"/api/videos/{video['id']}/dub", json=wanted), 422, reason)
    assert await gateway.credits(ada) == (FREE_CREDITS, 0)
    assert await count(gateway, jobs) == 0
    assert await count(gateway, idempotency_keys) == 0


async def test_a_job_that_costs_more_than_there_is_ends_in_402_and_leaves_nothing(gateway: Gateway, ada: User) -> None:
    gateway.world.media.duration_ms = (FREE_CREDITS + 1) * 1000
    video = await add_video(ada)
    problem = assert_problem(
        await ada.client.post(f"/api/videos/{video['id']}/dub", json={"target_languages": ["es"]}),
        402,
        "insufficient_credits",
    )
    assert problem["available"] == str(FREE_CREDITS)
    assert await gateway.credits(ada) == (FREE_CREDITS, 0)
    assert await count(gateway, jobs) == 0
    assert await count(gateway, idempotency_keys) == 0


async def test_a_source_that_is_too_long_is_refused(gateway: Gateway, ada: User) -> None:
    gateway.world.media.duration_ms = gateway.settings.max_source_duration_s * 1000 + 1
    video = await add_video(ada)
    response = await ada.client.post(f"/api/videos/{video['id']}/dub", json={"target_languages": ["es"]})
    assert_problem(response, 422, "source_too_long")


async def test_captions_are_not_burned_into_a_picture_that_is_too_large(gateway: Gateway, ada: User) -> None:
    gateway.world.media.video.width, gateway.world.media.video.height = 7680, 4320
    video = await add_video(ada)
    wanted = {"video_id": video["id"], "target_languages": ["es"], "burn_in_captions": True}
    problem = assert_problem(await ada.client.post("/api/jobs", json=wanted), 422, "burn_in_too_large")
    assert problem["limit_pixels"] == str(gateway.settings.media_max_burn_in_pixels)
    assert await gateway.credits(ada) == (FREE_CREDITS, 0)
    wanted["burn_in_captions"] = False
    assert (await ada.client.post("/api/jobs", json=wanted)).status_code == 202


async def test_a_submission_that_fails_in_the_database_gives_the_credits_back(gateway: Gateway, ada: User) -> None:
    video = await add_video(ada)
    async with transaction(gateway.database) as connection:
        await connection.execute(text("ALTER TABLE jobs.outbox ADD CONSTRAINT full_up CHECK (body = '')"))

    response = await ada.client.post(f"/api/videos/{video['id']}/dub", json={"target_languages": ["es"]})

    async with transaction(gateway.database) as connection:
        await connection.execute(text("ALTER TABLE jobs.outbox DROP CONSTRAINT full_up"))
    problem = assert_problem(response, 500, "internal")
    assert problem["error_id"]
    assert "full_up" not in response.text
    assert await gateway.credits(ada) == (FREE_CREDITS, 0)
    assert [await count(gateway, table) for table in (jobs, language_tasks, outbox, idempotency_keys)] == [0, 0, 0, 0]


async def test_without_a_stage_a_job_is_refused_for_now(gateway: Gateway, ada: User) -> None:
    video = await add_video(ada)
    await gateway.servers["translate"].stop(0)
    response = await ada.client.post(f"/api/videos/{video['id']}/dub", json={"target_languages": ["es"]})
    assert_problem(response, 503, "service_unreachable")
    assert response.headers["Retry-After"]


async def test_the_catalogue_is_fetched_once_for_many_jobs(gateway: Gateway, ada: User) -> None:
    video = await add_video(ada)
    wanted = {"target_languages": ["es"]}
    answers = await asyncio.gather(*(ada.client.post(f"/api/videos/{video['id']}/dub", json=wanted) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [202] * 5
    assert gateway.world.calls["translation_engines"] == 1


async def test_jobs_are_listed_by_state_in_pages(gateway: Gateway, ada: User, bob: User) -> None:
    first, second, third = [await dub(ada, ["es"]) for _ in range(3)]
    await dub(bob, ["es"])
    await working.finish(gateway, ada, second["id"])

    page = (await ada.client.get("/api/jobs", params={"limit": 2})).json()
    rest = (await ada.client.get("/api/jobs", params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert [job["id"] for job in page["items"] + rest["items"]] == [third["id"], second["id"], first["id"]]
    assert rest["next_cursor"] is None
    completed = (await ada.client.get("/api/jobs", params={"status": "completed"})).json()
    assert [job["id"] for job in completed["items"]] == [second["id"]]
    of_video = (await ada.client.get("/api/jobs", params={"video": first["video_id"]})).json()
    assert [job["id"] for job in of_video["items"]] == [first["id"]]
    assert_problem(await ada.client.get("/api/jobs", params={"cursor": "x"}), 422, "invalid_cursor")


async def test_another_users_job_is_not_found(ada: User, bob: User) -> None:
    job = await dub(ada, ["es"])
    path = f"/api/jobs/{job['id']}"
    for suffix in ("", "/events", "/download", "/transcript.json", "/transcript.srt", "/report"):
        assert_problem(await bob.client.get(path + suffix), 404, "job_not_found")
    assert_problem(await bob.client.post(f"{path}/cancel"), 404, "job_not_found")
    assert_problem(await bob.client.get(f"/api/dubbing-jobs/{job['id']}"), 404, "job_not_found")


async def test_a_waiting_job_is_cancelled_at_once_and_its_credits_come_back(gateway: Gateway, ada: User) -> None:
    job = await dub(ada, ["es"])
    cancelled = await ada.client.post(f"/api/jobs/{job['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    assert await gateway.credits(ada) == (FREE_CREDITS, 0)
    assert (await ada.client.post(f"/api/jobs/{job['id']}/cancel")).status_code == 202


async def test_a_cancel_of_a_running_job_reaches_its_worker(gateway: Gateway, ada: User) -> None:
    job = await dub(ada, ["es"])
    store = await working.take(gateway, job["id"])
    answer = (await ada.client.post(f"/api/jobs/{job['id']}/cancel")).json()
    assert (answer["status"], answer["cancel_requested"]) == ("processing", True)
    assert await store.cancel_requested()
    assert await gateway.credits(ada) == (FREE_CREDITS - SECONDS, SECONDS)


async def test_a_finished_job_cannot_be_cancelled(gateway: Gateway, ada: User) -> None:
    job = await dub(ada, ["es"])
    await working.finish(gateway, ada, job["id"])
    assert_problem(await ada.client.post(f"/api/jobs/{job['id']}/cancel"), 409, "invalid_transition")


async def test_a_failed_job_shows_its_cause(gateway: Gateway, ada: User) -> None:
    job = await dub(ada, ["es"])
    await working.fail(gateway, job["id"], "no_speech")
    failed = (await ada.client.get(f"/api/jobs/{job['id']}")).json()
    assert failed["status"] == "failed"
    assert failed["error"] == {"reason": "no_speech", "message": "There is no speech in the video."}
    assert await gateway.credits(ada) == (FREE_CREDITS, 0)


async def test_results_are_downloaded_by_signed_addresses(gateway: Gateway, ada: User) -> None:
    job = await dub(ada, ["es"])
    await working.finish(gateway, ada, job["id"], spent=60)
    path = f"/api/jobs/{job['id']}"

    items = (await ada.client.get(f"{path}/download")).json()["items"]
    assert len(items) == 6
    only = (await ada.client.get(f"{path}/download", params={"language": "es", "kind": "video"})).json()["items"]
    assert [(item["kind"], item["language"], item["filename"]) for item in only] == [("video", "es", "talk.es.mp4")]
    async with gateway.client() as nobody:
        film = await nobody.get(only[0]["url"])
    assert film.content == b"a film"
    assert 'filename="talk.es.mp4"' in film.headers["content-disposition"]
    done = (await ada.client.get(path)).json()
    assert (done["status"], done["progress"], done["spent_credits"]) == ("completed", 100, 60)
    assert await gateway.credits(ada) == (FREE_CREDITS - 60, 0)


async def test_transcript_and_report_are_read_through_the_api(gateway: Gateway, ada: User) -> None:
    job = await dub(ada, ["es"])
    path = f"/api/jobs/{job['id']}"
    assert_problem(await ada.client.get(f"{path}/report"), 404, "report_not_found")
    assert_problem(await ada.client.get(f"{path}/transcript.vtt"), 404, "transcript_not_found")
    await working.finish(gateway, ada, job["id"])

    source = (await ada.client.get(f"{path}/transcript.json")).json()
    assert (source["language"], [line["text"] for line in source["segments"]]) == ("en", ["hello", "world"])
    spanish = (await ada.client.get(f"{path}/transcript.json", params={"language": "es"})).json()
    assert [(line["start_ms"], line["text"]) for line in spanish["segments"]] == [(1000, "Hola."), (3000, "Mundo.")]
    captions = await ada.client.get(f"{path}/transcript.srt", params={"language": "es"})
    assert captions.text == working.SRT
    assert captions.headers["content-type"].startswith("application/x-subrip")
    wrong = await ada.client.get(f"{path}/transcript.json", params={"language": "ca"})
    assert_problem(wrong, 404, "transcript_not_found")
    assert_problem(await ada.client.get(f"{path}/transcript.doc"), 422, "invalid_request")
    assert (await ada.client.get(f"{path}/report")).json() == {"job_id": job["id"]}


async def test_the_thumbnail_of_a_video_is_the_one_its_job_took(gateway: Gateway, ada: User) -> None:
    job = await dub(ada, ["es"])
    path = f"/api/videos/{job['video_id']}/thumbnail"
    assert_problem(await ada.client.get(path), 404, "thumbnail_not_found")
    await working.finish(gateway, ada, job["id"])
    redirect = await ada.client.get(path)
    assert redirect.status_code == 307
    assert (await ada.client.get(redirect.headers["location"])).content == b"a picture"


async def test_a_quote_reserves_nothing(gateway: Gateway, ada: User) -> None:
    video = await add_video(ada)
    expected = {"credits": 2 * SECONDS, "credits_per_language": SECONDS, "available_credits": FREE_CREDITS}
    for asked in ({"video_id": video["id"]}, {"duration_ms": 61_200}):
        quote = await ada.client.post("/api/billing/quote", json={**asked, "target_languages": ["es", "ca"]})
        assert quote.json() == expected
    assert await gateway.credits(ada) == (FREE_CREDITS, 0)
    both = {"video_id": video["id"], "duration_ms": 1, "target_languages": ["es"]}
    assert_problem(await ada.client.post("/api/billing/quote", json=both), 422, "invalid_request")


async def test_an_estimate_names_the_cost_of_each_stage_and_reserves_nothing(gateway: Gateway, ada: User) -> None:
    video = await add_video(ada)
    wanted = {"target_languages": ["es", "ca"], "source_language": "en"}
    for asked in ({"video_id": video["id"]}, {"duration_ms": 61_200}):
        found = (await ada.client.post("/api/billing/estimate", json={**asked, **wanted})).json()
        assert (found["credits"], found["credits_per_language"], found["cost_usd"]) == (
            2 * SECONDS,
            SECONDS,
            "0.000000",
        )
        assert [(cost["stage"], cost["language"], cost["engine"]) for cost in found["costs"]] == [
            ("asr", None, "pocketsphinx"),
            ("translate", "es", "apertium"),
            ("tts", "es", "espeak"),
            ("translate", "ca", "apertium"),
            ("tts", "ca", "espeak"),
        ]
    assert {"name": "speech_seconds", "language": None, "value": 61.2} in found["assumptions"]
    assert await gateway.credits(ada) == (FREE_CREDITS, 0)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"duration_ms": 1, "video_id": str(UUID(int=1))}, "invalid_request"),
        ({}, "invalid_request"),
        ({"duration_ms": 1, "target_languages": ["ja"]}, "unsupported_language_pair"),
        ({"duration_ms": 1, "engines": {"tts": "none"}}, "unknown_engine"),
    ],
)
async def test_an_estimate_refuses_what_a_job_would(ada: User, asked: dict[str, Any], reason: str) -> None:
    body = {"target_languages": ["es"], "source_language": "en", **asked}
    assert_problem(await ada.client.post("/api/billing/estimate", json=body), 422, reason)


async def test_an_estimate_of_a_video_of_someone_else_is_not_given(ada: User, bob: User) -> None:
    asked = {"target_languages": ["es"], "video_id": (await add_video(ada))["id"]}
    assert_problem(await bob.client.post("/api/billing/estimate", json=asked), 404, "video_not_found")


async def test_the_one_call_form_makes_a_video_and_a_job(gateway: Gateway, ada: User) -> None:
    files = {"file": ("talk.mp4", MP4, "video/mp4")}
    created = await ada.client.post("/api/dubbing-jobs", files=files, data={"target_language": "es"})
    assert created.status_code == 202, created.text
    job_id = created.json()["job_id"]
    assert (await ada.client.get(f"/api/dubbing-jobs/{job_id}")).json()["status"] == "pending"
    job = (await ada.client.get(f"/api/jobs/{job_id}")).json()
    video = (await ada.client.get(f"/api/videos/{job['video_id']}")).json()
    assert (video["status"], video["filename"], video["size"]) == ("ready", "talk.mp4", len(MP4))
    assert len(gateway.stored()) == 1
    assert await gateway.credits(ada) == (FREE_CREDITS - SECONDS, SECONDS)


@pytest.mark.parametrize("filename", ["naïve.mp4", "日本語.mp4"])
async def test_a_file_sent_with_the_form_keeps_its_name(ada: User, filename: str) -> None:
    files = {"file": (filename, MP4, "video/mp4")}
    created = await ada.client.post("/api/dubbing-jobs", files=files, data={"target_language": "es"})
    assert created.status_code == 202, created.text
    (video,) = (await ada.client.get("/api/videos")).json()["items"]
    assert (video["filename"], video["title"]) == (filename, filename)


async def test_a_file_name_with_control_characters_is_refused(ada: User) -> None:
    files = {"file": ("a\x1b\u202eb.mp4", MP4, "video/mp4")}
    response = await ada.client.post("/api/dubbing-jobs", files=files, data={"target_language": "es"})
    assert_problem(response, 422, "invalid_request")


@pytest.mark.parametrize(
    ("content", "language", "status", "reason"),
    [
        (b"", "es", 422, "empty_file"),
        (MP4, "de", 422, "unsupported_language_pair"),
        (MP4, "not a language", 422, "invalid_request"),
    ],
)
async def test_a_one_call_form_that_cannot_be_dubbed_leaves_nothing(
    gateway: Gateway, ada: User, content: bytes, language: str, status: int, reason: str
) -> None:
    files = {"file": ("talk.mp4", content, "video/mp4")}
    response = await ada.client.post("/api/dubbing-jobs", files=files, data={"target_language": language})
    assert_problem(response, status, reason)
    assert gateway.stored() == []
    assert await gateway.credits(ada) == (FREE_CREDITS, 0)


async def test_a_one_call_form_with_bad_media_leaves_nothing(gateway: Gateway, ada: User) -> None:
    gateway.world.probe_error = InvalidInput("This is not a video.", reason="not_media")
    files = {"file": ("talk.mp4", b"just text", "video/mp4")}
    response = await ada.client.post("/api/dubbing-jobs", files=files, data={"target_language": "es"})
    assert_problem(response, 422, "not_media")
    assert gateway.stored() == []
    assert (await ada.client.get("/api/videos")).json()["items"] == []
    assert await count(gateway, idempotency_keys) == 0


async def test_a_one_call_form_needs_a_file(ada: User) -> None:
    fields = {"target_language": (None, "es")}
    assert_problem(await ada.client.post("/api/dubbing-jobs", files=fields), 422, "missing_file")
    response = await ada.client.post("/api/dubbing-jobs", json={"target_language": "es"})
    assert_problem(response, 415, "unsupported_media_type")
