"""The queue port: messages that are delivered at least once, hidden while they are worked on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """A message to send."""

    body: str
    """JSON text."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    group_id: str = ""
    """The owner of the share of the queue that it takes (SQS fair queues: the user)."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message received; hidden from other receivers until its visibility ends."""

    id: str
    body: str
    attributes: Mapping[str, str]
    receive_count: int
    """Number of receives, this one included."""
    handle: str
    """Names this one receipt; a later receipt of the same message has another."""
    group_id: str = ""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The depth of the queue."""

    visible: int
    in_flight: int
    oldest_age_s: float | None
    """Age of the oldest visible message; None where the queue is empty or has no such figure."""


class Queue(Protocol):
    """Raises `Unavailable` when the queue does not answer."""

    async def receive(self, *, max_messages: int = 1, wait_s: float = 20.0) -> Sequence[Delivery]:
        """Waits up to `wait_s` for messages; each is hidden for the visibility timeout."""
        ...

    async def extend(self, delivery: Delivery, seconds: int) -> None:
        """Hides the message for `seconds` from now; `Conflict` (reason `stale_receipt`) for an outdated receipt."""
        ...

    async def release(self, delivery: Delivery, *, delay_s: int = 0) -> None:
        """Makes the message visible again after `delay_s`; a stale receipt is fine."""
        ...

    async def delete(self, delivery: Delivery) -> None:
        """Removes the message for good; a stale receipt is fine."""
        ...

    async def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """Moves the message to the dead-letter queue with the reason as attribute."""
        ...

    async def depth(self) -> QueueDepth:
        """The depth of the queue."""
        ...

    async def close(self) -> None:
        """Gives connections back."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that is given up."""

    id: str
    body: str
    attributes: Mapping[str, str]
    reason: str
    """Stable snake_case word; `received_too_often` where no receiver gave another."""
    receive_count: int
    dead_at: datetime | None
    """Time at which it became a dead letter, or (SQS) was last sent."""


class DeadLetters(Protocol):
    """The operators' side of dead letters. Raises `Unavailable` when the queue does not answer."""

    async def peek(self, *, limit: int = 100) -> Sequence[DeadLetter]:
        """Some of the dead letters, at most `limit`; they stay what they are."""
        ...

    async def redrive(self, ids: Collection[str] | None = None) -> int:
        """Puts these, or all, back into the queue with a fresh count of receives; returns how many there were."""
        ...

    async def drop(self, ids: Collection[str] | None = None) -> int:
        """Deletes these, or all; returns how many there were."""
        ...

    async def close(self) -> None:
        """Gives connections back."""
        ...


class Sender(Protocol):
    """The sending half, which only the outbox relay needs."""

    async def send(self, messages: Sequence[Message]) -> Sequence[bool]:
        """Sends up to ten messages; returns for each whether the queue has it."""
        ...
