"""The contract of engines that find the speakers."""

from __future__ import annotations

import re
from itertools import pairwise

from services.asr.engines.base import TimeRange

KIND = "diarization"
REGIONS = [TimeRange(1400, 2400), TimeRange(2400, 4100), TimeRange(4400, 5300)]


async def turns(engine, audio, regions=REGIONS):
    return await engine.diarize(audio if engine.reads_audio else None, regions)


async def test_turns_are_in_time_order_and_cover_every_region(engine, audio):
    found = await turns(engine, audio)
    assert all(left.range.end_ms <= right.range.start_ms for left, right in pairwise(found))
    for region in REGIONS:
        covered = sum(
            max(0, min(turn.range.end_ms, region.end_ms) - max(turn.range.start_ms, region.start_ms)) for turn in found
        )
        assert covered == region.length_ms


async def test_speakers_are_numbered_from_one(engine, audio):
    names = {turn.speaker for turn in await turns(engine, audio)}
    assert "speaker_1" in names
    assert all(re.fullmatch(r"speaker_[1-9]\d*", name) for name in names)


async def test_one_voice_is_one_speaker(engine, audio):
    assert {turn.speaker for turn in await turns(engine, audio, REGIONS[:2])} == {"speaker_1"}


async def test_the_same_regions_give_the_same_turns(engine, audio):
    assert list(await turns(engine, audio)) == list(await turns(engine, audio))
