"""The engines that stopped working within a job and those that took over, for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .line import EngineFailure, EngineUse, Line
from .voices import Recast


@dataclass(frozen=True, slots=True)
class Fallback:
    """Results of one engine that were to come from another."""

    stage: str
    wanted: str
    """The engine that did not work."""
    used: str
    """The engine that took over."""
    reason: str
    """That of the error of the first."""
    count: int
    """Number of results: chunks of recognition, else lines."""
    speakers: tuple[str, ...] = ()
    """The speakers that have another voice by it."""


def of_recasts(lines: Sequence[Line], recasts: Iterable[Recast]) -> list[Fallback]:
    """The recasts of a language, by the engines that speak for the recast speakers at its end."""
    found = []
    for recast in recasts:
        moved = [
            (line.speech.engine.name, line.source.speaker)
            for line in lines
            if line.source.speaker in recast.speakers and line.speech and line.speech.engine
        ]
        for engine, count in Counter(engine for engine, _ in moved).items():
            if engine != recast.engine:
                speakers = tuple(sorted({speaker for used, speaker in moved if used == engine}))
                found.append(Fallback("tts", recast.engine, engine, recast.reason, count, speakers))
    return found


def of_results(stage: str, results: Iterable[tuple[EngineUse, Sequence[EngineFailure]]]) -> list[Fallback]:
    """The fallbacks within a service, of results with their engine and those that failed before it."""
    counts = Counter((failure.engine, used.name, failure.reason) for used, after in results for failure in after)
    return [Fallback(stage, wanted, used, reason, count) for (wanted, used, reason), count in counts.items()]


def report(fallbacks: Iterable[Fallback]) -> list[dict[str, Any]]:
    """The fallbacks as the report has them."""
    return [
        {
            "stage": fallback.stage,
            "from": fallback.wanted,
            "to": fallback.used,
            "reason": fallback.reason,
            "count": fallback.count,
            "speakers": list(fallback.speakers),
        }
        for fallback in fallbacks
    ]
