"""Groups the vectors of a speaker model by voice, and decides between the voices over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.intp]
_SPAN = 3
"""Steps by which the sound of a vector is longer than one step."""
_MOST = 20
"""Voices that are found where their number is not given."""
_STARTS, _ROUNDS = 2, 10
"""Directions along which a group is tried to be divided, and most corrections of each division."""
_CHANGE, _CHANGE_BETWEEN = 0.2, 0.05
"""Cost of a change between the parts of a group from piece to piece, and from region to region, in gaps (`_gap`)."""
_RESERVE = 1.0
"""Of a group of one piece; see `_alike`."""
_INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits between one voice and two."""

    piece: int = 5
    """Vectors whose mean is one piece."""
    pure: float = 0.88
    """Least length of that mean: a shorter one may hold two voices and counts for neither."""
    apart: float = 0.94
    """Two groups are two voices where they are less alike than this (`_alike`) …"""
    similar: float = 0.56
    """… and the mean similarity (cosine) between their pieces is less than this."""
    least: float = 2.5
    """Least size of a voice, in pieces: a smaller group is a noise or a mixture."""
    least_share: float = 0.005
    """Least share of all pieces, for the same reason: long audio has more noises."""
    change: float = 1.2
    """Cost of a change of the voice within a region, in gaps between the voices (`_gap`)."""
    change_between: float = 0.35
    """The same between two regions."""


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Some pieces of sound, in time order."""

    vectors: Floats
    """Of length 1: (pieces, 256)."""
    weights: Floats
    """Of each piece, at most 1; 0 for one that may hold two voices."""
    regions: Labels
    """The region of each piece."""

    def __getitem__(self, chosen: NDArray[np.bool_]) -> _Pieces:
        return _Pieces(self.vectors[chosen], self.weights[chosen], self.regions[chosen])

    @property
    def weight(self) -> float:
        return float(self.weights.sum())

    @property
    def total(self) -> Floats:
        """The weighted sum of the vectors: (256,)."""
        total: Floats = self.weights @ self.vectors
        return total

    @property
    def within(self) -> float:
        """The mean similarity (cosine) of two different pieces; 1 where there is one piece."""
        squares = float(self.weights @ self.weights)
        pairs = self.weight**2 - squares
        return float(self.total @ self.total - squares) / pairs if pairs > 1e-3 else 1.0


@dataclass(frozen=True, slots=True)
class _Split:
    """Some pieces, and the two voices that they may be."""

    pieces: _Pieces
    parts: tuple[_Pieces, _Pieces] | None = None
    alike: float = _INFINITE


def voices(regions: Sequence[Floats], rules: Rules, count: int = 0) -> Floats:
    """
    The vector of each voice, of length 1: (voices, 256). `regions` has the vectors of each region, of length 1 and in
    equal steps: (windows, 256), not empty. `count` is the number of voices where it is given, else 0; fewer come back
    where the vectors cannot be divided further.
    """
    pieces = _pieces(regions, rules)
    least = max(rules.least, rules.least_share * pieces.weight)
    if not count:
        found = _divided(pieces, least, rules, _MOST)
    for size in (least, least / 2, least / 4, 0.0) if count else ():
        found = _divided(pieces, size, None, count)
        if len(found) >= count:
            break
    return unit(np.array([group.total for group in found]))


def decide(regions: Sequence[Floats], found: Floats, rules: Rules) -> list[Labels]:
    """
    The index of the voice of each vector, by region: the sequence with the greatest sum of similarities, less the cost
    of its changes.
    """
    starts = np.cumsum([0, *map(len, regions)])
    costs = np.full(starts[-1], rules.change, np.float32)
    costs[starts[:-1]] = rules.change_between
    path = _path(np.concatenate(regions) @ found.T, costs * _gap(found))
    return [path[start:end] for start, end in pairwise(starts)]


def unit(vectors: Floats) -> Floats:
    """The vectors scaled to length 1."""
    scaled: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return scaled


def _path(scores: Floats, costs: NDArray[np.floating[Any]]) -> Labels:
    """The column of each row with the greatest sum, less the cost of each change (Viterbi)."""
    best, column = scores[0], np.arange(scores.shape[1])
    before = np.zeros(scores.shape, np.intp)
    for step in range(1, len(scores)):
        changed = best.max() - costs[step]
        before[step] = np.where(best >= changed, column, best.argmax())
        best = np.maximum(best, changed) + scores[step]
    path = np.full(len(scores), best.argmax())
    for step in range(len(scores) - 1, 0, -1):
        path[step - 1] = before[step, path[step]]
    return path


def _gap(found: Floats) -> float:
    """The mean difference between the similarities of a vector to its own voice and to another one."""
    similarity = found @ found.T
    return float(1 - similarity[~np.eye(len(found), dtype=bool)].mean()) if len(found) > 1 else 1.0


def _pieces(regions: Sequence[Floats], rules: Rules) -> _Pieces:
    parts = [np.array_split(region, max(1, round(len(region) / rules.piece))) for region in regions]
    means = np.array([part.mean(axis=0) for region in parts for part in region])
    sizes = np.array([len(part) + _SPAN for region in parts for part in region], np.float32)
    purity = np.linalg.norm(means, axis=1)
    pure = purity >= min(rules.pure, float(np.median(purity)))
    weights = np.minimum(1, sizes / (rules.piece + _SPAN)) * pure
    return _Pieces(unit(means), weights.astype(np.float32), np.repeat(np.arange(len(parts)), list(map(len, parts))))


def _divided(pieces: _Pieces, least: float, rules: Rules | None, most: int) -> list[_Pieces]:
    """
    Divides the group whose parts are the least alike, while the rules take them for two voices, into at most `most`;
    without rules while there are parts.
    """
    splits = [_split(pieces, least, rules)]
    while len(splits) < most:
        place = min(range(len(splits)), key=lambda place: splits[place].alike)
        parts = splits[place].parts
        if parts is None:
            break
        splits[place : place + 1] = [_split(part, least, rules) for part in parts]
    return [split.pieces for split in splits]


def _split(pieces: _Pieces, least: float, rules: Rules | None) -> _Split:
    """
    The division into two voices, each at least of size `least`, that are the least alike; none where the rules take
    them for one. It begins along a direction
    in which the pieces differ most, and is corrected like a hidden Markov model: means, then the best path, again.
    """
    best = _Split(pieces)
    centred = pieces.vectors - pieces.total / max(pieces.weight, 1e-3)
    _, directions = np.linalg.eigh((centred * pieces.weights[:, None]).T @ centred)
    for direction in directions.T[: -_STARTS - 1 : -1]:
        parts = _corrected(pieces, (centred @ direction > 0).astype(np.intp), least)
        if parts and (alike := _alike(*parts)) < best.alike:
            best = _Split(pieces, parts, alike)
    if best.parts and rules and (best.alike >= rules.apart or _similarity(*best.parts) >= rules.similar):
        return _Split(pieces)
    return best


def _corrected(pieces: _Pieces, labels: Labels, least: float) -> tuple[_Pieces, _Pieces] | None:
    """The two parts of a division after its correction; None where one is too small."""
    costs = np.where(np.diff(pieces.regions, prepend=-1) > 0, _CHANGE_BETWEEN, _CHANGE).astype(np.float32)
    for _ in range(_ROUNDS):
        one, other = pieces[labels == 0], pieces[labels == 1]
        if min(one.weight, other.weight) <= max(least, 1e-3):
            return None
        means = unit(np.array([one.total, other.total]))
        path = _path(pieces.vectors @ means.T, costs * _gap(means))
        if np.array_equal(path, labels):
            break
        labels = path
    return one, other


def _similarity(one: _Pieces, other: _Pieces) -> float:
    """The mean similarity of pieces from the two groups."""
    return float(one.total @ other.total) / (one.weight * other.weight)


def _alike(one: _Pieces, other: _Pieces) -> float:
    """
    The mean similarity of pieces from the two groups, as a share of that within the groups: near 1 for one voice. The
    few words of a small group differ from others by what they are, so a reserve is added that falls with its size.
    """
    share = _similarity(one, other) / float(np.sqrt(max(one.within * other.within, 1e-3)))
    return share + _RESERVE / min(one.weight, other.weight)
