"""The usual spelling of language tags."""

from __future__ import annotations

from collections.abc import Container


def canonical(tag: str) -> str:
    """A BCP-47 tag in the usual case (RFC 5646, section 2.1.1): `en-latn-us` becomes `en-Latn-US`."""
    first, *rest = tag.split("-")
    return "-".join([first.lower(), *(_subtag(part) for part in rest)])


def lookup(tag: str, known: Container[str]) -> str | None:
    """The known tag that serves `tag`: itself, or what is left of it subtag by subtag (RFC 4647, section 3.4)."""
    parts = tag.split("-")
    candidates = ("-".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((candidate for candidate in candidates if candidate in known), None)


def _subtag(part: str) -> str:
    if len(part) == 2 and part.isalpha():
        return part.upper()
    return part.title() if len(part) == 4 and part.isalpha() else part.lower()
