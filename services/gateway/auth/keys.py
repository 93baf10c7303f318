"""API keys: how they look, how they are hashed."""

from __future__ import annotations

import hashlib
import secrets

_PREFIX = "ov_"
_SHOWN = len(_PREFIX) + 8


def new_key() -> str:
    """A fresh key: `ov_` and 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """The stored hash of a key. Keys are random, so a plain SHA-256 cannot be searched backwards."""
    return hashlib.sha256(key.encode()).hexdigest()


def shown_prefix(key: str) -> str:
    """The start of a key, by which its owner recognises it."""
    return key[:_SHOWN]


def looks_like_key(text: str) -> bool:
    """True if a text may be a key at all."""
    return text.startswith(_PREFIX) and 20 <= len(text) <= 100 and text.isascii()
