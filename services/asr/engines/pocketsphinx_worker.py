"""The part that runs in a worker process: one pocketsphinx decoder, loaded once."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onevoice_kit.errors import Internal, InvalidInput
from services.asr.audio import SAMPLE_RATE, SAMPLES_PER_MS, AudioFile
from services.asr.engines.base import TimeRange, Utterance, Word

_FRAME_MS = 10
_SHORTEST_MS = 100
"""Less has no frame with all its dynamic features; the decoder would fail on it."""
_FILLER = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")
_ALTERNATE = re.compile(r"\(\d+\)$")

DECODER_OPTIONS: dict[str, Any] = {
    "fwdflat": False,
    "maxhmmpf": 3000,
    "bestpathlw": 7.5,
}
"""
Chosen among some forty settings by word errors on 376 words (five readings: clean, 5 % faster and slower, with noise,
with music; short commands) and by processor seconds per second of audio (least of six runs, on a busy machine):
as shipped 32.4 % at 0.227; only `maxhmmpf` 32.7 % at 0.139; these 29.5 % at 0.105. The second pass (`fwdflat`) with
language weights of 6.5 gave 27.1 % at 0.142: fewer errors, a third more time. Settings and errors come from the same
few words, so expect more errors elsewhere and take differences of a few percent for chance.
"""

_decoder: Any = None


@dataclass(frozen=True, slots=True)
class Task:
    """One region to recognise."""

    audio: Path
    region: TimeRange
    heard: TimeRange
    """The range that the decoder gets: the region with a little around it, so that no soft sound is cut off."""


def load() -> None:
    """Loads the model that comes with the package (US English)."""
    global _decoder
    from pocketsphinx import Decoder

    _decoder = Decoder(samprate=SAMPLE_RATE, loglevel="FATAL", **DECODER_OPTIONS)


def recognise(task: Task) -> Utterance:
    """
    Recognises one region; no words where nothing was intelligible.

    Raises what `AudioFile` raises, `InvalidInput` (reason `invalid_regions`) for a region after the end of the audio,
    `Internal` (reason `engine_failed`).
    """
    with AudioFile(task.audio) as audio:
        samples = audio.range(task.heard.start_ms, task.heard.end_ms)
    if not samples.size:
        raise InvalidInput("A region begins after the audio ends.", reason="invalid_regions")
    if samples.size < _SHORTEST_MS * SAMPLES_PER_MS:
        return Utterance(task.region, ())
    return Utterance(task.region, tuple(words(_decode(samples.tobytes()), task.heard.start_ms, task.region)))


def _decode(pcm: bytes) -> Iterable[Any]:
    try:
        with warnings.catch_warnings():
            # Said to be unnecessary, but without it the noise estimate of the last region changes this one's words.
            warnings.simplefilter("ignore", DeprecationWarning)
            _decoder.start_stream()
        _decoder.start_utt()
        _decoder.process_raw(pcm, full_utt=True)
        _decoder.end_utt()
        return _decoder.seg() or ()
    except RuntimeError as error:
        load()  # a decoder that failed once may be left in the middle of an utterance
        raise Internal("The recogniser failed on a region of the audio.", reason="engine_failed") from error


def words(segments: Iterable[Any], offset_ms: int, region: TimeRange) -> Iterable[Word]:
    """The decoder's segments as words; without fillers, pronunciation marks and what lies mostly outside the region."""
    for segment in segments:
        if _FILLER.fullmatch(segment.word):
            continue
        start = offset_ms + segment.start_frame * _FRAME_MS
        end = offset_ms + (segment.end_frame + 1) * _FRAME_MS
        if region.start_ms <= (start + end) // 2 < region.end_ms:
            times = max(start, region.start_ms), min(end, region.end_ms)
            yield Word(_ALTERNATE.sub("", segment.word), *times, confidence=min(1.0, max(0.0, float(segment.prob))))
