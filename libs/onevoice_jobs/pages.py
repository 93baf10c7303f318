"""Opaque cursors of lists that are ordered by time and id, newest first."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from uuid import UUID

from onevoice_kit.errors import InvalidInput


def encode_cursor(created_at: datetime, id_: UUID) -> str:
    """A cursor that stands after this row."""
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {id_}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, UUID]:
    """The row a cursor stands after; `InvalidInput` (reason `invalid_cursor`) for what is not a cursor."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        created_at, id_ = raw.decode().split(" ")
        moment = datetime.fromisoformat(created_at)
        if moment.tzinfo is None:
            raise ValueError("a time without its zone")
        return moment, UUID(id_)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("The cursor is not valid.", reason="invalid_cursor") from error
