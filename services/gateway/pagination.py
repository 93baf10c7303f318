"""Opaque cursors of lists that are ordered by id, newest first."""

from __future__ import annotations

import base64
from uuid import UUID

from onevoice_kit.errors import InvalidInput


def encode_cursor(last_id: UUID) -> str:
    """The cursor of the page that follows this id."""
    return base64.urlsafe_b64encode(last_id.bytes).decode().rstrip("=")


def decode_cursor(cursor: str) -> UUID:
    """The id a cursor stands for; `InvalidInput` (reason `invalid_cursor`) for anything else."""
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except ValueError as error:
        raise InvalidInput("The cursor is not valid.", reason="invalid_cursor") from error
