"""The sound around a region that an engine gets with it, so that no soft sound is cut off."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from services.asr.engines.base import TimeRange


def with_context(regions: Sequence[TimeRange], context_ms: int) -> list[TimeRange]:
    """Each region with some context around it, but not with sound of the regions beside it."""
    middles = [(left.end_ms + right.start_ms) // 2 for left, right in pairwise(regions)]
    lows = [0, *middles]
    highs = [*middles, regions[-1].end_ms + context_ms]
    return [
        TimeRange(max(low, region.start_ms - context_ms), min(high, region.end_ms + context_ms))
        for region, low, high in zip(regions, lows, highs, strict=True)
    ]
