"""Rules for every request: credentials, problems, ids, headers; and the state of the deployment."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import func, select, update

from onevoice_jobs.workers import heartbeat
from onevoice_kit.db import transaction
from services.gateway.accounts import Right, api_keys, users
from services.gateway.create_user import create_user
from tests.integration.gateway.conftest import FREE_CREDITS, MP4, Gateway, User, add_video, announce, assert_problem


async def test_without_a_key_nothing_is_answered(gateway: Gateway) -> None:
    async with gateway.client() as nobody:
        for path in ("/api/videos", "/api/jobs", "/api/languages", "/api/voices", "/api/engines", "/api/users/me"):
            response = await nobody.get(path)
            assert_problem(response, 401, "missing_credentials")
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", ["ov_" + "x" * 43, "nonsense", "ov_", "ov_ü" + "x" * 40])
async def test_a_wrong_key_is_refused(gateway: Gateway, key: str) -> None:
    async with gateway.client(headers={"Authorization": f"Bearer {key}".encode()}) as nobody:
        assert_problem(await nobody.get("/api/videos"), 401, "invalid_api_key")


@pytest.mark.parametrize(("table", "column"), [(api_keys, "revoked_at"), (users, "disabled_at")])
async def test_a_revoked_key_and_a_disabled_user_are_refused(
    gateway: Gateway, ada: User, table: Any, column: str
) -> None:
    assert (await ada.client.get("/api/users/me")).status_code == 200
    async with transaction(gateway.database) as connection:
        await connection.execute(update(table).values({column: func.now()}))
    assert_problem(await ada.client.get("/api/users/me"), 401, "invalid_api_key")


async def test_keys_are_stored_as_hashes_and_their_use_is_noted(gateway: Gateway, ada: User) -> None:
    await ada.client.get("/api/users/me")
    async with transaction(gateway.database) as connection:
        row = (await connection.execute(select(api_keys))).one()
    assert ada.key not in str(row)
    assert ada.key.startswith(row.prefix)
    assert row.last_used_at is not None


async def test_a_second_key_of_the_same_address_is_the_same_users(gateway: Gateway, ada: User) -> None:
    again = await create_user(gateway.settings, " ADA@example.com", "", "second")
    assert again["user_id"] == str(ada.id)
    assert again["api_key"] != ada.key


async def test_users_see_themselves_and_their_credits(ada: User) -> None:
    me = (await ada.client.get("/api/users/me")).json()
    assert (me["id"], me["email"]) == (str(ada.id), "ada@example.com")
    credits_ = (await ada.client.get("/api/users/me/credits")).json()
    assert credits_ == {"available_credits": FREE_CREDITS, "reserved_credits": 0}


async def test_every_error_is_a_problem(gateway: Gateway, ada: User) -> None:
    assert_problem(await ada.client.get("/api/nothing"), 404, "route_not_found")
    assert_problem(await ada.client.put("/api/videos"), 405, "method_not_allowed")
    malformed = await ada.client.post("/api/videos", content=b"{", headers={"Content-Type": "application/json"})
    assert_problem(malformed, 400, "malformed_json")
    problem = assert_problem(await ada.client.post("/api/videos", json={"size": -1}), 422, "invalid_request")
    assert {error["field"] for error in problem["errors"]} >= {"body.size", "body.filename", "body.sha256"}
    assert_problem(await ada.client.get("/api/jobs/no-uuid"), 422, "invalid_request")
    assert_problem(await ada.client.get("/api/jobs", params={"limit": 0}), 422, "invalid_request")
    too_long = await ada.client.post("/api/videos", headers={"Idempotency-Key": "k" * 300}, json={})
    assert_problem(too_long, 400, "idempotency_key_malformed")


@pytest.mark.parametrize("character", ["\\u0000", "\\ud800", "\\u001b", "\\u202e"])
async def test_a_text_that_cannot_be_stored_or_shown_is_refused(ada: User, character: str) -> None:
    headers = {"Content-Type": "application/json"}
    video_id = (await add_video(ada))["id"]
    for method, path, body in (
        ("PATCH", f"/api/videos/{video_id}", f'{{"title": "a{character}b"}}'),
        ("POST", "/api/videos", json.dumps(announce(title="T")).replace('"T"', f'"a{character}b"')),
        ("POST", "/api/videos", json.dumps(announce(filename="F")).replace('"F"', f'"a{character}b.mp4"')),
        (
            "POST",
            f"/api/videos/{video_id}/dub",
            f'{{"target_languages": ["es"], "glossary": [{{"source": "a{character}", "target": "b"}}]}}',
        ),
        ("PATCH", f"/api/videos/{video_id}", f'{{"a{character}b": 1}}'),
        ("POST", f"/api/videos/{video_id}/complete", f'{{"parts": [{{"number": 1, "etag": "a{character}/b"}}]}}'),
    ):
        response = await ada.client.request(method, path, content=body, headers=headers)
        assert_problem(response, 422, "invalid_request")


async def test_a_body_that_cannot_be_parsed_is_a_problem_whose_status_is_the_responses(ada: User) -> None:
    headers = {"Content-Type": "application/json"}
    response = await ada.client.post("/api/videos", content=b"[" * 100_000, headers=headers)
    assert_problem(response, 400, "malformed_body")


async def test_a_json_body_has_a_limit(gateway: Gateway, ada: User) -> None:
    body = b'{"title": "' + b"x" * (1 << 20) + b'"}'
    assert_problem(await ada.client.post("/api/videos", content=body), 413, "body_too_large")

    async def pieces() -> Any:
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]

    headers = {"Content-Type": "application/json"}
    assert_problem(await ada.client.post("/api/videos", content=pieces(), headers=headers), 413, "body_too_large")


async def test_an_unforeseen_error_is_answered_by_an_id_only(
    gateway: Gateway, ada: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("password is hunter2")

    monkeypatch.setattr(gateway.catalogue, "languages", broken)
    response = await ada.client.get("/api/languages")
    problem = assert_problem(response, 500, "internal")
    assert "hunter2" not in response.text
    assert response.headers["X-Request-Id"]
    logged = [record for record in caplog.records if getattr(record, "error_id", "") == problem["error_id"]]
    assert len(logged) == 1
    assert "hunter2" in str(logged[0].exc_info)


async def test_every_response_carries_its_id_and_security_headers(gateway: Gateway, ada: User) -> None:
    given = await ada.client.get("/api/users/me", headers={"X-Request-Id": "my-request-1"})
    assert given.headers["X-Request-Id"] == "my-request-1"
    unfit = await ada.client.get("/api/users/me", headers={"X-Request-Id": "bad id\x7f"})
    assert unfit.headers["X-Request-Id"] not in ("", "bad id\x7f")
    for response in (given, await ada.client.get("/api/nothing")):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]


async def test_the_access_log_names_route_user_and_request(
    gateway: Gateway, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "onevoice.access")
    await ada.client.get(f"/api/jobs/{ada.id}", headers={"X-Request-Id": "log-me-please"})
    line = next(record for record in caplog.records if getattr(record, "request_id", "") == "log-me-please")
    assert line.__dict__["http.route"] == "/api/jobs/{job_id}"
    assert line.__dict__["http.response.status_code"] == 404
    assert line.__dict__["user_id"] == str(ada.id)
    assert ada.key not in str(line.__dict__)


async def test_requests_are_counted_by_route_never_by_address(gateway: Gateway, ada: User) -> None:
    labels = {"method": "GET", "route": "/api/videos/{video_id}", "code": "404"}
    before = REGISTRY.get_sample_value("http_server_handled_total", labels) or 0
    await ada.client.get(f"/api/videos/{ada.id}")
    assert REGISTRY.get_sample_value("http_server_handled_total", labels) == before + 1
    assert REGISTRY.get_sample_value("http_server_in_flight") == 0


async def test_the_catalogue_shows_what_can_be_dubbed_here(ada: User) -> None:
    languages = (await ada.client.get("/api/languages")).json()
    assert languages == {
        "sources": ["en"],
        "targets": ["ca", "es"],
        "pairs": [{"source": "en", "target": "ca"}, {"source": "en", "target": "es"}],
    }
    voices = (await ada.client.get("/api/voices", params={"language": "es"})).json()["items"]
    assert [(voice["id"], voice["gender"]) for voice in voices] == [("espeak:es", "female")]
    assert len((await ada.client.get("/api/voices")).json()["items"]) == 3
    engines = (await ada.client.get("/api/engines")).json()
    assert {stage: [engine["name"] for engine in found] for stage, found in engines.items()} == {
        "asr": ["pocketsphinx"],
        "detection": ["silero"],
        "diarization": ["single"],
        "identification": ["whisper"],
        "separation": ["deepfilter"],
        "translate": ["apertium", "openai"],
        "tts": ["espeak"],
    }


async def test_an_engine_that_cannot_work_is_shown_with_what_is_missing_its_price_and_its_end(ada: User) -> None:
    [works, away] = (await ada.client.get("/api/engines")).json()["translate"]
    assert away == {
        "name": "openai",
        "model": "large",
        "version": "1",
        "languages": ["en"],
        "available": False,
        "missing": "The engine “openai” needs a key.",
        "partly_missing": "For “ja”: more.",
        "shutdown_date": "2027-01-31",
        "paid": True,
        "prices": [{"usd": "2.50", "unit": "1M input tokens"}],
    }
    assert works["available"]
    assert (works["missing"], works["partly_missing"], works["shutdown_date"]) == (None, None, None)
    assert (works["paid"], works["prices"]) == (False, [])


async def test_health_reports_every_component(gateway: Gateway) -> None:
    await heartbeat(gateway.database, "worker-1", service="orchestrator", version="1", slots=2, busy=1)
    async with gateway.client() as nobody:
        response = await nobody.get("/api/monitoring/health")
        assert (await nobody.get("/healthz")).json() == {"status": "ok"}
        assert (await nobody.get("/readyz")).json() == {"status": "ok"}
    health = response.json()
    assert (response.status_code, health["status"]) == (200, "ok")
    assert set(health["services"]) == {"asr", "translate", "tts", "mixer", "billing"}
    assert health["database"]["latency_ms"] > 0
    assert (health["queue"]["visible"], health["queue"]["in_flight"], health["queue"]["oldest_age_s"]) == (0, 0, None)
    assert [(worker["busy"], worker["alive"]) for worker in health["workers"]] == [(1, True)]


async def test_only_operators_see_the_names_of_workers(gateway: Gateway, ada: User) -> None:
    await heartbeat(gateway.database, "host-7:4242", service="orchestrator", version="1", slots=2, busy=1)
    operator = await gateway.user("ops@example.com", Right.OPERATOR)
    async with gateway.client() as nobody, gateway.client(headers={"Authorization": "Bearer wrong"}) as wrong:
        for client in (nobody, wrong, ada.client):
            assert "host-7" not in (await client.get("/api/monitoring/health")).text
    (worker,) = (await operator.client.get("/api/monitoring/health")).json()["workers"]
    assert worker["id"] == "host-7:4242"


async def test_a_slash_too_many_is_no_redirect_to_the_host_a_client_names(gateway: Gateway, ada: User) -> None:
    response = await ada.client.get("/api/videos/", headers={"Host": "evil.example"})
    assert_problem(response, 404, "route_not_found")
    assert "location" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/videos", "GET, POST"),
        ("PUT", "/api/videos/0199f1c0-0000-7000-8000-000000000000", "DELETE, GET, PATCH"),
        ("DELETE", "/storage/users/x", "GET, HEAD, PUT"),
    ],
)
async def test_allow_lists_every_method_of_the_path(
    gateway: Gateway, ada: User, method: str, path: str, allowed: str
) -> None:
    response = await ada.client.request(method, path)
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == allowed


async def test_high_priority_is_a_right_of_the_account(gateway: Gateway, ada: User) -> None:
    video = await add_video(ada)
    wanted = {"target_languages": ["es"], "priority": "high"}
    refused = await ada.client.post(f"/api/videos/{video['id']}/dub", json=wanted)
    assert_problem(refused, 403, "priority_not_allowed")
    refused = await ada.client.post("/api/jobs", json={**wanted, "video_id": video["id"]})
    assert_problem(refused, 403, "priority_not_allowed")
    assert await gateway.credits(ada) == (FREE_CREDITS, 0)
    await create_user(gateway.settings, "ada@example.com", "", "second", [Right.HIGH_PRIORITY])
    accepted = await ada.client.post(f"/api/videos/{video['id']}/dub", json=wanted)
    assert accepted.status_code == 202, accepted.text


class TestStorageQuota:
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"storage_quota_bytes": 2 * len(MP4)}

    async def test_what_a_user_stores_is_bounded(self, gateway: Gateway, ada: User, bob: User) -> None:
        video = await add_video(ada)
        subtitle = announce(kind="subtitle", filename="talk.srt", content_type="application/x-subrip")
        assert (await ada.client.post("/api/uploads", json=subtitle)).status_code == 201
        form = {"file": ("talk.mp4", MP4, "video/mp4")}
        for refused in (
            await ada.client.post("/api/videos", json=announce()),
            await ada.client.post("/api/uploads", json=subtitle),
            await ada.client.post("/api/dubbing-jobs", files=form, data={"target_language": "es"}),
        ):
            problem = assert_problem(refused, 403, "storage_quota_exceeded")
            assert problem["used_bytes"] == problem["quota_bytes"] == str(2 * len(MP4))
        assert (await bob.client.post("/api/videos", json=announce())).status_code == 201
        assert (await ada.client.delete(f"/api/videos/{video['id']}")).status_code == 204
        assert (await ada.client.post("/api/videos", json=announce())).status_code == 201

    async def test_calls_at_the_same_time_do_not_exceed_it_together(self, gateway: Gateway, ada: User) -> None:
        calls = [ada.client.post("/api/videos", json=announce()) for _ in range(6)]
        statuses = sorted(response.status_code for response in await asyncio.gather(*calls))
        assert statuses == [201, 201, 403, 403, 403, 403]


async def test_health_is_degraded_without_a_stage_or_a_worker(gateway: Gateway) -> None:
    await gateway.servers["tts"].stop(0)
    async with gateway.client() as nobody:
        response = await nobody.get("/api/monitoring/health")
        assert (await nobody.get("/readyz")).status_code == 200
    health = response.json()
    assert (response.status_code, health["status"]) == (200, "degraded")
    assert health["services"]["tts"]["status"] == "down"
    assert health["services"]["asr"]["status"] == "ok"


class TestWithoutDatabase:
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"database_url": "postgresql://nobody@127.0.0.1:1/nothing"}

    async def test_health_is_down_and_the_gateway_is_not_ready(self, gateway: Gateway) -> None:
        async with gateway.client(headers={"Authorization": "Bearer ov_" + "x" * 43}) as client:
            response = await client.get("/api/monitoring/health")
            assert (response.status_code, response.json()["status"]) == (503, "down")
            assert response.json()["database"]["reason"] == "database_unavailable"
            assert_problem(await client.get("/readyz"), 503, "not_ready")
            assert (await client.get("/healthz")).status_code == 200
            assert_problem(await client.get("/api/videos"), 503, "database_unavailable")
