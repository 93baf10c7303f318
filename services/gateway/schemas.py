"""Types of fields that several features take, and cursors of lists that are ordered by id, newest first."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from onevoice_kit.errors import InvalidInput
from onevoice_kit.languages import normalise

T = TypeVar("T")

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""
Control characters (C0, C1), line separators, direction overrides (UAX #9), lone surrogates: PostgreSQL cannot store
NUL and surrogates, the others change how captions, logs and file names are displayed.
"""


def _language(value: str) -> str:
    try:
        return normalise(value)
    except InvalidInput as error:
        raise ValueError(error.message) from None


def _printable(value: str) -> str:
    if _UNSAFE.search(value):
        raise ValueError("contains control characters or direction overrides")
    return value


def _plain_name(value: str) -> str:
    if "/" in value or "\\" in value or value.strip() in ("", ".", ".."):
        raise ValueError("is not a plain file name")
    return value.strip()


Text = Annotated[str, AfterValidator(_printable)]
"""One line in any script; the type of every free text a client sends."""
Filename = Annotated[Text, Field(min_length=1, max_length=255, examples=["talk.mp4"]), AfterValidator(_plain_name)]
"""A file's name as its user wrote it, without folders. It never becomes part of a path."""
ContentType = Annotated[
    str,
    Field(
        max_length=127,
        pattern=r"^[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*$",
        description="Media type, without parameters.",
        examples=["video/mp4"],
    ),
]
Sha256 = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        description="Of the whole file, lower-case hexadecimal.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    ),
]
Size = Annotated[int, Field(ge=0, le=1 << 50, description="Bytes.", examples=[73400320])]
Language = Annotated[
    str,
    Field(
        min_length=2,
        max_length=35,
        pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$",
        description="BCP-47 language tag.",
        examples=["es"],
    ),
    AfterValidator(_language),
]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")]


class Model(BaseModel):
    """A body the API takes: unknown fields are refused, so that a typing error does not pass silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(BaseModel):
    """A body the API gives."""

    model_config = ConfigDict(frozen=True)


class Page(Output, Generic[T]):
    """A part of a list."""

    items: list[T]
    next_cursor: str | None = Field(
        description="Pass it as `cursor` to get the next page; null at the end.", examples=[None]
    )


def encode_cursor(last_id: UUID) -> str:
    """The cursor of the page that follows this id."""
    return base64.urlsafe_b64encode(last_id.bytes).decode().rstrip("=")


def decode_cursor(cursor: str) -> UUID:
    """The id a cursor stands for; `InvalidInput` (reason `invalid_cursor`) for anything else."""
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except ValueError as error:
        raise InvalidInput("The cursor is not valid.", reason="invalid_cursor") from error
