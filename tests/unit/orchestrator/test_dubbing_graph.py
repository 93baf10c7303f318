"""The graph of a job is data: it can be built without running it, compared and drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import indent
from typing import Any, cast
from uuid import UUID

import pytest
from pydantic import SecretStr

from onevoice_jobs.options import EngineChoice, GlossaryTerm, JobOptions
from onevoice_jobs.records import Edit, JobRecord, Word
from onevoice_jobs.states import JobStatus
from onevoice_kit.storage.base import ObjectRef
from services.orchestrator.clients.asr import CONVERSATION, DetectedSpeech
from services.orchestrator.clients.translate import SUMMARY, TRANSLATION
from services.orchestrator.pipeline.dubbing import Dubbing
from services.orchestrator.pipeline.translations import translations
from services.orchestrator.policy.line import EngineUse, Line, Source, Translation
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.steps.context import NO_EDITS, Edits
from services.orchestrator.steps.graph import Given, dump
from services.orchestrator.steps.task import Task, draw
from tests.support.lines import ENGINE

SPEECH = DetectedSpeech((((0, 1000), (2000, 3000)), ((60_000, 61_000),)), 70_000, ENGINE)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB = JobRecord(
    id=UUID(int=1),
    user_id=UUID(int=2),
    video_id=UUID(int=3),
    batch_id=None,
    status=JobStatus.PROCESSING,
    stage=None,
    progress=0,
    priority=0,
    source=ObjectRef("file:///talk.mp4", "a" * 64, 9, "video/mp4"),
    filename="talk.mp4",
    source_language=None,
    target_languages=("es", "ca"),
    options=JobOptions(),
    duration_ms=70_000,
    quoted_credits=10,
    spent_credits=None,
    attempts=1,
    lease_epoch=1,
    cancel_requested_at=None,
    error=None,
    metrics={},
    traceparent="",
    created_at=NOW,
    started_at=NOW,
    completed_at=None,
    deadline_at=NOW + timedelta(hours=1),
    estimated_completion=None,
)
EDITED = Edits((Edit(2, "es", 1, "0.1", "hola"),), {"es": 900})
NO_ENGINES: Mapping[str, list[EngineUse]] = {}
"""None that finds words and speakers in one call."""
ONE_CALL = {CONVERSATION: [ENGINE]}
SETTINGS = OrchestratorSettings(database_url=SecretStr("postgresql://unused"))


def cut(chunk: int) -> dict[str, Source]:
    """One line for each region of the chunk."""
    return {
        f"{chunk}.{n}": Source(start, end, "speaker_1", (Word("hello", start, end),), 1000)
        for n, (start, end) in enumerate(SPEECH.chunks[chunk])
    }


def whole(
    job: JobRecord = JOB,
    settings: OrchestratorSettings = SETTINGS,
    edits: Edits = NO_EDITS,
    wanting: tuple[EngineUse, ...] = (),
    engines: Mapping[str, list[EngineUse]] = NO_ENGINES,
) -> dict[str, Task[Any]]:
    """
    Every task of a job of two chunks and three lines, by key. `wanting` are the engines that want the terminology of
    the whole transcript.
    """
    dubbing = Dubbing(job, settings, edits)

    def tasks() -> Iterator[Task[Any]]:
        yield from dubbing.start()
        yield from dubbing.after_engines(engines)
        yield from dubbing.after_detection(SPEECH, one_call=bool(engines))
        for target in job.target_languages:
            yield from translations(job, target, 2, {TRANSLATION: [ENGINE], SUMMARY: [*wanting]})
        for chunk in range(2):
            yield from dubbing.after_cut(chunk, cut(chunk))
        yield from dubbing.after_order(2, ["0.0", "0.1", "1.0"])

    return {task.gives.key: task for task in tasks()}


def test_every_task_waits_for_tasks_of_the_graph_and_the_settlement_comes_last() -> None:
    tasks = whole()
    keys = set(tasks)
    waited_for = {handle.key for task in tasks.values() for handle in task.takes}
    assert waited_for <= keys
    assert keys - waited_for == {"settle", "transcript"}, "the transcript adds the rest of each language"


def test_a_forced_job_translates_words_that_were_not_checked() -> None:
    checked, forced = whole(), whole(with_options(force=True))
    assert set(checked) - set(forced) == {"check:language", "check:0", "check:1"}
    assert "check:0" in {handle.key for handle in checked["translate:es:0"].takes}
    assert [handle.key for handle in checked["check:1"].takes].count("check:0") == 1


def test_only_translation_that_wants_the_terminology_of_the_whole_waits_for_the_last_chunk() -> None:
    plain, waiting = whole(), whole(wanting=(ENGINE,))
    assert plain.keys() == waiting.keys()
    assert {handle.key for handle in plain["terms:es"].takes} == set()
    assert "terms:es" not in {handle.key for handle in plain["translate:es:0"].takes}
    assert {"cut:0", "cut:1", "check:1"} <= {handle.key for handle in waiting["terms:es"].takes}
    assert {"terms:es", "cut:1"} <= {handle.key for handle in waiting["translate:es:0"].takes}
    assert whole(with_options(terminology="off"), wanting=(ENGINE,)) == whole(with_options(terminology="off"))


def test_a_single_chunk_is_translated_without_terminology() -> None:
    tasks = list(translations(JOB, "es", 1, {TRANSLATION: [ENGINE], SUMMARY: [ENGINE]}))
    assert [type(task).__name__ for task in tasks] == ["NoTerms", "Translate"]


def test_an_edit_leaves_the_terminology_alone() -> None:
    before, after = whole(wanting=(ENGINE,)), whole(edits=EDITED, wanting=(ENGINE,))
    assert before["terms:es"] == after["terms:es"]
    assert before["translate:es:0"] == after["translate:es:0"]


def test_the_thumbnail_is_taken_beside_the_extraction_and_not_beside_what_all_waits_for() -> None:
    started = [task.gives.key for task in Dubbing(JOB, SETTINGS).start()]
    assert {"extract", "thumbnail"} <= set(started)


def test_words_wait_for_the_speakers_only_where_one_call_may_find_both() -> None:
    beside, together = whole(), whole(engines=ONE_CALL)
    assert different(beside, together) == {"diarize", "transcribe:0", "transcribe:1"}
    taken = {key: {handle.key for handle in together[key].takes} for key in ("diarize", "transcribe:0")}
    assert "language" in taken["diarize"]
    assert "diarize" in taken["transcribe:0"]
    assert "diarize" not in {handle.key for handle in beside["transcribe:0"].takes}
    parts = {handle.part for handle in together["diarize"].takes if handle.key == "engines:asr"}
    assert parts == {"diarization", "conversation", "transcription"}


def test_another_engine_for_words_finds_the_speakers_anew_where_one_call_finds_both() -> None:
    one, other = whole(engines=ONE_CALL), whole(with_engines(asr="other"), engines=ONE_CALL)
    assert different(one, other) == {"engines:asr", "diarize", "transcribe:0", "transcribe:1"}


def test_the_graph_of_the_same_job_is_the_same() -> None:
    assert whole() == whole()
    assert whole() != whole(replace(JOB, target_languages=("es",)))


def with_options(**options: Any) -> JobRecord:
    return replace(JOB, options=JobOptions(**options))


def with_engines(**engines: str) -> JobRecord:
    return with_options(engines=EngineChoice(**engines))


@pytest.mark.parametrize(
    ("job", "changed"),
    [
        (replace(JOB, source_language="en-GB"), {"language", "check:language"}),
        (with_options(source_language="en-GB"), {"language", "check:language"}),
        (with_engines(asr="other"), {"engines:asr", "transcribe:0", "transcribe:1"}),
        (with_engines(separation="none"), {"engines:asr", "separate"}),
        (
            with_engines(translate="other"),
            {f"translate:{lang}:{n}" for lang in ("es", "ca") for n in (0, 1)}
            | {"engines:translate:es", "engines:translate:ca"},
        ),
        (
            with_options(glossary=(GlossaryTerm(source="a", target="b"),)),
            {f"translate:{lang}:{n}" for lang in ("es", "ca") for n in (0, 1)},
        ),
        (
            with_engines(tts="other"),
            {f"speak:{lang}:{line}" for lang in ("es", "ca") for line in ("0.0", "0.1", "1.0")}
            | {"voices:es", "voices:ca", "engines:tts:es", "engines:tts:ca"},
        ),
        (with_options(voices={"es": "espeak:es"}), {"voices:es"}),
        (with_options(voices={"es": {"speaker_1": "espeak:es"}}), {"voices:es"}),
        (with_options(speakers=2), {"diarize"}),
        (with_options(loudness="-16"), {"mix:es", "mix:ca"}),
        (with_options(duck_gain_db=-10.0), {"mix:es", "mix:ca"}),
        (with_options(burn_in_captions=True), {"mux:es", "mux:ca"}),
        (with_options(keep_original_audio=False), {"mux:es", "mux:ca"}),
        (replace(JOB, reservation_id="second"), {"settle"}),
        (replace(JOB, resumes=1), {key for key in whole() if key.startswith("engines:")}),
        (replace(JOB, attempts=2, lease_epoch=2, priority=5, notify_email="ann@example.com"), set()),
    ],
)
def test_a_change_of_an_option_runs_the_steps_that_take_it_and_no_others(job: JobRecord, changed: set[str]) -> None:
    assert different(whole(), whole(job)) == changed


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"default_source_language": "de"}, {"language"}),
        ({"duck_gain_db": -10.0}, {"mix:es", "mix:ca"}),
        ({"separated_gain_db": 0.0}, {"mix:es", "mix:ca"}),
        ({"worker_lease_s": 60.0, "max_concurrent_tts": 1}, set()),
    ],
)
def test_a_change_of_a_setting_runs_the_steps_that_take_it_and_no_others(
    settings: dict[str, Any], changed: set[str]
) -> None:
    assert different(whole(), whole(settings=SETTINGS.model_copy(update=settings))) == changed


def different(one: dict[str, Task[Any]], other: dict[str, Task[Any]]) -> set[str]:
    assert one.keys() == other.keys()
    return {key for key, task in one.items() if task.params != other[key].params}


def test_another_engine_runs_the_steps_of_its_stage_and_language_and_no_others() -> None:
    takers: defaultdict[tuple[str, str | None], set[str]] = defaultdict(set)
    for key, task in whole().items():
        for handle in task.takes:
            takers[handle.key, handle.part].add(key)
    expected: dict[tuple[str, str | None], set[str]] = {
        ("engines:asr", "detection"): {"detect"},
        ("engines:asr", "diarization"): {"diarize"},
        ("engines:asr", "identification"): {"language", "check:language"},
        ("engines:asr", "separation"): {"separate"},
        ("engines:asr", "transcription"): {"transcribe:0", "transcribe:1"},
    }
    for lang in ("es", "ca"):
        expected[f"engines:translate:{lang}", TRANSLATION] = {f"translate:{lang}:0", f"translate:{lang}:1"}
        spoken = {f"speak:{lang}:{line}" for line in ("0.0", "0.1", "1.0")}
        expected[f"engines:tts:{lang}", None] = {f"voices:{lang}", *spoken}
    assert {engines: takes for engines, takes in takers.items() if engines[0].startswith("engines:")} == expected


def test_an_edited_translation_speaks_its_own_line_again_and_no_other() -> None:
    tasks = whole()
    takes = {key: task.takes for key, task in tasks.items() if key.startswith("speak:es:0.")}
    assert {key: [handle.part for handle in handles] for key, handles in takes.items()} == {
        "speak:es:0.0": ["0.0", "speaker_1", None],
        "speak:es:0.1": ["0.1", "speaker_1", None],
    }


def neighbours(lines: dict[str, Source]) -> dict[str, tuple[str | None, ...]]:
    """The lines whose texts go with each line, by its id."""
    tasks: list[Any] = list(Dubbing(JOB, SETTINGS).after_cut(0, lines))
    spoken = [task for task in tasks if task.gives.key.startswith("speak:es:")]
    return {task.line: tuple(one and one.part for one in (task.before, task.after)) for task in spoken}


def test_a_line_is_spoken_with_the_texts_of_its_speaker_just_before_and_after_it() -> None:
    speakers = {"0.0": "ann", "0.1": "ann", "0.2": "ann", "0.3": "bob", "0.4": "ann"}
    lines = {
        line: Source(n * 1000, n * 1000 + 900, speaker, (Word("hello", n * 1000, n * 1000 + 900),), 1000)
        for n, (line, speaker) in enumerate(speakers.items())
    }
    assert neighbours(lines) == {
        "0.0": (None, "0.1"),
        "0.1": ("0.0", "0.2"),
        "0.2": ("0.1", None),
        "0.3": (None, None),
        "0.4": (None, None),
    }


def test_an_edit_is_one_more_input_of_its_chunk_and_its_language_and_leaves_the_others_alone() -> None:
    before = whole()
    after = whole(edits=EDITED)
    assert after.keys() - before.keys() == {"edit:es:0"}
    changed = {key for key, task in before.items() if task != after[key]}
    spanish = {"speak:es:0.0", "speak:es:0.1", "fit:es", "captions:es", "done:es"}
    assert changed == spanish | {"settle"}
    assert {handle.key for handle in after["speak:es:0.1"].takes} == {"edit:es:0", "voices:es", "engines:tts:es"}


async def test_the_text_of_a_user_replaces_that_of_the_translator_and_the_other_lines_keep_theirs() -> None:
    task = whole(edits=Edits((Edit(2, "es", 1, "0.1", "una línea mucho más larga que su tiempo"),)))["edit:es:0"]
    found = Translation("hola", ("x",), True, ENGINE, missed_terms=("y",), similarity=0.5, meaning_lost=True)
    made = {line: replace(found, text=f"hola {line}") for line in ("0.0", "0.1")}
    inputs = {"cut:0": dump(dict[str, Source], cut(0)), "translate:es:0": dump(dict[str, Translation], made)}
    edited = cast(dict[str, Translation], await task.run(cast(Any, None), Given(inputs, task.takes)))
    assert edited["0.0"] == made["0.0"]
    line = edited["0.1"]
    assert Line("0.0", cut(0)["0.0"], edited["0.0"]).flags == (
        "unknown_words",
        "missed_terms",
        "meaning_lost",
    )
    assert (line.similarity, line.meaning_lost) == (None, False)
    assert (line.text, line.unknown_words, line.missed_terms, line.within_budget, line.edited) == (
        "una línea mucho más larga que su tiempo",
        (),
        (),
        False,
        True,
    )


def test_the_picture_in_the_documentation_is_the_graph() -> None:
    dubbing = Dubbing(replace(JOB, target_languages=("L",)), SETTINGS)
    speech = replace(SPEECH, chunks=SPEECH.chunks[1:])
    tasks = [*dubbing.start(), *dubbing.after_engines({}), *dubbing.after_detection(speech)]
    tasks += translations(dubbing.job, "L", 1, {TRANSLATION: [ENGINE], SUMMARY: []})
    tasks += [*dubbing.after_cut(0, {"0.0": cut(1)["1.0"]}), *dubbing.after_order(1, ["0.0"])]
    drawn = draw(tasks).replace("0.0", "c.n").replace(":0", ":c")
    document = (Path(__file__).parents[3] / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert indent(drawn, "   ") in document, drawn
    waiting = whole(replace(JOB, target_languages=("L",)), wanting=(ENGINE,)).values()
    shown = [line for line in draw(waiting).splitlines() if line.startswith(("terms:L", "translate:L:1"))]
    assert indent("\n".join(shown), "   ") in document, shown


def test_nothing_is_separated_before_there_is_speech() -> None:
    """A job without speech leaves no file: a call in flight could store one after the job's files are deleted."""
    assert "detect" in {handle.key for handle in whole()["separate"].takes}
