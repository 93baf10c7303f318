"""Events of a job by SSE: live, resumable, ending with the job."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from onevoice_jobs.records import Event
from onevoice_kit.testing.waiting import eventually
from services.gateway.jobs import events
from tests.integration.gateway import working
from tests.integration.gateway.conftest import Gateway, User, add_video, assert_problem
from tests.integration.gateway.serving import follow, serve


async def new_job(user: User) -> str:
    video = await add_video(user)
    response = await user.client.post(f"/api/videos/{video['id']}/dub", json={"target_languages": ["es"]})
    job_id: str = response.json()["id"]
    return job_id


async def test_the_stream_of_a_finished_job_sends_all_its_events_and_ends(gateway: Gateway, ada: User) -> None:
    job_id = await new_job(ada)
    await working.finish(gateway, ada, job_id)
    async with serve(gateway.app) as url, follow(url, ada.key, job_id) as reader:
        story = await reader.rest()
    assert [event.id for event in story] == list(range(1, len(story) + 1))
    assert story[0].type == "job.created"
    assert story[-1].type == "job.completed"
    assert all(event.data["job_id"] == job_id for event in story)
    progress = next(event for event in story if event.type == "job.progress")
    assert (progress.data["stage"], progress.data["percent"]) == ("transcribe", 20)


async def test_events_come_as_they_happen_and_the_stream_ends_with_the_job(gateway: Gateway, ada: User) -> None:
    job_id = await new_job(ada)
    async with serve(gateway.app) as url, follow(url, ada.key, job_id) as reader:
        first = await reader.next()
        assert first is not None
        assert first.type == "job.created"
        store = await working.take(gateway, job_id)
        started = await reader.next()
        assert started is not None
        assert started.type == "job.started"
        await store.record(Event("line.ready", {"language": "es", "start_ms": 0, "text": "Hola, ¿qué tal?"}))
        line = await reader.next()
        assert line is not None
        assert (line.type, line.data["text"]) == ("line.ready", "Hola, ¿qué tal?")
        await store.job_cancelled()
        assert [event.type for event in await reader.rest()] == ["job.cancelled"]


async def test_a_stream_goes_on_where_it_broke_off(
    gateway: Gateway, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_BATCH", 3)  # several batches
    job_id = await new_job(ada)
    async with serve(gateway.app) as url:
        async with follow(url, ada.key, job_id) as reader:
            broken_off = await reader.next()
        assert broken_off is not None
        await working.finish(gateway, ada, job_id)
        async with follow(url, ada.key, job_id, broken_off.id) as reader:
            rest = await reader.rest()
        assert [event.id for event in rest] == list(range(2, len(rest) + 2))
        async with follow(url, ada.key, job_id, rest[-1].id) as reader:
            assert await reader.rest() == []


async def test_many_watchers_of_many_jobs_see_their_own(gateway: Gateway, ada: User) -> None:
    jobs = [await new_job(ada) for _ in range(3)]
    async with serve(gateway.app) as url:

        async def watch(job_id: str) -> list[Any]:
            async with follow(url, ada.key, job_id) as reader:
                return await reader.rest()

        watching = [asyncio.create_task(watch(job_id)) for job_id in jobs for _ in range(3)]
        for job_id in jobs:
            await working.fail(gateway, job_id, "no_speech")
        stories = await asyncio.gather(*watching)
    assert [story[-1].type for story in stories] == ["job.failed"] * 9
    assert [story[-1].data["job_id"] for story in stories] == [job_id for job_id in jobs for _ in range(3)]


class TestHeartbeat:
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"sse_heartbeat_s": 0.05}

    async def test_an_idle_stream_is_kept_open_by_comments(self, gateway: Gateway, ada: User) -> None:
        job_id = await new_job(ada)
        async with serve(gateway.app) as url, follow(url, ada.key, job_id) as reader:
            await reader.next()
            waiting = asyncio.create_task(reader.rest())
            await eventually(lambda: len(reader.comments) >= 2)
            await ada.client.post(f"/api/jobs/{job_id}/cancel")
            assert [event.type for event in await waiting] == ["job.cancelled"]


async def test_closing_the_gateway_ends_its_streams(gateway: Gateway, ada: User) -> None:
    job_id = await new_job(ada)
    async with serve(gateway.app) as url, follow(url, ada.key, job_id) as reader:
        await reader.next()
        gateway.events.close()
        assert await reader.rest() == []


async def test_a_watcher_that_goes_away_is_forgotten(gateway: Gateway, ada: User) -> None:
    job_id = await new_job(ada)
    async with serve(gateway.app) as url:
        async with follow(url, ada.key, job_id) as reader:
            await reader.next()
            assert gateway.events.open_streams == 1
        await eventually(lambda: gateway.events.open_streams == 0)


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "9" * 30])
async def test_a_wrong_last_event_id_is_refused(ada: User, value: str) -> None:
    job_id = await new_job(ada)
    response = await ada.client.get(f"/api/jobs/{job_id}/events", headers={"Last-Event-ID": value})
    assert_problem(response, 422, "invalid_last_event_id")
