"""The words of a whole audio with their speakers, by region: utterances, turns, names of speakers."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from services.asr.engines.base import SpokenWord, TimeRange, Turn, Utterance, Word
from services.asr.engines.whisper import within
from services.asr.engines.whisper_model import TimedWord

_NEAR_MS = 300
"""A word whose middle is further from every region is none that a detector of speech would find."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """The words and turns of the regions of an audio."""

    utterances: tuple[Utterance, ...]
    """One for each region, in order."""
    turns: tuple[Turn, ...]
    """In time order, covering every region."""


def by_region(words: Sequence[SpokenWord], regions: Sequence[TimeRange], count: int) -> Spoken:
    """
    The words in the regions nearest to them. The speakers are numbered as they begin to speak, at most `count` where it
    is not 0. A region without words is the speaker's before it, or else the first one's.
    """
    parts = _assigned(_labelled(words, count), regions)
    order = dict.fromkeys(word.speaker for part in parts for word in part)
    names = {label: f"speaker_{number}" for number, label in enumerate(order, start=1)}
    utterances = tuple(Utterance(region, _placed(region, part)) for region, part in zip(regions, parts, strict=True))
    turns: list[Turn] = []
    for utterance, part in zip(utterances, parts, strict=True):
        last = turns[-1].speaker if turns else "speaker_1"
        turns += _turns(utterance, [names[word.speaker] for word in part] or [last])
    return Spoken(utterances, tuple(turns))


def _labelled(words: Sequence[SpokenWord], count: int) -> list[SpokenWord]:
    """The words with labels of the `count` speakers with most words; others get the label of a word beside them."""
    sizes = Counter(word.speaker for word in words if word.speaker)
    kept = {label for label, _ in sizes.most_common(count or None)}
    label = next((word.speaker for word in words if word.speaker in kept), "")
    found = []
    for word in words:
        label = word.speaker if word.speaker in kept else label
        found.append(replace(word, speaker=label))
    return found


def _assigned(words: Sequence[SpokenWord], regions: Sequence[TimeRange]) -> list[list[SpokenWord]]:
    parts: list[list[SpokenWord]] = [[] for _ in regions]
    starts = [region.start_ms for region in regions]
    for spoken in words:
        middle = (spoken.word.start_ms + spoken.word.end_ms) // 2
        before = bisect_right(starts, middle) - 1
        near = [place for place in (before, before + 1) if 0 <= place < len(regions)]
        place = min(near, key=lambda place: _distance(regions[place], middle))
        if _distance(regions[place], middle) <= _NEAR_MS:
            parts[place].append(spoken)
    return parts


def _distance(region: TimeRange, at_ms: int) -> int:
    return max(region.start_ms - at_ms, at_ms - region.end_ms, 0)


def _placed(region: TimeRange, part: Sequence[SpokenWord]) -> tuple[Word, ...]:
    words = [spoken.word for spoken in part]
    timed = [TimedWord(word.text, word.start_ms, word.end_ms, word.confidence) for word in words]
    return tuple(within(region, 0, timed))


def _turns(utterance: Utterance, speakers: Sequence[str]) -> list[Turn]:
    """The stretches of a region by speaker, each until halfway to the first word of the next; `speakers` by word."""
    runs = [(speaker, len(list(run))) for speaker, run in groupby(speakers)]
    cuts, done = [utterance.range.start_ms], 0
    for _, length in runs[:-1]:
        done += length
        cuts.append((utterance.words[done - 1].end_ms + utterance.words[done].start_ms) // 2)
    cuts.append(utterance.range.end_ms)
    spans = [TimeRange(start, end) for start, end in pairwise(cuts)]
    return [Turn(span, speaker) for span, (speaker, _) in zip(spans, runs, strict=True)]
