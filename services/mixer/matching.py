"""Finds lines by their sound in a finished track, and how much of the original is left in it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft

from services.mixer.sounds import RATE, Samples, Sound, Span

REACH = RATE * 3 // 2
"""Samples before and after its planned place within which a line is searched for."""
AT_PLACE = RATE // 20
"""A line found this near to its plan is that line; one found farther off may be its twin with the same words."""
MIN_CORRELATION = 0.3
"""Under this the likeness may be chance: tonal music and a vowel of the same pitch reach 0.2."""
MIN_GAIN = 0.2
"""A line that is 14 dB weaker than in the stem is not there."""
_FRAME = RATE // 100
_SOUNDING = 10**-2.5
"""A line begins and ends with the first and last 10 ms within 25 dB of its loudest 10 ms."""
_CUT_SHARE, _CUT_LENGTH = 0.02, RATE * 60 // 1000
"""Less than this, of a line's energy or of its length, is not taken for a part that was cut off."""
_DRIFT = RATE // 20
_PATTERN = 30 * RATE
"""Of a longer line the beginning is searched for."""
_REGION = 10 * RATE
_NOTHING_DB = -100.0


@dataclass(frozen=True, slots=True)
class Found:
    """A line as it is in the track."""

    onset_ms: int
    end_ms: int
    overlap_ms: int
    correlation: float
    level_db: float
    shift_ms: int
    """Place in the track − place in the stem."""
    cut_ms: int
    """Sound that is missing from the start or the end."""


@dataclass(frozen=True, slots=True)
class _Sounding:
    """The part of a line that sounds in the track, samples."""

    begin: int
    end: int
    correlation: float
    gain: float
    cut: int


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a line's sound: its planned place moved by `shift` samples, at a gain."""

    line: Span
    shift: int
    gain: float
    correlation: float

    @property
    def certain(self) -> bool:
        return self.correlation >= MIN_CORRELATION and self.gain >= MIN_GAIN


class Track:
    """The finished track, from which the lines that were found are taken away, so that each is found once."""

    def __init__(self, track: Sound, voice: Sound) -> None:
        """`voice` is the stem that holds every line at its planned place."""
        self._track, self._voice = track, voice
        self._places: list[tuple[int, _Place]] = []
        self._longest = 0

    def take(self, place: _Place) -> None:
        """Takes a line away from what is read from now on."""
        begin = place.line.start + place.shift
        self._places.insert(bisect_left(self._places, begin, key=lambda one: one[0]), (begin, place))
        self._longest = max(self._longest, place.line.end - place.line.start)

    def rest(self, begin: int, end: int, but: _Place | None = None) -> Samples:
        """The remainder between two positions, bright; `but` stays in."""
        samples = self._track.bright(begin, end)
        for place in self._near(begin, end):
            if place is not but:
                line, shift = place.line, place.shift
                low, high = max(begin, line.start + shift), min(end, line.end + shift)
                samples[low - begin : high - begin] -= np.float32(place.gain) * self._voice.bright(
                    low - shift, high - shift
                )
        return samples

    def _near(self, begin: int, end: int) -> Iterator[_Place]:
        first = bisect_left(self._places, begin - self._longest, key=lambda one: one[0])
        for start, place in self._places[first:]:
            if start >= end:
                return
            if place.line.end + place.shift > begin:
                yield place


def find_lines(
    track: Track, voice: Sound, lines: Sequence[Span], report: Callable[[float], None]
) -> list[Found | None]:
    """
    Each line as it is in the track; None where it is not within `REACH` of its plan. Matched filter: the line's own
    sound in the stem is the pattern, and the place is where the normalised cross-correlation is highest.
    """
    places: dict[int, _Place] = {}
    elsewhere: list[tuple[float, int]] = []
    for number, line in enumerate(lines):
        place = _search(track, voice, line)
        if place.certain and abs(place.shift) <= AT_PLACE:
            places[number] = place
        else:
            elsewhere.append((-place.correlation, number))
        report(0.8 * (number + 1) / len(lines))
    for place in places.values():
        track.take(place)
    for _, number in sorted(elsewhere):
        place = _search(track, voice, lines[number])
        if place.certain:
            places[number] = place
            track.take(place)
    report(0.9)
    sounding = {number: _audible(track, voice, place) for number, place in places.items()}
    overlaps = _overlaps({number: (part.begin, part.end) for number, part in sounding.items()})
    found = {number: _found(places[number], part, overlaps[number]) for number, part in sounding.items()}
    return [found.get(number) for number in range(len(lines))]


def residue_db(track: Track, original: Sound, regions: Sequence[Span]) -> float:
    """
    Level of the original's speech in what is left of the track, against its level before: the energy of its
    projection at the one delay that fits all regions best. −100 where nothing is left.
    """
    energies, products = [], []
    for begin, end in _pieces(regions):
        pattern = original.bright(begin, end)
        energy = float(pattern @ pattern)
        if energy > 0:
            energies.append(energy)
            products.append(_correlated(pattern, track.rest(begin - _DRIFT, end + _DRIFT)))
    if not energies:
        return _NOTHING_DB
    table = np.array(products)
    at_best = table[:, int(np.argmax(np.abs(table.sum(axis=0))))]
    left = float((at_best**2 / np.array(energies)).sum() / sum(energies))
    return max(_NOTHING_DB, 10 * math.log10(max(left, 1e-12)))


def _search(track: Track, voice: Sound, line: Span) -> _Place:
    end = min(line.end, line.start + _PATTERN)
    pattern = voice.bright(line.start, end)
    energy = float(pattern @ pattern)
    if energy <= 0:
        return _Place(line, 0, 0.0, 0.0)
    window = track.rest(line.start - REACH, end + REACH)
    products = _correlated(pattern, window)
    sums = np.concatenate([[0.0], np.cumsum(window**2, dtype=np.float64)])
    around = sums[len(pattern) :] - sums[: len(products)]
    # Where the track is 40 dB under the line, nothing there can be the line.
    likeness = products / np.sqrt(energy * np.maximum(around, energy * 1e-4))
    best = int(np.argmax(likeness))
    return _Place(line, best - REACH, float(products[best]) / energy, float(likeness[best]))


def _correlated(pattern: Samples, window: Samples) -> Samples:
    """Products of the pattern with the window at each position that holds all of it."""
    size = fft.next_fast_len(len(window), real=True)
    spectrum = fft.rfft(window, size) * np.conj(fft.rfft(pattern, size))
    # A copy, since a slice would keep the whole product in memory.
    return np.array(fft.irfft(spectrum, size)[: len(window) - len(pattern) + 1], dtype=np.float32)


def _audible(track: Track, voice: Sound, place: _Place) -> _Sounding:
    line, shift = place.line, place.shift
    pattern = voice.bright(line.start, line.end)
    window = track.rest(line.start + shift, line.end + shift, but=place)
    low, high = _kept(pattern, window, place.gain)
    whole = voice.read(line.start, line.end)
    first, last = _sounding(whole[low:high])
    full = _sounding(whole)
    pattern, window = pattern[low + first : low + last], window[low + first : low + last]
    product, energy = float(pattern @ window), float(pattern @ pattern)
    likeness = product / math.sqrt(energy * float(window @ window) + 1e-12)
    begin = line.start + shift + low
    cut = max(0, full[1] - full[0] - (last - first))
    return _Sounding(begin + first, begin + last, max(0.0, min(1.0, likeness)), product / energy, cut)


def _kept(pattern: Samples, window: Samples, gain: float) -> tuple[int, int]:
    """
    The part of a line that is there: where the line explains the window better than silence does. It is the range
    with the largest sum of `2·gain·pattern·window − (gain·pattern)²`, the fall of the squared error by the line.
    """
    alike = np.float32(gain) * pattern
    explained = alike * (2 * window - alike)
    sums = np.concatenate([[0.0], np.cumsum(explained, dtype=np.float64)])
    lowest = np.minimum.accumulate(sums)
    high = int(np.argmax(sums - lowest))
    low = int(np.argmin(sums[: high + 1]))
    total = float(pattern @ pattern)
    if _trifle(pattern[:low], total):
        low = 0
    if _trifle(pattern[high:], total):
        high = len(pattern)
    return low, high


def _trifle(cut: Samples, total: float) -> bool:
    return len(cut) < _CUT_LENGTH or float(cut @ cut) < _CUT_SHARE * total


def _sounding(samples: Samples) -> tuple[int, int]:
    """The first and the last sample of what is loud enough; all of it where it is shorter than a frame."""
    count = len(samples) // _FRAME
    if count == 0:
        return 0, len(samples)
    powers = (samples[: count * _FRAME].reshape(count, _FRAME) ** 2).mean(axis=1)
    loud = np.flatnonzero(powers >= powers.max() * _SOUNDING)
    return int(loud[0]) * _FRAME, min(len(samples), (int(loud[-1]) + 1) * _FRAME)


def _overlaps(spans: dict[int, tuple[int, int]]) -> dict[int, int]:
    """For each span how many samples of it others share."""
    shared = dict.fromkeys(spans, 0)
    speaking: set[int] = set()
    since = 0
    for at, number in sorted((at, number) for number, span in spans.items() for at in span):
        if len(speaking) > 1:
            for each in speaking:
                shared[each] += at - since
        since = at
        speaking ^= {number}
    return shared


def _found(place: _Place, part: _Sounding, overlap: int) -> Found:
    level = 20 * math.log10(max(part.gain, 1e-5))
    onset, end, shift, cut = (_ms(samples) for samples in (part.begin, part.end, place.shift, part.cut))
    return Found(onset, end, _ms(overlap), part.correlation, level, shift, cut)


def _pieces(regions: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """Regions in pieces of at most ten seconds, which bounds what one of them takes."""
    for region in regions:
        for begin in range(region.start, region.end, _REGION):
            yield begin, min(begin + _REGION, region.end)


def _ms(samples: int) -> int:
    return round(samples * 1000 / RATE)
