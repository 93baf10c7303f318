"""The kind of a file by its first bytes."""

from __future__ import annotations

from collections.abc import Mapping

from services.gateway.uploads.models import UploadKind

SNIFF_BYTES = 4096

_PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
_MEDIA = {
    b"\x1aE\xdf\xa3": "video/x-matroska",
    b"OggS": "application/ogg",
    b"fLaC": "audio/flac",
    b"ID3": "audio/mpeg",
    b"FLV\x01": "video/x-flv",
    b"\x00\x00\x01\xba": "video/mpeg",
}
_RIFF = {b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo", b"WEBP": "image/webp"}

_ALLOWED: Mapping[UploadKind, tuple[str, ...]] = {
    UploadKind.VIDEO: ("video/", "application/ogg"),
    UploadKind.VOICE: ("audio/", "video/", "application/ogg"),
    UploadKind.BACKGROUND: ("audio/", "video/", "application/ogg"),
    UploadKind.VOICE_SAMPLE: ("audio/", "video/", "application/ogg"),
    UploadKind.SUBTITLE: ("text/",),
    UploadKind.AVATAR: ("image/",),
}


def sniff(head: bytes) -> str:
    """The media type of a file that starts with `head`; `application/octet-stream` where unknown."""
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], "application/octet-stream")
    for magic, content_type in (_PICTURES | _MEDIA).items():
        if head.startswith(magic):
            return content_type
    if _is_transport_stream(head):
        return "video/mp2t"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "audio/mpeg"
    return "text/plain" if _is_text(head) else "application/octet-stream"


def fits(kind: UploadKind, content_type: str) -> bool:
    """True if a file of this media type can serve the purpose of its upload."""
    return content_type.startswith(_ALLOWED[kind])


def _is_transport_stream(head: bytes) -> bool:
    return len(head) > 376 and head[0] == head[188] == head[376] == 0x47


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
