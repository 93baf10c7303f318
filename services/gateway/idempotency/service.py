"""Creating calls: each happens once per `Idempotency-Key`, and leaves nothing behind where it fails."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from onevoice_kit.db import transaction, uuid7
from onevoice_kit.errors import Conflict, InvalidInput
from services.gateway.idempotency import repository
from services.gateway.idempotency.repository import Record

T = TypeVar("T")
MAX_LENGTH = 255
_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
"""A string of RFC 8941, section 3.3.3, which the draft asks for."""
_BARE = re.compile(r'[^"\\,;\s]+', re.ASCII)
"""The same without quotes, which most clients send."""


def parse_key(values: Sequence[str]) -> str | None:
    """
    The key that a request carries, quoted or not; None where it has none. Raises `InvalidInput` (reason
    `idempotency_key_malformed`) for more than one, an empty one, one that is too long or not printable ASCII.
    """
    if not values:
        return None
    if len(values) > 1:
        raise _malformed("The Idempotency-Key is given more than once.")
    value = values[0].strip(" \t")
    if quoted := _STRING.fullmatch(value):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    elif _BARE.fullmatch(value) and value.isascii() and value.isprintable():
        key = value
    else:
        raise _malformed("The Idempotency-Key is not a string of printable ASCII characters.")
    if not 0 < len(key) <= MAX_LENGTH:
        raise _malformed(f"The Idempotency-Key must have 1 to {MAX_LENGTH} characters.")
    return key


def _malformed(message: str) -> InvalidInput:
    return InvalidInput(message, reason="idempotency_key_malformed")


logger = logging.getLogger(__name__)

_GIVEN, _OWN = "key:", "own:"
Undo = Callable[[UUID, UUID], Awaitable[None]]
"""Takes the user's and the resource's id and removes what a dead call may have left outside the database."""


@dataclass(frozen=True, slots=True)
class CreatingCall:
    """A call that makes a resource."""

    user_id: UUID
    key: str | None
    """The client's `Idempotency-Key`, if it sent one."""
    operation: str
    request: Mapping[str, Any]
    """All that decides what the call does, as JSON values."""

    def record(self) -> Record:
        """The record of the call before it starts."""
        resource_id = uuid7()
        canonical = json.dumps(dict(self.request), sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(f"{self.operation}\n{canonical}".encode()).hexdigest()
        key = f"{_GIVEN}{self.key}" if self.key is not None else f"{_OWN}{resource_id}"
        return Record(self.user_id, key, self.operation, digest, resource_id)


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of a creating call."""

    status: int
    body: Mapping[str, Any]
    replayed: bool = False


@dataclass
class Attempt:
    """One run of a creating call."""

    resource_id: UUID
    """Id for what the call makes; chosen before anything is made."""
    leaves_traces: bool = False
    """Set it before anything is made outside the database; from then on a failure is undone."""


Write = Callable[[AsyncConnection], Awaitable[Answer]]
"""Makes a resource in the transaction that it is given, and returns the answer that is stored with it."""


class Idempotency:
    """Runs creating calls. `undo` holds, per operation, what removes the traces of a dead call."""

    def __init__(
        self, engine: AsyncEngine, *, running_s: int, keep_s: int, undo: Mapping[str, Undo], batch: int = 50
    ) -> None:
        """`batch`: the most dead calls that one round of housekeeping cleans up after."""
        self._engine = engine
        self._batch = batch
        self.running_for = timedelta(seconds=running_s)
        self._keep = timedelta(seconds=keep_s)
        self._undo = undo

    async def run(
        self,
        call: CreatingCall,
        prepare: Callable[[Attempt, T], Awaitable[Write]],
        look: Callable[[AsyncConnection], Awaitable[T]],
    ) -> Answer:
        """
        The answer of a call that happens once. `look` reads what it starts from, in the transaction that claims the
        key. `prepare` calls other services, while no transaction is open. The write that it returns is one transaction
        with the stored answer. Where one of them raises, what was made is undone and the key is free again.

        Raises `InvalidInput` (`idempotency_key_reused`) and `Conflict` (`request_in_progress`, and `request_abandoned`
        where the call took so long that it was taken for dead).
        """
        record = call.record()
        async with transaction(self._engine) as connection:
            if not await self._claim(connection, record):
                return _repeated(record, await repository.find(connection, record.user_id, record.key))
            seen = await look(connection)
        attempt = Attempt(record.resource_id)
        try:
            write = await prepare(attempt, seen)
            async with transaction(self._engine) as connection:
                answer = await write(connection)
                await _store(connection, record, answer)
            return answer
        except BaseException:
            # Shielded: also a cancelled request gives back what it took.
            await asyncio.shield(self._abandon(record, undo=attempt.leaves_traces))
            raise

    async def _claim(self, connection: AsyncConnection, record: Record) -> bool:
        if await repository.insert_running(connection, record, self.running_for):
            return True
        expired = await repository.forget_expired(connection, record, self._keep)
        return expired and await repository.insert_running(connection, record, self.running_for)

    async def _abandon(self, record: Record, *, undo: bool) -> bool:
        """Returns True if nothing of the call is left."""
        try:
            await self._clean_up(record, self._undo.get(record.operation) if undo else None)
        except Exception:  # the caller gets the first error; housekeeping does this again
            logger.exception("cannot undo a failed call yet", extra={"operation": record.operation})
            return False
        return True

    async def _clean_up(self, record: Record, undo: Undo | None) -> None:
        """Removes a call's traces, then its record; nothing where the call did succeed after all."""
        async with transaction(self._engine) as connection:
            if not await repository.abandon(connection, record):
                return
        # No transaction is open while other services work; `_store` refuses an abandoned call.
        if undo is not None:
            await undo(record.user_id, record.resource_id)
        async with transaction(self._engine) as connection:
            await repository.forget_abandoned(connection, record)

    async def housekeeping(self) -> None:
        """Cleans up after calls that died with their process, and forgets old answers."""
        async with transaction(self._engine) as connection:
            dead = await repository.dead(connection, self._batch)
            await repository.forget_answered(connection, self._keep)
        for record in dead:
            if not await self._abandon(record, undo=True):
                async with transaction(self._engine) as connection:
                    await repository.postpone(connection, record, self.running_for)


async def nothing(_connection: AsyncConnection) -> None:
    """For `Idempotency.run`: a call that starts from nothing stored."""


def _repeated(record: Record, known: Record | None) -> Answer:
    if known is not None and known.request_hash != record.request_hash:
        raise InvalidInput("The Idempotency-Key was used with another request.", reason="idempotency_key_reused")
    if known is None or known.response_status is None:
        raise Conflict("The same request is still running.", reason="request_in_progress", retry_after=2.0)
    return Answer(known.response_status, known.response_body or {}, replayed=True)


async def _store(connection: AsyncConnection, record: Record, answer: Answer) -> None:
    if record.key.startswith(_OWN):
        done = await repository.forget(connection, record)
    else:
        done = await repository.answer(connection, record, answer.status, answer.body)
    if not done:
        raise Conflict("The request took too long and was given up.", reason="request_abandoned")
