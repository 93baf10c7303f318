"""Reads the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from onevoice_kit.errors import InvalidInput

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
