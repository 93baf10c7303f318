"""The costs of the stages of a language, as their results state them."""

from __future__ import annotations

from collections.abc import Iterable

from onevoice_jobs.costs import Cost, added

from .line import Line
from .terminology import Terminology


def of_terms(found: Terminology) -> list[Cost]:
    """The cost of describing the whole transcript for a language; nothing where there is none."""
    return [Cost("terms", found.engine.name, found.cost_microusd)] if found.engine else []


def of_lines(lines: Iterable[Line]) -> list[Cost]:
    """The costs of translation and synthesis of a language, by stage and engine."""
    found = []
    for line in lines:
        if line.translation:
            found.append(Cost("translate", line.translation.engine.name, line.translation.cost_microusd))
        if line.speech and line.speech.engine:
            found.append(Cost("tts", line.speech.engine.name, line.speech.cost_microusd))
    return added(found)
