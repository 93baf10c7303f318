"""The contract of engines that find the speakers."""

from __future__ import annotations

import re
from itertools import pairwise

from services.asr.engines.base import TimeRange

KIND = "diarization"
REGIONS = [TimeRange(1400, 2400), TimeRange(2400, 4100), TimeRange(4400, 5300)]


async def diarized(engine, audio, regions=REGIONS, count=0):
    return await engine.diarize(audio if engine.reads_audio else None, regions, count)


async def test_turns_are_in_time_order_and_cover_every_region(engine, audio):
    found = (await diarized(engine, audio)).turns
    assert all(left.range.end_ms <= right.range.start_ms for left, right in pairwise(found))
    for region in REGIONS:
        covered = sum(
            max(0, min(turn.range.end_ms, region.end_ms) - max(turn.range.start_ms, region.start_ms)) for turn in found
        )
        assert covered == region.length_ms


async def test_speakers_are_numbered_from_one(engine, audio):
    names = {turn.speaker for turn in (await diarized(engine, audio)).turns}
    assert "speaker_1" in names
    assert all(re.fullmatch(r"speaker_[1-9]\d*", name) for name in names)


async def test_the_described_speakers_are_those_of_the_turns(engine, audio):
    found = await diarized(engine, audio)
    named = list(dict.fromkeys(turn.speaker for turn in found.turns))
    assert [speaker.name for speaker in found.speakers] in ([], named)


async def test_one_voice_is_one_speaker(engine, audio):
    assert {turn.speaker for turn in (await diarized(engine, audio, REGIONS[:2])).turns} == {"speaker_1"}


async def test_a_given_number_of_speakers_is_not_exceeded(engine, audio):
    assert {turn.speaker for turn in (await diarized(engine, audio, count=1)).turns} == {"speaker_1"}


async def test_the_same_regions_give_the_same_result(engine, audio):
    assert await diarized(engine, audio) == await diarized(engine, audio)
