"""From probabilities to regions, and from regions to chunks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from services.asr.engines.base import FRAME_MS, TimeRange
from services.asr.regions import FrameScores, RegionRules, find_regions, plan_chunks

RULES = RegionRules(pad_start_ms=0, pad_end_ms=0)


def scores(*parts: tuple[float, int]) -> FrameScores:
    """Probability and number of frames, one after another."""
    probabilities = np.concatenate([np.full(count, value, np.float32) for value, count in parts])
    return FrameScores(probabilities, np.full(probabilities.size, 0.1, np.float32))


def found(frames: FrameScores, rules: RegionRules = RULES) -> list[tuple[int, int]]:
    duration = frames.probabilities.size * FRAME_MS
    return [
        (region.start_ms // FRAME_MS, region.end_ms // FRAME_MS) for region in find_regions(frames, duration, rules)
    ]


def test_no_frames_have_no_regions():
    assert find_regions(FrameScores(), 0, RULES) == []


def test_speech_between_silence_is_one_region():
    assert found(scores((0.0, 20), (0.9, 30), (0.0, 20))) == [(20, 50)]


def test_speech_up_to_the_end_is_kept():
    assert found(scores((0.0, 5), (0.9, 30))) == [(5, 35)]


def test_a_short_pause_does_not_cut():
    assert found(scores((0.9, 30), (0.0, 5), (0.9, 30))) == [(0, 65)]


def test_a_long_pause_cuts():
    assert found(scores((0.9, 30), (0.0, 12), (0.9, 30))) == [(0, 30), (42, 72)]


def test_a_click_is_not_speech():
    assert found(scores((0.0, 20), (0.9, 5), (0.0, 20))) == []


def test_a_breath_before_a_sentence_is_not_its_onset():
    assert found(scores((0.0, 5), (0.6, 2), (0.4, 4), (0.9, 30), (0.0, 20))) == [(11, 41)]


def test_doubtful_sound_continues_a_region_but_begins_none():
    assert found(scores((0.4, 20), (0.9, 30), (0.4, 20), (0.0, 20))) == [(20, 70)]


def test_padding_stays_within_the_audio_and_the_half_of_each_pause():
    rules = RegionRules(pad_start_ms=400, pad_end_ms=400)
    regions = find_regions(scores((0.9, 30), (0.0, 12), (0.9, 30)), 72 * FRAME_MS, rules)
    middle = 36 * FRAME_MS
    assert regions == [TimeRange(0, middle), TimeRange(middle, 72 * FRAME_MS)]


def test_a_long_region_is_cut_where_it_is_weakest():
    frames = scores((0.95, 300), (0.6, 6), (0.95, 300))
    assert [start for start, _ in found(frames)] == [0, pytest.approx(303, abs=3)]


def test_where_the_probability_is_flat_the_quietest_place_is_cut():
    frames = scores((0.99, 600))
    frames.levels[250:256] = 0.001
    assert [start for start, _ in found(frames)] == [0, pytest.approx(253, abs=3)]


@pytest.mark.parametrize("max_region_ms", [1, 900, 5_000, 12_000])
def test_split_regions_touch_and_none_is_too_long(max_region_ms):
    frames = FrameScores(np.full(3000, 0.9, np.float32), np.random.default_rng(5).random(3000).astype(np.float32))
    regions = find_regions(
        frames, 3000 * FRAME_MS, RegionRules(pad_start_ms=0, pad_end_ms=0, max_region_ms=max_region_ms)
    )
    assert regions[0].start_ms == 0
    assert regions[-1].end_ms == 3000 * FRAME_MS
    assert all(left.end_ms == right.start_ms for left, right in pairwise(regions))
    assert max(region.length_ms for region in regions) <= max(max_region_ms, 2 * FRAME_MS)


def test_chunks_hold_every_region_once_in_order_within_their_length():
    random = np.random.default_rng(7)
    edges = np.cumsum(random.integers(200, 4000, 400)).tolist()
    regions = [TimeRange(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    chunks = plan_chunks(regions, 15_000)
    assert [region for chunk in chunks for region in chunk] == regions
    assert all(chunk[-1].end_ms - chunk[0].start_ms <= 15_000 for chunk in chunks)


def test_a_chunk_ends_at_the_longest_pause_of_its_second_half():
    regions = [TimeRange(0, 3000), TimeRange(5500, 8000), TimeRange(9500, 11000), TimeRange(11400, 14000)]
    chunks = plan_chunks([*regions, TimeRange(14_400, 18_000)], 15_000)
    assert [len(chunk) for chunk in chunks] == [2, 3]


def test_a_region_longer_than_a_chunk_has_a_chunk_of_its_own():
    regions = [TimeRange(0, 9000), TimeRange(9500, 10_000)]
    assert plan_chunks(regions, 5000) == [(regions[0],), (regions[1],)]


def test_a_minute_of_reading_makes_at_least_four_chunks():
    regions = [TimeRange(start, start + 4600) for start in range(0, 60_000, 5000)]
    assert len(plan_chunks(regions, 15_000)) >= 4
