"""A line whose engine does not work recasts the engine's speakers unless it must not; events and report name it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from onevoice_jobs.records import Event
from onevoice_kit.errors import Busy, InvalidInput, OneVoiceError, PreconditionFailed, Unavailable
from onevoice_kit.storage.base import ObjectRef
from services.orchestrator.clients.asr import Speakers
from services.orchestrator.pipeline import handles
from services.orchestrator.policy import fallbacks
from services.orchestrator.policy.line import EngineFailure, EngineUse, Line, Source, Speech
from services.orchestrator.policy.segmentation import Turn
from services.orchestrator.policy.voices import Recast, Voice
from services.orchestrator.steps.context import Tools
from services.orchestrator.steps.graph import Result, dump, load
from services.orchestrator.steps.language import Voices
from services.orchestrator.steps.task import bind
from tests.support.lines import ENGINE, SPEAK

TOOLS = cast(Tools, None)
CAST = {"speaker_1": "first:a", "speaker_2": "second:a"}
DOWN = Unavailable(reason="engine_failed", details={"failed_engine": "first"})
REFUSED = PreconditionFailed(reason="engine_key_refused", details={"failed_engine": "first"})


def remedy(error: OneVoiceError, *, wanted: bool = False, engines: str = "first second", out: str = "") -> Any:
    """The engines that are out after a line of the first one, or None."""
    uses = [EngineUse(name, "", "1") for name in engines.split()]
    recasts = [Recast(name, "engine_failed", {}) for name in out.split()]
    outputs = {
        "voices:es": CAST,
        "engines:tts:es": dump(list[EngineUse], uses),
        "recast:es": dump(list[Recast], recasts),
    }
    step = bind(TOOLS, replace(SPEAK, wanted=wanted))
    assert step.remedy
    found = step.remedy(outputs, error)
    assert found is None or found.key == "recast:es"
    return found and load(list[Recast], found.output)


@pytest.mark.parametrize("error", [DOWN, REFUSED])
def test_an_engine_that_does_not_work_is_out_with_the_reason_and_the_voices_until_then(error: OneVoiceError) -> None:
    assert remedy(error) == [Recast("first", error.reason, CAST)]
    assert Recast("first", "", CAST).speakers == ("speaker_1",)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable(reason="service_unreachable"),
        Busy(reason="engine_busy"),
        InvalidInput(reason="engine_refused", details={"engine": "first"}),
        Unavailable(reason="engine_failed", details={"failed_engine": "another"}),
    ],
    ids=["the service is away", "the engine is busy", "the text is refused", "not the engine of the voice"],
)
def test_an_error_that_is_not_the_engines_recasts_no_speaker(error: OneVoiceError) -> None:
    assert remedy(error) is None


def test_an_engine_or_a_voice_that_the_user_has_named_is_not_replaced() -> None:
    assert remedy(DOWN, wanted=True) is None


def test_where_no_other_engine_speaks_the_language_no_speaker_is_recast() -> None:
    assert remedy(DOWN, engines="first") is None
    assert remedy(DOWN, out="second") is None
    assert [one.engine for one in remedy(DOWN, engines="first second third", out="second")] == ["second", "first"]


def test_an_engine_is_out_once_though_several_lines_meet_it() -> None:
    assert remedy(DOWN, engines="first second third", out="first") == [Recast("first", "engine_failed", {})]


def test_the_remedy_changes_no_input_of_the_line() -> None:
    assert [handle.key for handle in SPEAK.takes] == ["translate:es:0", "voices:es", "engines:tts:es"]
    assert replace(SPEAK, wanted=True).params == SPEAK.params


async def events_of(*recasts: Recast) -> tuple[dict[str, str], list[Event]]:
    """The voices after recasts, and the events of the step."""
    available = [Voice(f"{engine}:{n}", "es", "", engine) for engine in ("first", "second", "third") for n in "ab"]

    async def voices(language: str, engine: str) -> list[Voice]:
        return available

    tools = cast(Tools, SimpleNamespace(clients=SimpleNamespace(tts=SimpleNamespace(voices=voices))))
    task = Voices(
        gives=handles.voices("es"),
        scope="es",
        language="es",
        speakers=handles.DIARIZE,
        engine="",
        engines=handles.speech_engines("es"),
        chosen={},
        recasts=handles.recasts("es"),
    )
    turns = tuple(Turn(n * 1000, n * 1000 + 900, f"speaker_{n + 1}") for n in range(2))
    inputs = {"diarize": dump(Speakers, Speakers(turns, ENGINE)), "recast:es": dump(list[Recast], list(recasts))}
    made = await bind(tools, task).run(inputs)
    assert isinstance(made, Result)
    return made.output, list(made.published.events)


async def test_a_recast_is_published_with_the_speakers_and_their_new_voices() -> None:
    assert (await events_of())[1] == []
    voices, events = await events_of(Recast("first", "engine_failed", CAST))
    assert voices == {"speaker_1": "second:b", "speaker_2": "second:a"}
    data = {"language": "es", "from": "first", "to": ["second"], "reason": "engine_failed"}
    assert events == [Event("voices.recast", data | {"voices": {"speaker_1": "second:b"}})]


async def test_a_later_recast_publishes_its_own_speakers_alone() -> None:
    later = {"speaker_1": "second:b", "speaker_2": "second:a"}
    voices, events = await events_of(Recast("first", "down", CAST), Recast("second", "engine_rests", later))
    assert voices == {"speaker_1": "third:a", "speaker_2": "third:b"}
    assert [(event.data["from"], event.data["to"], event.data["voices"]) for event in events] == [
        ("second", ["third"], voices)
    ]


def test_the_report_counts_the_lines_of_recast_speakers_by_the_engine_that_speaks_them() -> None:
    def line(n: int, speaker: str, engine: str) -> Line:
        audio = ObjectRef(f"file:///{n}", "a" * 64, 9, "audio/wav")
        speech = Speech(audio, 900, f"{engine}:a", EngineUse(engine, "", "1"))
        return Line(f"0.{n}", Source(n * 1000, n * 1000 + 900, speaker, (), 1000), speech=speech)

    lines = [line(0, "speaker_1", "second"), line(1, "speaker_2", "second"), line(2, "speaker_1", "second")]
    [found] = fallbacks.report(fallbacks.of_recasts(lines, [Recast("first", "engine_failed", CAST)]))
    assert found == {
        "stage": "tts",
        "from": "first",
        "to": "second",
        "reason": "engine_failed",
        "count": 2,
        "speakers": ["speaker_1"],
    }
    assert fallbacks.report(fallbacks.of_recasts(lines, [])) == []


def test_the_report_counts_the_results_of_each_engine_that_took_over() -> None:
    down, refused = EngineFailure("a", "engine_failed"), EngineFailure("b", "engine_key_refused")
    b, c = EngineUse("b", "", "1"), EngineUse("c", "", "1")
    found = fallbacks.of_results(
        "asr", [(EngineUse("a", "", "1"), ()), (b, (down,)), (b, (down,)), (c, (down, refused))]
    )
    assert [(one.stage, one.wanted, one.used, one.reason, one.count) for one in found] == [
        ("asr", "a", "b", "engine_failed", 2),
        ("asr", "a", "c", "engine_failed", 1),
        ("asr", "b", "c", "engine_key_refused", 1),
    ]
