"""The message that asks for a job to be worked on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from onevoice_kit.errors import InvalidInput
from onevoice_kit.queue.base import Delivery, Message

MESSAGE_TYPE = "DUBBING_JOB"


class PoisonMessage(InvalidInput):
    """The message cannot be worked on, now or ever."""


@dataclass(frozen=True, slots=True)
class DubbingJobMessage:
    """Ids only: everything else is in the database, so a message can be lost, doubled or late without harm."""

    job_id: UUID
    user_id: UUID
    video_id: UUID
    requested_at: datetime

    def to_message(self, *, traceparent: str = "", attempt: int = 1) -> Message:
        """The queue message; the user is its group, so that users share the queue fairly."""
        body = {
            "messageType": MESSAGE_TYPE,
            "jobId": str(self.job_id),
            "userId": str(self.user_id),
            "videoId": str(self.video_id),
            "requestedAt": self.requested_at.astimezone(UTC).isoformat(),
        }
        attributes = {"messageType": MESSAGE_TYPE, "attempt": str(attempt), "jobId": str(self.job_id)}
        if traceparent:
            attributes["traceparent"] = traceparent
        return Message(json.dumps(body), attributes, group_id=str(self.user_id))

    @classmethod
    def from_delivery(cls, delivery: Delivery) -> DubbingJobMessage:
        """Reads a message; `PoisonMessage` (`unreadable_message`, `unknown_message_type`) when it is not one."""
        try:
            body = json.loads(delivery.body)
            if body["messageType"] != MESSAGE_TYPE:
                raise PoisonMessage("The message type is not known.", reason="unknown_message_type")
            return cls(
                UUID(body["jobId"]),
                UUID(body["userId"]),
                UUID(body["videoId"]),
                datetime.fromisoformat(body["requestedAt"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PoisonMessage("The message cannot be read.", reason="unreadable_message") from error
