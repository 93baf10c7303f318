"""The usual spelling of language tags."""

from __future__ import annotations


def canonical(tag: str) -> str:
    """A BCP-47 tag in the usual case (RFC 5646, section 2.1.1): `en-latn-us` becomes `en-Latn-US`."""
    first, *rest = tag.split("-")
    return "-".join([first.lower(), *(_subtag(part) for part in rest)])


def _subtag(part: str) -> str:
    if len(part) == 2 and part.isalpha():
        return part.upper()
    return part.title() if len(part) == 4 and part.isalpha() else part.lower()
