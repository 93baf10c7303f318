"""Groups the vectors of a speaker model by voice, and decides between the voices over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_BLOCK, _FEW = 1_000, 100
"""Pieces that are grouped at once, and groups that they become: time grows with the cube of their number."""
_SPAN = 3
"""Steps by which the sound of a vector is longer than one step."""
_MOST = 20
"""Voices that are found where their number is not given."""
_NEVER = -9.0
_INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits between one voice and two."""

    piece: int = 5
    """Vectors whose mean is one piece."""
    pure: float = 0.88
    """Least length of that mean: a shorter one may hold two voices and founds no group."""
    apart: float = 0.8
    """Two groups that are less alike (`_alike`) are two voices."""
    least: float = 2.5
    """Least size of a voice, in pieces: a smaller group is a noise or a mixture."""
    least_share: float = 0.005
    """Least share of all pieces, for the same reason: long audio has more noises."""
    change: float = 0.7
    """Similarity that a change of the voice costs within a region."""
    change_between: float = 0.2
    """The same between two regions."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Some pieces of sound, and the two groups that they were joined from."""

    total: Floats
    """The sum of the pieces' vectors of length 1, each times its weight: (256,)."""
    weight: float
    """The sum of the weights, each at most 1."""
    squares: float
    """The sum of their squares."""
    parts: tuple[_Group, _Group] | None = None

    @property
    def within(self) -> float:
        """The mean similarity (cosine) of two different pieces of the group; 1 where there is one piece."""
        pairs = self.weight**2 - self.squares
        return float(self.total @ self.total - self.squares) / pairs if pairs > 1e-3 else 1.0


def voices(regions: Sequence[Floats], rules: Rules, count: int = 0) -> Floats:
    """
    The vector of each voice, of length 1: (voices, 256). `regions` has the vectors of each region, of length 1 and in
    equal steps: (windows, 256), not empty. `count` is the number of voices where it is given, else 0; fewer come back
    where there are fewer pieces.
    """
    tree = _tree(_pieces(regions, rules))
    least = max(rules.least, rules.least_share * tree.weight)
    found = _divided(tree, least, _INFINITE, count) if count else _divided(tree, least, rules.apart, _MOST)
    for size in (least / 2, least / 4, 0.0):
        if len(found) < count:
            found = _divided(tree, size, _INFINITE, count)
    return unit(np.array([group.total for group in found]))


def decide(regions: Sequence[Floats], found: Floats, rules: Rules) -> list[NDArray[np.intp]]:
    """
    The index of the voice of each vector, by region: the sequence with the greatest sum of similarities, less the cost
    of its changes (Viterbi).
    """
    scores = np.concatenate(regions) @ found.T
    starts = np.cumsum([0, *map(len, regions)])
    costs = np.full(len(scores), rules.change, np.float32)
    costs[starts[:-1]] = rules.change_between
    best, voice = scores[0], np.arange(len(found))
    before = np.zeros(scores.shape, np.intp)
    for step in range(1, len(scores)):
        changed = best.max() - costs[step]
        before[step] = np.where(best >= changed, voice, best.argmax())
        best = np.maximum(best, changed) + scores[step]
    path = np.full(len(scores), best.argmax())
    for step in range(len(scores) - 1, 0, -1):
        path[step - 1] = before[step, path[step]]
    return [path[start:end] for start, end in pairwise(starts)]


def unit(vectors: Floats) -> Floats:
    """The vectors scaled to length 1."""
    scaled: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return scaled


def _pieces(regions: Sequence[Floats], rules: Rules) -> list[_Group]:
    """Each piece that holds one voice, as a group of its own."""
    parts = [part for region in regions for part in np.array_split(region, max(1, round(len(region) / rules.piece)))]
    means = np.array([part.mean(axis=0) for part in parts])
    purity = np.linalg.norm(means, axis=1)
    pure = purity >= min(rules.pure, float(np.median(purity)))
    weights = [min(1.0, (len(part) + _SPAN) / (rules.piece + _SPAN)) for part in parts]
    return [
        _Group(vector * np.float32(weight), weight, weight**2)
        for vector, weight, kept in zip(unit(means), weights, pure, strict=True)
        if kept
    ]


def _tree(groups: list[_Group]) -> _Group:
    """All pieces as one group, by the groups they are joined to; many pieces in blocks first."""
    while len(groups) > _BLOCK:
        blocks = [groups[start : start + _BLOCK] for start in range(0, len(groups), _BLOCK)]
        groups = [group for block in blocks for group in _joined(block, _FEW)]
    [tree] = _joined(groups, 1)
    return tree


def _joined(groups: list[_Group], left: int) -> list[_Group]:
    """Joins the two groups with the greatest mean similarity of their pieces (average linkage) until `left` remain."""
    made: list[_Group | None] = [*groups]
    totals = np.array([group.total for group in groups])
    weights = np.array([group.weight for group in groups], np.float32)
    similarity = totals @ totals.T / np.outer(weights, weights)
    np.fill_diagonal(similarity, _NEVER)
    for _ in range(len(groups) - left):
        first, second = divmod(int(similarity.argmax()), len(groups))
        one, other = made[first], made[second]
        if one is None or other is None:
            break
        group = _Group(one.total + other.total, one.weight + other.weight, one.squares + other.squares, (one, other))
        made[first], made[second] = group, None
        totals[first], weights[first] = group.total, group.weight
        alive = np.array([each is not None and each is not group for each in made])
        row = np.where(alive, totals @ totals[first] / (weights * weights[first]), _NEVER)
        similarity[first] = similarity[:, first] = row
        similarity[second] = similarity[:, second] = _NEVER
    return [group for group in made if group is not None]


def _divided(tree: _Group, least: float, apart: float, most: int) -> list[_Group]:
    """The groups of the tree that are less alike than `apart`, the least alike first, until there are `most`."""
    found = [_trimmed(tree, least)]
    while len(found) < most:
        place = min(range(len(found)), key=lambda place: _alike(found[place]))
        parts = found[place].parts
        if parts is None or _alike(found[place]) >= apart:
            break
        found[place : place + 1] = [_trimmed(part, least) for part in parts]
    return found


def _trimmed(group: _Group, least: float) -> _Group:
    """The group without parts that are too small for a voice."""
    while group.parts:
        small, large = sorted(group.parts, key=lambda part: part.weight)
        if small.weight >= least:
            return group
        group = large
    return group


def _alike(group: _Group) -> float:
    """
    The mean similarity of pieces from the two parts, as a share of that within the parts: near 1 for one voice. A limit
    for the similarity itself would not do, because over a telephone all voices are more similar.
    """
    if not group.parts:
        return _INFINITE
    one, other = group.parts
    between = float(one.total @ other.total) / (one.weight * other.weight)
    return between / float(np.sqrt(max(one.within * other.within, 1e-3)))
