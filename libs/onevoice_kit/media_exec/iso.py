"""Reads what the index of an MP4 or QuickTime file declares, before a tool allocates memory by it."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from onevoice_kit.media_exec.limits import MediaLimits
from onevoice_kit.media_exec.reasons import bad_media

_NEEDED = frozenset({b"moov", b"mdat", b"moof"})
_FIRST = _NEEDED | {
    *(b"ftyp", b"styp", b"sidx", b"free", b"skip", b"wide", b"junk"),
    *(b"pnot", b"udta", b"uuid", b"pict", b"prfl"),
}
"""Boxes that ffmpeg's reader accepts as the first one of a file."""
_CONTAINERS = frozenset({b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf"})
_MOST_BOXES = 1_000_000
_DEEPEST = 12
_PIECE = 1 << 20
_PCM_SAMPLES = 1024
"""ffmpeg reads samples of PCM in packets of up to so many."""


@dataclass(slots=True)
class _Track:
    kind: bytes = b""
    timescale: int = 1
    samples: int = 0
    size: int = 0
    """Bytes of all samples."""
    chunks: int = 0
    runs: int = 0
    """Entries of the time table."""
    ticks: int = 0
    """Length by the time table, in units of the timescale."""
    edited: int = 0
    """Length of all edits, in units of the file's timescale."""

    @property
    def packets(self) -> int:
        """Entries of the index that ffmpeg builds."""
        if self.kind == b"soun" and self.runs == 1 and self.ticks == self.samples:
            return self.samples // _PCM_SAMPLES + self.chunks
        return self.samples

    @property
    def seconds(self) -> float:
        """Length by the time table."""
        return self.ticks / self.timescale

    def repeats(self, timescale: int) -> float:
        """Times that the edit list plays the track; 1 where it plays about once, or a part of it."""
        times = self.edited / timescale / self.seconds if self.ticks else 1.0
        return times if times > 1.5 else 1.0


@dataclass(slots=True)
class _Index:
    tracks: list[_Track] = field(default_factory=list)
    timescale: int = 1000
    default_size: int = 0
    fragment_size: int = 0
    """Size of a sample of the fragment that is being read, unless it is listed."""
    fragment_samples: int = 0
    fragment_bytes: int = 0


def check_index(path: Path, limits: MediaLimits) -> None:
    """
    Passes a file of another kind, and an MP4 or QuickTime file (ISO/IEC 14496-12) whose samples fit into it. Raises
    `InvalidInput` with reason `truncated_media` where the file ends within a box that it needs, `bad_index` where
    its samples are larger than the file, `too_many_frames`, `frame_rate_too_high`, or `media_too_complex`.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if len(head) < 8 or head[4:8] not in _FIRST:
            return
        index = _Index()
        reader = _Reader(file, index, limits)
        reader.read(0, size, 0)
    if reader.overrun:
        raise bad_media("truncated_media")
    _check(index, size, limits)


def _check(index: _Index, size: int, limits: MediaLimits) -> None:
    repeats = [track.repeats(index.timescale) for track in index.tracks]
    claimed = sum(track.size * times for track, times in zip(index.tracks, repeats, strict=True))
    if claimed + index.fragment_bytes > size:
        raise bad_media("bad_index")
    packets = sum(track.packets * times for track, times in zip(index.tracks, repeats, strict=True))
    if packets + index.fragment_samples > limits.max_packets:
        raise bad_media("too_many_frames", limit=str(limits.max_packets))
    for track in index.tracks:
        if track.kind != b"vide":
            continue
        if track.samples > limits.max_frames:
            raise bad_media("too_many_frames", limit=str(limits.max_frames))
        if track.samples > limits.max_frame_rate * (track.seconds + 1):
            raise bad_media("frame_rate_too_high", limit=f"{limits.max_frame_rate:.0f}")


class _Reader:
    """Walks the boxes and reads the heads of tables; of a table itself only lengths and sizes are added up."""

    def __init__(self, file: BinaryIO, index: _Index, limits: MediaLimits) -> None:
        self._file = file
        self._index = index
        self._limits = limits
        self._boxes = 0
        self.overrun = False
        """The file ends within a box that it needs."""
        self._takes = {
            b"mvhd": self._movie,
            b"mdhd": self._media,
            b"hdlr": self._handler,
            b"elst": self._edits,
            b"stts": self._times,
            b"stsz": self._sizes,
            b"stz2": self._small_sizes,
            b"stco": self._chunks,
            b"co64": self._chunks,
            b"trex": self._extends,
            b"tfhd": self._fragment,
            b"trun": self._run,
        }

    def read(self, begin: int, end: int, depth: int) -> None:
        """Reads the boxes between two places in the file."""
        position = begin
        while position + 8 <= end and not self.overrun:
            self._boxes += 1
            if self._boxes > _MOST_BOXES or depth > _DEEPEST:
                raise bad_media("media_too_complex")
            self._file.seek(position)
            head = self._file.read(16)
            kind, length, skip = _length(head, end - position)
            if length < skip or position + length > end:
                self.overrun = depth == 0 and length >= skip and kind in _NEEDED
                return
            self._box(kind, position + skip, position + length, depth)
            position += length

    def _box(self, kind: bytes, begin: int, end: int, depth: int) -> None:
        if kind == b"cmov":
            # A compressed index: its size is known only once it is unpacked.
            raise bad_media("forbidden_format")
        if kind == b"trak":
            self._index.tracks.append(_Track())
        if kind in _CONTAINERS:
            self.read(begin, end, depth + 1)
        elif (take := self._takes.get(kind)) is not None:
            take(begin, end)

    def _numbers(self, begin: int, end: int, count: int) -> tuple[int, ...]:
        """The first 32-bit numbers of a box, zero where it is shorter."""
        self._file.seek(begin)
        data = self._file.read(min(4 * count, end - begin))
        return struct.unpack(f">{count}I", data.ljust(4 * count, b"\0"))

    def _table(self, begin: int, end: int, entries: int, width: int) -> Iterator[array[int]]:
        """A table of 32-bit numbers, `width` to an entry, in pieces of whole entries."""
        left = entries * width * 4
        if entries > self._limits.max_packets:
            raise bad_media("too_many_frames", limit=str(self._limits.max_packets))
        if left > end - begin:
            raise bad_media("bad_index")
        self._file.seek(begin)
        while left > 0 and (data := self._file.read(min(left, _PIECE // (4 * width) * 4 * width))):
            left -= len(data)
            piece = array("I", data[: len(data) // 4 * 4])
            if sys.byteorder == "little":
                piece.byteswap()
            yield piece

    @property
    def _track(self) -> _Track:
        if not self._index.tracks:
            self._index.tracks.append(_Track())
        return self._index.tracks[-1]

    def _movie(self, begin: int, end: int) -> None:
        numbers = self._numbers(begin, end, 6)
        self._index.timescale = max(1, numbers[5] if numbers[0] >> 24 == 1 else numbers[3])

    def _media(self, begin: int, end: int) -> None:
        numbers = self._numbers(begin, end, 6)
        self._track.timescale = max(1, numbers[5] if numbers[0] >> 24 == 1 else numbers[3])

    def _handler(self, begin: int, end: int) -> None:
        kind = struct.pack(">I", self._numbers(begin, end, 3)[2])
        if kind in (b"vide", b"soun"):
            self._track.kind = kind

    def _times(self, begin: int, end: int) -> None:
        entries = self._numbers(begin, end, 2)[1]
        self._track.runs += entries
        for piece in self._table(begin + 8, end, entries, 2):
            self._track.ticks += sum(count * delta for count, delta in zip(piece[::2], piece[1::2], strict=True))

    def _sizes(self, begin: int, end: int) -> None:
        _, size, samples = self._numbers(begin, end, 3)
        self._track.samples += samples
        self._track.size += size * samples
        if not size:
            self._track.size += sum(sum(piece) for piece in self._table(begin + 12, end, samples, 1))

    def _small_sizes(self, begin: int, end: int) -> None:
        _, bits, samples = self._numbers(begin, end, 3)
        bits &= 0xFF
        if samples * bits > 8 * (end - begin) or bits not in (4, 8, 16):
            raise bad_media("bad_index")
        if samples > self._limits.max_packets:
            raise bad_media("too_many_frames", limit=str(self._limits.max_packets))
        self._track.samples += samples
        self._file.seek(begin + 12)
        data = self._file.read((samples * bits + 7) // 8)
        if bits == 16:
            self._track.size += 256 * sum(data[::2]) + sum(data[1::2])
        else:
            self._track.size += sum(data) if bits == 8 else sum((byte >> 4) + (byte & 15) for byte in data)

    def _chunks(self, begin: int, end: int) -> None:
        self._track.chunks += self._numbers(begin, end, 2)[1]

    def _edits(self, begin: int, end: int) -> None:
        version, entries = self._numbers(begin, end, 2)
        wide = version >> 24 == 1
        for piece in self._table(begin + 8, end, entries, 5 if wide else 3):
            for at in range(0, len(piece), 5 if wide else 3):
                # A start of −1 is a pause.
                length, start = (piece[at + 1], piece[at + 3]) if wide else (piece[at], piece[at + 1])
                self._track.edited += length if start != 0xFFFFFFFF else 0

    def _extends(self, begin: int, end: int) -> None:
        self._index.default_size = max(self._index.default_size, self._numbers(begin, end, 5)[4])

    def _fragment(self, begin: int, end: int) -> None:
        flags = self._numbers(begin, end, 1)[0]
        at = 2 + (2 if flags & 1 else 0) + (1 if flags & 2 else 0) + (1 if flags & 8 else 0)
        size = self._numbers(begin, end, at + 1)[at]
        self._index.fragment_size = size if flags & 0x10 else self._index.default_size

    def _run(self, begin: int, end: int) -> None:
        flags, samples = self._numbers(begin, end, 2)
        head = 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
        width = sum(1 for flag in (0x100, 0x200, 0x400, 0x800) if flags & flag)
        self._index.fragment_samples += samples
        if self._index.fragment_samples > self._limits.max_packets:
            raise bad_media("too_many_frames", limit=str(self._limits.max_packets))
        if not flags & 0x200:
            self._index.fragment_bytes += samples * self._index.fragment_size
            return
        first = 1 if flags & 0x100 else 0
        for piece in self._table(begin + head, end, samples, width):
            self._index.fragment_bytes += sum(piece[first::width])


def _length(head: bytes, rest: int) -> tuple[bytes, int, int]:
    """Kind of a box, its length, and the length of its head. A length of 0 reaches to the end."""
    length: int = struct.unpack(">I", head[:4])[0]
    if length == 1 and len(head) == 16:
        return head[4:8], int(struct.unpack(">Q", head[8:])[0]), 16
    return head[4:8], length or rest, 8
