"""The client of the soak: submits jobs through the gateway and does not give up, each under its own key."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import httpx
from pydantic import SecretStr

from onevoice_kit.settings import DatabaseSettings
from services.gateway.create_user import create_user

_MP4 = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 8
"""An MP4 by its first bytes; the mixer of the soak invents its facts."""
_PAUSE_S = 0.2
_LOOK_S = 0.1
_TIMEOUT_S = 15.0
_RETRY_BUDGET_S = 120.0
"""Seconds over which a request is retried; one without a response by then counts as refused."""


@dataclass(frozen=True, slots=True)
class User:
    """A user with a video."""

    id: str
    headers: dict[str, str]
    video_id: str


@dataclass
class Load:
    """Keeps so many jobs open at a time, and remembers each that the gateway has accepted."""

    url: str
    users: Sequence[User]
    in_flight: int
    sent_at: dict[UUID, float] = field(default_factory=dict)
    """Time at which each accepted job was first sent, by the clock of the machine."""
    repeats: int = 0
    """Requests sent again."""
    refused: list[str] = field(default_factory=list)
    """Answers that no repetition would change."""
    _open: set[UUID] = field(default_factory=set)

    async def run(self, seconds: float, database: asyncpg.Connection) -> None:
        """Submits for so long, then returns once every request has been answered."""
        slots = asyncio.Semaphore(self.in_flight)
        watcher = asyncio.create_task(self._watch(slots, database))
        limits = httpx.Limits(max_connections=2 * self.in_flight)
        gateway = httpx.AsyncClient(base_url=self.url, timeout=_TIMEOUT_S, trust_env=False, limits=limits)
        async with gateway as client, asyncio.TaskGroup() as tasks:
            with suppress(TimeoutError):  # also where no job ends any more: the checks then say which are lost
                async with asyncio.timeout(seconds):
                    for number in itertools.count():
                        await slots.acquire()
                        tasks.create_task(self._submit(client, number, slots))
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)

    async def _submit(self, client: httpx.AsyncClient, number: int, slots: asyncio.Semaphore) -> None:
        user = self.users[number % len(self.users)]
        headers = {**user.headers, "Idempotency-Key": f"soak-{number}"}
        body = {"video_id": user.video_id, "target_languages": ["es"]}
        began = time.time()
        answer = await self._answer(client, headers, body)
        if answer.status_code != httpx.codes.ACCEPTED:
            self.refused.append(answer.text)
            slots.release()
            return
        job_id = UUID(answer.json()["id"])
        self.sent_at[job_id] = began
        self._open.add(job_id)

    async def _answer(self, client: httpx.AsyncClient, headers: dict[str, str], body: object) -> httpx.Response:
        until = time.monotonic() + _RETRY_BUDGET_S
        while True:
            try:
                answer = await client.post("/api/jobs", headers=headers, json=body)
            except httpx.TransportError as error:  # the gateway is being restarted
                answer = httpx.Response(503, text=str(error))
            if not _try_again(answer) or time.monotonic() > until:
                return answer
            self.repeats += 1
            await asyncio.sleep(_PAUSE_S)

    async def _watch(self, slots: asyncio.Semaphore, database: asyncpg.Connection) -> None:
        """A job that has ended makes room for another."""
        query = "SELECT id FROM jobs.jobs WHERE id = ANY($1) AND completed_at IS NOT NULL"
        while True:
            await asyncio.sleep(_LOOK_S)
            for row in await database.fetch(query, list(self._open)):
                self._open.discard(row["id"])
                slots.release()


def _try_again(answer: httpx.Response) -> bool:
    return (
        answer.status_code >= 500
        or answer.status_code == 429
        or (answer.status_code == 409 and answer.json()["reason"] != "video_not_ready")
    )


async def make_users(url: str, database_url: str, count: int) -> list[User]:
    """Makes `count` users, each with a video that is ready."""
    settings = DatabaseSettings(database_url=SecretStr(database_url))
    made = [await create_user(settings, f"soak{number}@onevoice.invalid", "", "soak") for number in range(count)]
    return [await _with_video(url, one["user_id"], {"Authorization": f"Bearer {one['api_key']}"}) for one in made]


async def _with_video(url: str, user_id: str, headers: dict[str, str]) -> User:
    body = {
        "filename": "soak.mp4",
        "content_type": "video/mp4",
        "size": len(_MP4),
        "sha256": hashlib.sha256(_MP4).hexdigest(),
        "source_language": "en",
    }
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30.0, trust_env=False) as client:
        created = (await client.post("/api/videos", json=body)).raise_for_status().json()
        upload, video_id = created["upload"], created["video"]["id"]
        async with httpx.AsyncClient(timeout=30.0, trust_env=False) as plain:
            sent = await plain.request(upload["method"], upload["url"], headers=upload["headers"], content=_MP4)
        sent.raise_for_status()
        (await client.post(f"/api/videos/{video_id}/complete", json={})).raise_for_status()
    return User(user_id, headers, video_id)
