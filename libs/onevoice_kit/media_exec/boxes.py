"""The outermost boxes of an MP4 file: whether one of them says it is longer than the file."""

from __future__ import annotations

import struct
from pathlib import Path

_NEEDED = frozenset({b"moov", b"mdat", b"moof"})
_FIRST = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"})
_MOST = 100_000


def boxes_overrun(path: Path) -> bool:
    """
    Whether an MP4 or QuickTime file (ISO/IEC 14496-12, section 4.2) ends within a box that it needs. False for any
    other file. Some damage that plays on for a while shows only here.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        position = 0
        for number in range(_MOST):
            file.seek(position)
            head = file.read(16)
            if len(head) < 8 or (number == 0 and head[4:8] not in _FIRST):
                return False
            length = _length(head, size - position)
            if length < 8 or position + length > size:
                return length >= 8 and head[4:8] in _NEEDED
            position += length
    return False


def _length(head: bytes, rest: int) -> int:
    length: int = struct.unpack(">I", head[:4])[0]
    if length == 1 and len(head) == 16:
        return int(struct.unpack(">Q", head[8:])[0])
    return length or rest
