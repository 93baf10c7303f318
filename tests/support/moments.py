"""Something done at an exact moment of a job: when a stage is called for the n-th time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from tests.support.instant_stages import Script

CALLS = {
    "Probe": 1,
    "DetectSpeech": 1,
    "Transcribe": 2,
    "Translate": 4,
    "Synthesize": 8,
    "Mix": 2,
    "Mux": 2,
    "Measure": 2,
}
"""Calls whose moment can be chosen, and how often an undisturbed job of the rig makes them."""


def at(script: Script, method: str, number: int, act: Callable[[], object]) -> asyncio.Event:
    """Does `act` when `method` is called for the `number`-th time, before the reply. The event is set when it has."""
    done = asyncio.Event()

    def enter(_request: object) -> None:
        if script.count(method) == number:
            act()
            done.set()

    script.faults[method] = enter
    return done


def some_moment(chance: random.Random) -> tuple[str, int]:
    """A method and which of its calls."""
    method = chance.choice(sorted(CALLS))
    return method, chance.randint(1, CALLS[method])
