"""
Points at which an orchestrator is killed: before and after every side effect, the first and the last time it happens.

The lists are checked against what a run of the job really passes, so an effect that is added later cannot be missed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

EFFECTS: Mapping[str, int] = {
    "queue.receive": 1,
    "queue.extend": 1,
    "queue.delete": 1,
    "jobs.claim": 1,
    "jobs.heartbeat": 1,
    "mixer.probe": 1,
    "mixer.extract": 1,
    "mixer.thumbnail": 1,
    "mixer.mix": 2,
    "mixer.mux": 2,
    "mixer.measure": 2,
    "asr.detect": 1,
    "asr.diarize": 1,
    "asr.separate": 1,
    "asr.transcribe": 2,
    "translate.summarize": 2,
    "translate.translate": 4,
    "tts.voices": 2,
    "tts.speak": 8,
    "billing.price": 1,
    "billing.settle": 1,
    "storage.put_bytes[captions_srt]": 3,
    "storage.put_bytes[captions_vtt]": 3,
    "storage.put_bytes[report]": 1,
    "storage.put_bytes[manifest]": 1,
    "store.finish_steps[probe]": 1,
    "store.finish_steps[language]": 1,
    "store.finish_steps[engines:*]": 5,
    "store.finish_steps[extract]": 1,
    "store.finish_steps[detect]": 1,
    "store.finish_steps[diarize]": 1,
    "store.finish_steps[separate]": 1,
    "store.finish_steps[transcribe:*]": 2,
    "store.finish_steps[cut:*]": 2,
    "store.finish_steps[check:*]": 3,
    "store.finish_steps[transcript]": 1,
    "store.finish_steps[captions]": 1,
    "store.finish_steps[thumbnail]": 1,
    "store.finish_steps[recast:*]": 2,
    "store.finish_steps[voices:*]": 2,
    "store.finish_steps[terms:*]": 2,
    "store.finish_steps[translate:*]": 4,
    "store.finish_steps[speak:*]": 8,
    "store.finish_steps[fit:*]": 2,
    "store.finish_steps[captions:*]": 2,
    "store.finish_steps[mix:*]": 2,
    "store.finish_steps[mux:*]": 2,
    "store.finish_steps[measure:*]": 2,
    "store.finish_steps[done:*]": 2,
    "store.finish_steps[report]": 1,
    "store.finish_steps[manifest]": 1,
    "store.finish_steps[settle]": 1,
    "store.set_progress[job]": 1,
    "store.set_progress[language]": 1,
    "store.job_completed": 1,
    "mail.send": 1,
}
"""The effects of a job that goes well, and their counts."""

TIMED = {"queue.receive", "jobs.heartbeat", "store.set_progress[job]", "store.set_progress[language]"}
"""Effects that happen as often as time passes, but at least so often."""

ENDINGS: Mapping[str, tuple[str, ...]] = {
    "one language fails": ("store.language_failed",),
    "waiting": ("store.record[step.retried]", "jobs.park", "queue.delete"),
    "recast": ("store.finish_steps[recast:*]", "store.finish_steps[voices:*]"),
    "stopped": ("jobs.give_back", "queue.release", "jobs.deregister"),
    "renewed": ("jobs.renew", "queue.extend"),
    "refused": (
        "billing.release",
        "store.forget_results",
        "storage.delete_prefix",
        "store.job_failed",
        "queue.delete",
    ),
    "cancelled": ("billing.release", "store.job_cancelled", "queue.delete"),
    "exhausted": ("billing.release", "store.job_failed", "queue.dead_letter", "alerts.send"),
    "lost": ("sweep.requeue_stuck", "sweep.forget_dead"),
    "overdue": ("jobs.claim", "billing.release", "store.job_failed", "alerts.send"),
    "abandoned": ("billing.release", "store.job_cancelled"),
    "cancelled by one that dies": ("billing.release", "queue.delete"),
    "left": ("billing.release",),
}
"""Further effects of a job by scenario; see `scenarios.py`."""

ALWAYS = ("jobs.claim", "billing.settle", "store.finish_steps[settle]", "store.job_completed", "queue.delete")
"""Effects at which a mistake loses a job or doubles a charge: tested at every point, also in a sample."""


@dataclass(frozen=True)
class Point:
    """A moment to die at."""

    scenario: str
    effect: str
    side: str
    """`before` or `after`."""
    occurrence: int = 1

    @property
    def name(self) -> str:
        """As the process calls it."""
        return f"{self.effect}:{self.side}"

    def __str__(self) -> str:
        times = f" #{self.occurrence}" if self.occurrence > 1 else ""
        return f"{self.scenario}, {self.side} {self.effect}{times}"


def points_of(scenario: str, effect: str) -> list[Point]:
    """The points around an effect."""
    if scenario == "renewed":  # the first of these is the claim's own
        occurrences = [2] if effect == "queue.extend" else [1, 2]
    elif scenario == "recast":  # each of the two languages has written its own before
        occurrences = [3]
    else:
        count = EFFECTS[effect] if scenario == "dubbed" else 1
        occurrences = sorted({1, count})
    return [Point(scenario, effect, side, n) for side in ("before", "after") for n in occurrences]


def _effects() -> Iterator[tuple[str, str]]:
    yield from (("dubbed", effect) for effect in EFFECTS)
    yield from ((scenario, effect) for scenario, effects in ENDINGS.items() for effect in effects)


def chosen_points() -> list[Point]:
    """
    One point around each effect, chosen by the seed `CRASH_MATRIX_SEED`, and all of those that matter most;
    with `CRASH_MATRIX=full`, every point.
    """
    full = os.environ.get("CRASH_MATRIX") == "full"
    rng = random.Random(os.environ.get("CRASH_MATRIX_SEED", "1"))
    found = []
    for scenario, effect in _effects():
        points = points_of(scenario, effect)
        found += points if full or (scenario == "dubbed" and effect in ALWAYS) else [rng.choice(points)]
    return found
