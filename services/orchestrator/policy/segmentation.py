"""Cuts recognised words into lines: one breath of one speaker each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from onevoice_jobs.records import Word

from .line import Source

PAUSE_MS = 350
"""A pause this long between two words ends a line."""
MAX_MS = 9_000
"""A line longer than this is cut at its longest inner pause."""
MAX_CHARS = 160
"""A line with more text than this is cut at its longest inner pause."""
MIN_MS = 500
"""A shorter segment is joined to a neighbour that is near enough."""
JOIN_GAP_MS = 600
"""Longest gap to a neighbour that is joined."""
DEFAULT_SPEAKER = "speaker_1"
"""The speaker of every line where diarization found no turns."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one speaker speaks."""

    start_ms: int
    end_ms: int
    speaker: str


def cut_lines(utterances: Sequence[Sequence[Word]], turns: Sequence[Turn], until_ms: int) -> list[Source]:
    """
    The lines in time order; the slot of the last one ends at `until_ms`. A line never spans two utterances' speakers, a
    pause of `PAUSE_MS`, nor exceeds `MAX_MS` and `MAX_CHARS` unless it is a single word. Every word is in exactly one.
    """
    pieces: list[Source] = []
    for words in utterances:
        for run in _runs(list(words)):
            pieces.extend(_piece(part, turns) for part in _halves(run))
    lines = _join_short(_by_speaker(sorted(pieces, key=lambda piece: piece.start_ms), turns))
    ends = [line.start_ms for line in lines[1:]] + [until_ms]
    return [replace(line, slot_ms=max(0, end - line.start_ms)) for line, end in zip(lines, ends, strict=False)]


def _runs(words: list[Word]) -> list[list[Word]]:
    runs: list[list[Word]] = []
    for word in words:
        if runs and word.start_ms - runs[-1][-1].end_ms < PAUSE_MS:
            runs[-1].append(word)
        else:
            runs.append([word])
    return runs


def _halves(words: list[Word]) -> list[list[Word]]:
    if len(words) < 2 or not _too_long(words):
        return [words]
    cut = _best_cut(words)
    return _halves(words[:cut]) + _halves(words[cut:])


def _too_long(words: list[Word]) -> bool:
    return words[-1].end_ms - words[0].start_ms > MAX_MS or sum(len(w.text) + 1 for w in words) > MAX_CHARS


def _best_cut(words: list[Word]) -> int:
    """The longest pause wins; among equal ones the one nearest to the middle."""
    middle = (words[0].start_ms + words[-1].end_ms) / 2
    return max(
        range(1, len(words)),
        key=lambda i: (words[i].start_ms - words[i - 1].end_ms, -abs(words[i].start_ms - middle)),
    )


def _piece(words: list[Word], turns: Sequence[Turn]) -> Source:
    """A line whose slot is not known yet."""
    start, end = words[0].start_ms, words[-1].end_ms
    return Source(start, end, _speaker(start, end, turns), tuple(words), slot_ms=0)


def _speaker(start_ms: int, end_ms: int, turns: Sequence[Turn]) -> str:
    def shared(turn: Turn) -> int:
        return min(end_ms, turn.end_ms) - max(start_ms, turn.start_ms)

    return max(turns, key=shared).speaker if turns else DEFAULT_SPEAKER


def _by_speaker(pieces: list[Source], turns: Sequence[Turn]) -> list[Source]:
    """Cuts a piece where its words belong to different speakers."""
    result: list[Source] = []
    for piece in pieces:
        run: list[Word] = []
        for word in piece.words:
            if run and _speaker(word.start_ms, word.end_ms, turns) != _speaker(run[0].start_ms, run[0].end_ms, turns):
                result.append(_piece(run, turns))
                run = []
            run.append(word)
        result.append(_piece(run, turns))
    return result


def _join_short(pieces: list[Source]) -> list[Source]:
    joined: list[Source] = []
    for piece in pieces:
        if joined and _joinable(joined[-1], piece):
            words = joined[-1].words + piece.words
            joined[-1] = replace(joined[-1], end_ms=piece.end_ms, words=words)
        else:
            joined.append(piece)
    return joined


def _joinable(first: Source, second: Source) -> bool:
    short = min(first.end_ms - first.start_ms, second.end_ms - second.start_ms) < MIN_MS
    near = second.start_ms - first.end_ms <= JOIN_GAP_MS
    return first.speaker == second.speaker and short and near and not _too_long([*first.words, *second.words])
