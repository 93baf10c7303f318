"""The port for telling people something, at least once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell."""

    key: str
    """The same whenever the same thing is told; travels with the message, so that a receiver can drop doubles."""
    subject: str
    """One line."""
    text: str
    recipient: str = ""
    """Mail address; empty where the channel has its own receivers."""


class Notifier(Protocol):
    """One channel."""

    async def send(self, note: Note) -> None:
        """
        Hands the note over. Raises `Unavailable` where another attempt may succeed, `InvalidInput` (reason
        `invalid_recipient`) where none ever will, and `Internal` where the channel refuses it.
        """
        ...

    async def close(self) -> None:
        """Gives connections back."""
        ...


def one_line(text: str) -> str:
    """The text without line breaks and other control characters, which could end a header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
