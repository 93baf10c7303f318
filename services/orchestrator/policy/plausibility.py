"""Signs that recognised words are not what is said: another language, loops, more text than anyone can speak."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from .line import Source

LOOP = "loop"
"""Cause: a phrase again and again, as language models repeat themselves over music or noise."""
TOO_FAST = "too_fast"
"""Cause: more text than anyone can speak in the time."""

HEARD, NAMED = 0.8, 0.01
"""Probabilities from which, and below which, a language is the wrong one."""
LEAST_SHARE = 0.05
"""Of speech in a source; with less, recognition mostly finds words in noise."""
LONG_MS = 60_000
"""Shorter sources may be mostly silent."""
DOUBT_MS = 10_000
"""So much spoken time in doubt can stop a job; less may be a song or a child."""
DOUBT_SHARE = 0.5
"""Of the speech so far; from this share on, the doubt stops a job."""
_PHRASE_WORDS = 8
_TIMES = 5
"""A phrase that follows itself so often is a loop…"""
_LOOP_WORDS = 10
"""…if it has so many words in all: “no, no, no, no, no” is not."""
_FASTEST = 35.0
"""Letters a second: twice a fast speaker of English."""
_FASTEST_CJK = 16.0
"""Characters a second: twice a fast speaker of Chinese or Japanese."""


def wrong_language(heard: float, named: float | None) -> bool:
    """
    True where the probability of the language that is heard is so high, and that of the named one so low, that they
    cannot be meant as the same. Between near languages, such as Galician and Portuguese, models leave the named one a
    few percent. `named` is None where the model does not know the language: nothing follows then.
    """
    return named is not None and heard >= HEARD and named < NAMED


def little_speech(regions: Sequence[tuple[int, int]], duration_ms: int) -> bool:
    """True where a source of at least a minute has hardly any speech; `regions` are its starts and ends, ms."""
    spoken = sum(end - start for start, end in regions)
    return duration_ms >= LONG_MS and spoken < LEAST_SHARE * duration_ms


def too_doubtful(doubt_ms: int, spoken_ms: int) -> bool:
    """True where so much of the speech is in doubt that the words are worth nothing."""
    return doubt_ms >= DOUBT_MS and doubt_ms >= DOUBT_SHARE * spoken_ms


def doubtful(lines: Sequence[Source]) -> dict[str, int]:
    """Milliseconds of lines in doubt, by cause; a line counts once. `lines` are in time order."""
    texts = [[text for word in line.words if (text := _plain(word.text))] for line in lines]
    owners = [number for number, words in enumerate(texts) for _ in words]
    looped = Counter(owners[i] for i in _looped([text for words in texts for text in words]))
    found: dict[str, int] = {}
    for number, line in enumerate(lines):
        cause = LOOP if looped[number] * 2 > len(texts[number]) else TOO_FAST if _too_fast(line) else None
        if cause:
            found[cause] = found.get(cause, 0) + line.end_ms - line.start_ms
    return found


def _looped(texts: Sequence[str]) -> set[int]:
    """The places of the words that belong to a phrase which follows itself again and again."""
    return {place for begin, end in _loops(texts) for place in range(begin, end)}


def _loops(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Begin and end of each run of texts in which a phrase of 1 to 8 follows itself at least five times."""
    for size in range(1, _PHRASE_WORDS + 1):
        begin = 0
        for i in range(size, len(texts) + 1):
            if i < len(texts) and texts[i] == texts[i - size]:
                continue
            if i - begin >= max(_TIMES * size, _LOOP_WORDS):
                yield begin, i
            begin = i - size + 1


def _plain(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def _too_fast(line: Source) -> bool:
    letters = [char for char in line.text if char.isalnum()]
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in letters)
    least_s = wide / _FASTEST_CJK + (len(letters) - wide) / _FASTEST
    return least_s * 1000 > line.end_ms - line.start_ms
