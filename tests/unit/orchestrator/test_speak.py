"""The step that synthesizes a line: the facts that the service gets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from services.orchestrator.policy.line import SILENCE, Speech, Translation
from services.orchestrator.steps.graph import Given, dump
from tests.support.lines import ENGINE, SPEAK


async def test_a_line_is_wanted_in_the_time_of_its_original() -> None:
    asked: list[tuple[Any, ...]] = []

    async def speak(*facts: Any) -> Speech:
        asked.append(facts)
        return SILENCE

    async def line_spoken(*_: object) -> None:
        """Counts nothing here."""

    tts, progress = SimpleNamespace(speak=speak), SimpleNamespace(line_spoken=line_spoken)
    tools = SimpleNamespace(clients=SimpleNamespace(tts=tts), progress=progress, prefix=lambda stage: f"j/{stage}")
    inputs = {
        "translate:es:0": dump(dict[str, Translation], {"0.0": Translation("hola", (), True, ENGINE)}),
        "voices:es": {"speaker_1": "f5:ana"},
    }
    await SPEAK.run(cast(Any, tools), Given(inputs, SPEAK.takes))
    assert asked == [("hola", "es", "f5:ana", "j/tts", "", ("", ""), 1_450)]
