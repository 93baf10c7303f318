"""The kind of a file by its first bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from onevoice_kit.media_exec.formats import media_type_of
from services.gateway.uploads.models import UploadKind

_PICTURES = {
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/gif": rb"GIF8",
    "image/webp": rb"(?s:RIFF.{4}WEBP)",
}
_ALLOWED: Mapping[UploadKind, tuple[str, ...]] = {
    UploadKind.VIDEO: ("video/", "application/ogg"),
    UploadKind.VOICE: ("audio/", "video/", "application/ogg"),
    UploadKind.BACKGROUND: ("audio/", "video/", "application/ogg"),
    UploadKind.VOICE_SAMPLE: ("audio/", "video/", "application/ogg"),
    UploadKind.SUBTITLE: ("text/",),
    UploadKind.AVATAR: ("image/",),
}


def sniff(head: bytes) -> str:
    """The media type of a file that starts with `head` (`HEAD_BYTES`); `application/octet-stream` where unknown."""
    if media_type := media_type_of(head):
        return media_type
    for media_type, start in _PICTURES.items():
        if re.match(start, head):
            return media_type
    return "text/plain" if _is_text(head) else "application/octet-stream"


def fits(kind: UploadKind, content_type: str) -> bool:
    """True if a file of this media type can serve the purpose of its upload."""
    return content_type.startswith(_ALLOWED[kind])


def _is_text(head: bytes) -> bool:
    if not head or b"\x00" in head:
        return False
    for cut in range(min(4, len(head))):  # the last character may be cut in the middle
        try:
            head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return True
    return False
