"""Regions of speech: checked where a caller sends them, found from probabilities, joined to chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from onevoice_kit.errors import InvalidInput
from services.asr.engines.base import FRAME_MS, TimeRange

Floats = NDArray[np.float32]
MAX_REGIONS = 10_000
_REASON = "invalid_regions"


@dataclass(frozen=True, slots=True)
class RegionRules:
    """Rules by which a stretch of audio counts as one region of speech."""

    threshold: float = 0.5
    """Speech begins where this probability is kept for `onset_ms`."""
    onset_ms: int = 96
    """A breath before a sentence reaches the threshold too, but does not keep it."""
    release: float = 0.35
    """It goes on until the probability stays below this; lower than `threshold`, so that a region does not flicker."""
    min_pause_ms: int = 300
    """A shorter pause does not end a region."""
    min_speech_ms: int = 250
    """A shorter stretch is a click or a breath, not speech."""
    pad_start_ms: int = 40
    """The detector answers about this much after the first sound of a word (measured on read speech)."""
    pad_end_ms: int = 40
    """It goes quiet about 60 ms after the last sound; this is for soft endings."""
    max_region_ms: int = 12_000
    """A longer region is split where it is weakest."""


@dataclass(frozen=True, slots=True)
class FrameScores:
    """The result of a scan, one value for each frame of `FRAME_MS`."""

    probabilities: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    levels: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    """Root mean square of the samples, 0 to 1."""


def find_regions(scores: FrameScores, duration_ms: int, rules: RegionRules) -> list[TimeRange]:
    """Regions of speech in time order, not overlapping, none longer than `max_region_ms` plus its padding."""
    longest = max(2, rules.max_region_ms // FRAME_MS)
    strength = _strength(scores)
    spans = [
        part
        for start, end in _speech_spans(scores.probabilities, rules)
        if (end - start) * FRAME_MS >= rules.min_speech_ms
        for part in _split(start, end, longest, strength)
    ]
    return _pad([TimeRange(start * FRAME_MS, end * FRAME_MS) for start, end in spans], duration_ms, rules)


def _speech_spans(probabilities: Floats, rules: RegionRules) -> Iterator[tuple[int, int]]:
    """Half-open ranges of frames with speech, by two thresholds and a shortest pause."""
    pause = max(1, round(rules.min_pause_ms / FRAME_MS))
    onset = max(1, round(rules.onset_ms / FRAME_MS))
    start, last, risen = -1, -1, 0
    for frame, probability in enumerate(probabilities.tolist()):
        if start < 0:
            risen = risen + 1 if probability >= rules.threshold else 0
            if risen >= onset:
                start, last, risen = frame - onset + 1, frame, 0
        elif probability >= rules.release:
            last = frame
        elif frame - last >= pause:
            yield start, last + 1
            start = -1
    if start >= 0:
        yield start, last + 1


def _strength(scores: FrameScores) -> Floats:
    """The likeness of each frame to the middle of speech: probability plus relative level, smoothed over 96 ms."""
    if not scores.probabilities.size:
        return scores.probabilities
    decibels = 20 * np.log10(np.maximum(scores.levels, 1e-4))
    level = (decibels - decibels.min()) / max(float(np.ptp(decibels)), 1.0)
    smooth: Floats = np.convolve(scores.probabilities + level, np.full(3, 1 / 3), mode="same").astype(np.float32)
    return smooth


def _split(start: int, end: int, longest: int, strength: Floats) -> Iterator[tuple[int, int]]:
    """Cuts a range of frames into parts of at most `longest`, each cut in the weakest frame of its second half."""
    while end - start > longest:
        low = start + max(1, longest // 2)
        high = min(start + longest, end - longest // 8)
        cut = low + int(np.argmin(strength[low : max(high, low + 1)]))
        yield start, cut
        start = cut
    yield start, end


def _pad(regions: Sequence[TimeRange], duration_ms: int, rules: RegionRules) -> list[TimeRange]:
    """Widens each region, at most to the middle of the pause beside it and to the ends of the audio."""
    middles = [(left.end_ms + right.start_ms) // 2 for left, right in pairwise(regions)]
    lows, highs = [0, *middles], [*middles, duration_ms]
    return [
        TimeRange(max(low, region.start_ms - rules.pad_start_ms), min(high, region.end_ms + rules.pad_end_ms))
        for region, low, high in zip(regions, lows, highs, strict=False)
    ]


def plan_chunks(regions: Sequence[TimeRange], max_chunk_ms: int) -> list[tuple[TimeRange, ...]]:
    """
    Groups regions into chunks that each span at most `max_chunk_ms`, every region once and in order.

    A chunk ends at the longest pause of its second half, which is most likely the end of a sentence.
    """
    chunks: list[tuple[TimeRange, ...]] = []
    rest = list(regions)
    while rest:
        count = _chunk_length(rest, max_chunk_ms)
        chunks.append(tuple(rest[:count]))
        rest = rest[count:]
    return chunks


def _chunk_length(regions: Sequence[TimeRange], max_chunk_ms: int) -> int:
    begin = regions[0].start_ms
    fitting = sum(1 for region in regions if region.end_ms - begin <= max_chunk_ms)
    if fitting in (0, len(regions)):
        return max(1, fitting)
    candidates = [n for n in range(1, fitting + 1) if regions[n - 1].end_ms - begin >= max_chunk_ms // 2] or [fitting]
    return max(candidates, key=lambda n: (regions[n].start_ms - regions[n - 1].end_ms, n))


def check_regions(regions: Sequence[TimeRange], max_region_ms: int | None = None) -> None:
    """`InvalidInput` (reason `invalid_regions`) unless there are some, in order, without overlap, none too long."""
    if not regions:
        raise InvalidInput("There is no region to work on.", reason=_REASON)
    if len(regions) > MAX_REGIONS:
        raise InvalidInput(f"There are more than {MAX_REGIONS} regions.", reason=_REASON)
    if any(region.start_ms < 0 or region.length_ms <= 0 for region in regions):
        raise InvalidInput("A region is empty or begins before the audio does.", reason=_REASON)
    if any(right.start_ms < left.end_ms for left, right in pairwise(regions)):
        raise InvalidInput("The regions are not in time order or overlap.", reason=_REASON)
    if max_region_ms is not None and any(region.length_ms > max_region_ms for region in regions):
        raise InvalidInput(f"A region is longer than {max_region_ms} ms.", reason=_REASON)
