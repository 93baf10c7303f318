"""Media files that promise more than they hold: built box by box (ISO/IEC 14496-12), a few kilobytes each."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})


def box(kind: bytes, *content: bytes) -> bytes:
    """A box with its length."""
    body = b"".join(content)
    return struct.pack(">I", len(body) + 8) + kind + body


def full(kind: bytes, *numbers: int, flags: int = 0, content: bytes = b"") -> bytes:
    """A box with version 0, flags and 32-bit numbers."""
    return box(kind, struct.pack(f">I{len(numbers)}I", flags, *numbers), content)


def find(data: bytes, kind: bytes) -> list[bytes]:
    """Every box of a kind, in order, with its head, in any depth of the containers of a sample table."""
    found, position = [], 0
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        inner = data[position : position + length]
        if name == kind:
            found.append(inner)
        elif name in _CONTAINERS:
            found += find(inner[8:], kind)
        position += max(length, 8)
    return found


@dataclass(frozen=True, slots=True)
class Table:
    """The sample table of one track; all its samples have one size and one length."""

    samples: int
    size: int
    """Bytes of each sample."""
    offsets: Sequence[int]
    """Beginnings of the chunks in the media data; the samples are shared out evenly."""
    timescale: int = 25
    delta: int = 1
    """Length of a sample in units of `timescale`."""
    edits: Sequence[tuple[int, int]] = ()
    """Length in milliseconds and start in units of `timescale`."""


_FTYP = box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2avc1mp41")
_MATRIX = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def mp4(path: Path, donor: Path, tables: Sequence[Table], media: bytes) -> Path:
    """
    An MP4 with one track for each table and `media` as its data. The codecs' descriptions are those of the donor's
    tracks, an MP4 of ffmpeg's, in their order.
    """
    head = _FTYP + box(b"mdat", media)
    start = len(_FTYP) + 8
    tracks = find(donor.read_bytes(), b"trak")
    body = b"".join(_track(number, tracks[number], table, start) for number, table in enumerate(tables))
    path.write_bytes(head + box(b"moov", full(b"mvhd", 0, 0, 1000, 1000, content=bytes(80)), body))
    return path


def fragmented(path: Path, donor: Path, runs: int, samples: int) -> Path:
    """An MP4 whose fragments declare `samples` each and list none: each takes the defaults."""
    track = _track(0, find(donor.read_bytes(), b"trak")[0], Table(0, 0, ()), 0)
    extends = box(b"mvex", full(b"trex", 1, 1, 1, 1, 0))
    moov = box(b"moov", full(b"mvhd", 0, 0, 1000, 1000, content=bytes(80)), track, extends)
    run = box(b"traf", full(b"tfhd", 1, flags=0x020000), full(b"trun", samples))
    path.write_bytes(_FTYP + moov + b"".join(box(b"moof", full(b"mfhd", 1), run) for _ in range(runs)))
    return path


def _track(number: int, donor: bytes, table: Table, start: int) -> bytes:
    length = table.samples * table.delta
    header = full(b"mdhd", 0, 0, table.timescale, min(length, 0xFFFFFFFF), 0x55C40000)
    descriptions = find(donor[8:], b"stsd")[0]
    kind = find(donor[8:], b"hdlr")[0]
    minf = box(b"minf", full(b"dinf"), box(b"stbl", descriptions, *_tables(table, start)))
    edits = [part for one in table.edits for part in (*one, 0x10000)]
    edit = box(b"edts", full(b"elst", len(table.edits), *edits)) if edits else b""
    tkhd = full(
        b"tkhd", 0, 0, number + 1, 0, min(length, 0xFFFFFFFF), 0, 0, 0, 0, *_MATRIX, 64 << 16, 64 << 16, flags=3
    )
    return box(b"trak", tkhd, edit, box(b"mdia", header, kind, minf))


def _tables(table: Table, start: int) -> list[bytes]:
    per_chunk = table.samples // max(len(table.offsets), 1)
    offsets = [start + offset for offset in table.offsets]
    return [
        full(b"stts", 1, table.samples, table.delta) if table.samples else full(b"stts", 0),
        full(b"stsc", 1, 1, per_chunk, 1) if per_chunk else full(b"stsc", 0),
        full(b"stsz", table.size, table.samples),
        full(b"stco", len(offsets), *offsets),
    ]
