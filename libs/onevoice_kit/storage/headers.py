"""HTTP headers that go with stored objects."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote


def content_disposition(filename: str) -> str:
    """
    Makes a browser save under this name (RFC 6266): once in ASCII for old ones, once as it is.
    Control characters, quotes, slashes and backslashes become underscores.
    """
    name = "".join("_" if character in '"\\/' or not character.isprintable() else character for character in filename)
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "download"
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
