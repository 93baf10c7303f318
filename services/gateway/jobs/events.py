"""Events of a job as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.events import CHANNEL, TERMINAL
from onevoice_jobs.queries import events_after, get_job
from onevoice_jobs.records import EventRecord
from onevoice_kit.db import Listener, transaction
from onevoice_kit.db.listener import LOOK, Subscription
from onevoice_kit.errors import InvalidInput

_BATCH = 200
_RETRY_MS = 2000
_HEARTBEAT = b": heartbeat\n\n"


def parse_last_event_id(value: str | None) -> int:
    """The position to go on from; `InvalidInput` (reason `invalid_last_event_id`) for what is not an event's id."""
    if not value:
        return 0
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise InvalidInput("The Last-Event-ID is not one of this job's.", reason="invalid_last_event_id")
    return int(value)


class EventStreams:
    """
    Streams of events, fed from the database and woken by its notifications, so that any replica can serve any
    job and a stream can go on where another one broke off. A stream holds at most one batch of events.
    """

    def __init__(self, engine: AsyncEngine, listener: Listener, heartbeat_s: float) -> None:
        self._engine = engine
        self._listener = listener
        self._heartbeat_s = heartbeat_s
        self._open: set[Subscription] = set()
        self._closing = False

    async def stream(self, user_id: UUID, job_id: UUID, last_id: int) -> AsyncIterator[bytes]:
        """The events after `last_id`, until the job has ended. Idle times are filled with comments."""
        yield f"retry: {_RETRY_MS}\n\n".encode()
        with self._listener.subscribe(CHANNEL, only=str(job_id)) as subscription:
            self._open.add(subscription)
            try:
                async for part in self._parts(subscription, user_id, job_id, last_id):
                    yield part
            finally:
                self._open.discard(subscription)

    @property
    def open_streams(self) -> int:
        """Number of clients that watch."""
        return len(self._open)

    def close(self) -> None:
        """Ends every stream; their clients come back to another replica."""
        self._closing = True
        for subscription in list(self._open):
            subscription.offer(LOOK)

    async def _parts(
        self, subscription: Subscription, user_id: UUID, job_id: UUID, last_id: int
    ) -> AsyncIterator[bytes]:
        while not self._closing:
            ended, events = await self._look(user_id, job_id, last_id)
            if events:
                last_id = events[-1].id
                yield b"".join(map(encode, events))
            if len(events) == _BATCH:
                continue
            if ended or (events and events[-1].type in TERMINAL):
                return
            if await subscription.get(self._heartbeat_s) is None:
                yield _HEARTBEAT

    async def _look(self, user_id: UUID, job_id: UUID, last_id: int) -> tuple[bool, Sequence[EventRecord]]:
        async with transaction(self._engine) as connection:
            # The state first: events that are written between the two reads are then seen, not missed.
            ended = (await get_job(connection, user_id, job_id)).job.status.terminal
            return ended, await events_after(connection, user_id, job_id, last_id, limit=_BATCH)


def encode(event: EventRecord) -> bytes:
    """One event in the stream's format."""
    data = {**event.data, "job_id": str(event.job_id), "at": event.created_at.isoformat()}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"id: {event.id}\nevent: {event.type}\ndata: {text}\n\n".encode()
