"""Object keys, options and cursors."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import ValidationError

from onevoice_jobs.keys import artifact_key, job_prefix, original_key, stage_prefix, video_prefix
from onevoice_jobs.options import EngineChoice, GlossaryTerm, JobOptions
from onevoice_jobs.queries import decode_cursor, encode_cursor
from onevoice_jobs.rows import ref_from_json, ref_to_json
from onevoice_kit.errors import InvalidInput
from onevoice_kit.storage.base import ObjectRef

USER, JOB, VIDEO = UUID(int=1), UUID(int=2), UUID(int=3)


def test_everything_of_a_job_lies_under_its_prefix():
    prefix = job_prefix(USER, JOB)
    assert prefix == f"users/{USER}/jobs/{JOB}"
    assert stage_prefix(USER, JOB, "tts") == f"{prefix}/tts"
    assert artifact_key(USER, JOB, "talk.es.mp4") == f"{prefix}/artifacts/talk.es.mp4"


def test_an_original_lies_with_its_video():
    assert original_key(USER, VIDEO, ".mp4") == f"{video_prefix(USER, VIDEO)}/original.mp4"
    assert original_key(USER, VIDEO, "") == f"users/{USER}/videos/{VIDEO}/original"


@pytest.mark.parametrize("name", ["../x", "a b", "", "é.mp4", "/etc/passwd", ".hidden"])
def test_a_name_that_is_not_plain_is_no_key(name):
    with pytest.raises(InvalidInput) as error:
        artifact_key(USER, JOB, name)
    assert error.value.reason == "invalid_key"


def test_options_survive_the_database():
    options = JobOptions(
        source_language="en",
        voices={"es": "es+f2", "ca": {"speaker_1": "ca+m1"}},
        glossary=(GlossaryTerm(source="OneVoice", target="OneVoice"),),
        loudness="-16",
        burn_in_captions=True,
        keep_original_audio=False,
        engines=EngineChoice(tts="espeak"),
        duck_gain_db=-18,
        speakers=2,
        terminology="off",
    )
    assert JobOptions.model_validate(options.model_dump(mode="json")) == options


@pytest.mark.parametrize(
    "values",
    [
        {"loudness": "-15"},
        {"unknown": 1},
        {"duck_gain_db": 1},
        {"speakers": 0},
        {"terminology": "on"},
        {"glossary": [{"source": "", "target": "x"}]},
    ],
)
def test_options_that_make_no_sense_are_refused(values):
    with pytest.raises(ValidationError):
        JobOptions.model_validate(values)


def test_a_cursor_is_opaque_and_read_back():
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    cursor = encode_cursor(moment, JOB)
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert decode_cursor(cursor) == (moment, JOB)


@pytest.mark.parametrize("cursor", ["x", "====", "bm90aGluZw", encode_cursor(datetime(2026, 1, 1), JOB)])  # noqa: DTZ001
def test_what_is_no_cursor_is_refused(cursor):
    with pytest.raises(InvalidInput) as error:
        decode_cursor(cursor)
    assert error.value.reason == "invalid_cursor"


def test_an_object_reference_survives_the_database():
    ref = ObjectRef("s3://bucket/key", "c" * 64, 5, "audio/flac")
    assert ref_from_json(ref_to_json(ref)) == ref
