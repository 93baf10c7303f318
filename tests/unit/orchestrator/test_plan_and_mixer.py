"""Planner and mixer share one rule: every plan is one that the mixer takes, whatever the lengths of the lines."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.mixer.mixing.blocks import RATE
from services.mixer.mixing.clips import in_range, placed_length
from services.mixer.mixing.plan import Clip, Loudness, MixJob, check
from services.mixer.mixing.wav import WavHeader
from services.orchestrator.policy.fitting import GAP_MS, fit
from services.orchestrator.policy.line import Line, Placement
from services.tts.audio import BYTES_PER_SAMPLE, HEADER_BYTES, length_ms
from tests.support.lines import AUDIO, spoken

RATES = st.sampled_from([16_000, 22_050, 24_000, 44_100, 48_000])


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[Line], list[WavHeader], int]:
    """Lines with the sound they were spoken with; the last ends near the end of the source, or after it."""
    lines, headers, at = [], [], draw(st.integers(0, 500))
    for _ in range(draw(st.integers(1, 6))):
        original = draw(st.integers(200, 4_000))
        rate = draw(RATES)
        frames = round(original * draw(st.floats(0.3, 3.0)) * rate / 1000) + draw(st.integers(0, 40))
        natural = length_ms(frames * BYTES_PER_SAMPLE + HEADER_BYTES, rate)
        lines.append(spoken(at, at + original, natural))
        headers.append(WavHeader(rate, 1, 1, 16, HEADER_BYTES, frames))
        at += original + draw(st.sampled_from([0, 50, 300, 2_000]))
    # Near the end of the last line as it was spoken: where planned and real lengths could part.
    duration = lines[-1].source.start_ms + lines[-1].natural_ms + draw(st.integers(-200, 200))
    return lines, headers, max(300, duration)


@settings(max_examples=1_000, deadline=None)
@given(plans())
def test_the_mixer_takes_every_plan(plan: tuple[list[Line], list[WavHeader], int]) -> None:
    lines, headers, duration_ms = plan
    placed = [(p, h) for p, h in zip(fit(lines, duration_ms), headers, strict=True) if p]
    clips = tuple(Clip(AUDIO, placement.start_ms, placement.speed) for placement, _ in placed)
    check(MixJob(AUDIO, clips, duration_ms, (), -20, Loudness.MINUS_16, 0, "mixes"))
    ends = [_end(placement, header) for placement, header in placed]
    for (placement, header), end in zip(placed, ends, strict=True):
        assert in_range(placement.start_ms, placed_length(header, placement.speed), duration_ms * RATE // 1000)
        assert end <= (placement.end_ms + 1) * RATE / 1000, "the sound is as long as planned"
    for end, (following, _) in zip(ends, placed[1:], strict=False):
        assert end <= (following.start_ms - GAP_MS + 1) * RATE / 1000, "lines do not overlap"


def _end(placement: Placement, header: WavHeader) -> float:
    """Position after the last sample that the mixer plays."""
    return placement.start_ms * RATE / 1000 + placed_length(header, placement.speed)
