"""The wrappers that every engine of a deployment gets, as the settings want them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onevoice_kit.engines.guards import Pace, Rest
from onevoice_kit.engines.layers import Blame, Instrument, Layer, Limit, RetryLayer
from onevoice_kit.retry import Retry
from onevoice_kit.settings import EngineSettings

_WAITING = 1_000
"""Calls that may wait for an engine; each service bounds its own calls far below."""
_RETRY_AFTER_S = 5.0


def standard_layers(stage: str, settings: EngineSettings) -> Callable[[str], Sequence[Layer]]:
    """
    The wrappers of an engine by its name, the outermost first: its name in errors, repetition within the budget, the
    rest after failures, the limits of its key, then the count and the time of each execution.
    """

    def layers(engine: str) -> Sequence[Layer]:
        made: list[Layer] = [Blame(engine)]
        if settings.engine_retry_budget_s:
            made.append(RetryLayer(Retry(budget_s=settings.engine_retry_budget_s)))
        if settings.engine_rest_after:
            made.append(Rest(settings.engine_rest_after, settings.engine_rest_s, subject=f"The engine “{engine}”"))
        return [*made, *_limits(engine, settings), Instrument(stage, engine)]

    return layers


def _limits(engine: str, settings: EngineSettings) -> list[Layer]:
    limits, subject = settings.engine_limits.get(engine), f"The engine “{engine}”"
    if limits is None:
        return []
    made: list[Layer] = []
    if limits.at_once:
        made.append(Limit(limits.at_once, _WAITING, subject=subject, retry_after_s=_RETRY_AFTER_S))
    if limits.per_minute:
        made.append(Pace(limits.per_minute, subject=subject))
    return made
