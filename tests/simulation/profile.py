"""The faults in the world of one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

PORTS = ("db", "queue", "storage", "asr", "translate", "tts", "mixer", "billing")


@dataclass(frozen=True, slots=True)
class Profile:
    """Likelihoods from 0 to 1, per call unless said otherwise. Not every seed has every fault."""

    refused: float = 0.0
    """The call fails before anything happens."""
    lost: float = 0.0
    """It happens, and the reply is lost."""
    busy: float = 0.0
    """A stage is full and returns when to retry."""
    hang: float = 0.0
    """No answer until the deadline; half of them have happened."""
    slow: float = 0.0
    """The answer takes up to 20 s."""
    kill: float = 0.0
    """The caller dies, half of the time before the call happens and half of the time after."""
    pause: float = 0.0
    """The caller stands still for up to three leases."""
    stop: float = 0.0
    """Per minute: a signal stops a worker."""
    cancel: float = 0.0
    """Per job: its user cancels it."""
    outages: int = 0
    """A port answers nothing at all for up to two minutes."""
    duplicate: float = 0.0
    delay: float = 0.0
    reorder: float = 0.0
    lose_delete: float = 0.0
    max_receives: int = 0
    """The queue dead-letters a message by itself after so many receives; 0: never."""
    trouble_s: float = 300.0
    """Time with faults after the last job has come."""


CALM = Profile()
"""Nothing goes wrong."""


def draw(seed: int) -> Profile:
    """The profile of a seed: each fault is there or not, and then seldom or often."""
    rng = random.Random(f"profile {seed}")

    def some(most: float) -> float:
        return rng.uniform(most / 10, most) if rng.random() < 0.6 else 0.0

    return Profile(
        refused=some(0.03),
        lost=some(0.03),
        busy=some(0.05),
        hang=some(0.005),
        slow=some(0.05),
        kill=some(0.02),
        pause=some(0.03),
        stop=some(0.5),
        cancel=some(0.5),
        outages=rng.choice([0, 0, 1, 2, 4]),
        duplicate=some(0.5),
        delay=some(0.3),
        reorder=some(0.5),
        lose_delete=some(0.5),
        max_receives=rng.choice([0, 0, 5]),
    )
