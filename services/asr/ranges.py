"""Checks ranges that a caller sends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from onevoice_kit.errors import InvalidInput
from services.asr.engines.base import TimeRange

MAX_REGIONS = 10_000
_REASON = "invalid_regions"


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
