"""Lines of the dub, for tests that need only their times, and the step that speaks one."""

from __future__ import annotations

from onevoice_jobs.records import Word
from onevoice_kit.storage.base import ObjectRef
from services.orchestrator.pipeline import handles
from services.orchestrator.policy.line import EngineUse, Line, Placement, Source, Speech, Translation
from services.orchestrator.steps.graph import item
from services.orchestrator.steps.language import Speak

ENGINE = EngineUse("instant", "none", "1")
AUDIO = ObjectRef("file:///clip.wav", "0" * 64, 1, "audio/wav")
SPEAK = Speak(
    gives=handles.speak("es", "0.0"),
    scope="es",
    target="es",
    translation=item(handles.translate("es", 0), "0.0"),
    voice=item(handles.voices("es"), "speaker_1"),
    engine="",
    engines=handles.speech_engines("es"),
    line="0.0",
    start_ms=2_000,
    end_ms=3_450,
    voices=handles.voices("es"),
    recasts=handles.recasts("es"),
    wanted=False,
)
"""Speaks the first line in Spanish; its original takes 1,450 ms."""


def spoken(start_ms: int, end_ms: int, natural_ms: int, *, speaker: str = "speaker_1", line_id: str = "0.0") -> Line:
    """A line of the source, translated and synthesized, but not placed yet."""
    source = Source(start_ms, end_ms, speaker, (Word("hello", start_ms, end_ms),), end_ms - start_ms)
    speech = Speech(AUDIO, natural_ms, "instant:0", ENGINE)
    return Line(line_id, source, Translation("hola", (), within_budget=True, engine=ENGINE), speech)


def placement(
    start_ms: int, end_ms: int, onset_ms: int, *, speed: float = 1.0, flags: tuple[str, ...] = ()
) -> Placement:
    """A place in the dub for a line whose original starts at `onset_ms`."""
    return Placement(start_ms, end_ms, speed, 950, start_ms - onset_ms, flags)
