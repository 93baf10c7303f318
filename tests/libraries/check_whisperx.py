"""The engine `whisperx` with the real library, on tiny models that the test makes: `make test-whisperx`."""

from __future__ import annotations

import asyncio
import os
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pydantic import SecretStr

from onevoice_kit.errors import InvalidInput, NotFound, Unavailable
from onevoice_kit.testing.waiting import eventually
from services.asr.audio import AudioFile
from services.asr.engines import whisperx_model
from services.asr.engines.base import TimeRange
from services.asr.engines.registry import conversation_engines, transcription_engines
from services.asr.settings import AsrSettings
from services.asr.spoken import by_region
from tests.libraries import tiny_whisperx

SPEECH = Path("/usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0870.wav")
REGIONS = [TimeRange(0, 2000), TimeRange(2000, 2300), TimeRange(3000, 5000)]
_METRICS = "PYANNOTE_METRICS_ENABLED"
TEXT = "".join(tiny_whisperx.TEXT).split()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> AsrSettings:
    """Settings with models of each kind."""
    folder = tmp_path_factory.mktemp("models")
    nothing = str(tiny_whisperx.sentences(folder / "nltk"))
    os.environ |= {"NLTK_DATA": nothing, "HF_HUB_OFFLINE": "1", _METRICS: "false"}
    settings = AsrSettings(
        asr_transcription_engines=("whisperx",),
        asr_diarization_engines=("whisperx",),
        whisperx_model=str(tiny_whisperx.whisper(folder / "whisper")),
        whisperx_device="cpu",
        whisperx_batch=2,
        whisperx_aligners=(f"en={tiny_whisperx.aligner(folder / 'aligner')}",),
        whisperx_speakers=str(tiny_whisperx.speakers(folder / "speakers")),
        whisperx_token=SecretStr("secret-of-the-hub"),
    )
    os.environ[_METRICS] = "true"
    return settings


@pytest.fixture(scope="session")
def audio() -> Path:
    """Read speech of 7.5 s."""
    return SPEECH


@pytest.fixture
async def engine(models):
    made = transcription_engines(models).get("whisperx")
    yield made
    await made.close()


async def collect(engine, audio, regions, language="en"):
    return [one async for one in engine.transcribe(audio, regions, language)]


async def test_the_description_names_model_and_version_and_no_secret(engine, models):
    described = await engine.describe()
    assert (described.available, described.missing) == (True, "")
    assert (described.info.name, described.info.model) == ("whisperx", "whisper")
    assert described.info.version.startswith("3.8.6-")
    assert described.serves("en-US")
    assert described.max_audio_ms > 0
    assert "secret" not in repr(engine._loading) + repr(described)
    other = transcription_engines(models.model_copy(update={"whisperx_aligners": ()})).get("whisperx")
    assert (await other.describe()).info.identity != described.info.identity


async def test_each_region_has_the_words_of_the_model_with_times_by_alignment_within_it(engine, audio):
    utterances = await collect(engine, audio, REGIONS)
    assert [one.range for one in utterances] == REGIONS
    for one in utterances:
        assert [word.text for word in one.words] == TEXT
        assert all(one.range.start_ms <= w.start_ms < w.end_ms <= one.range.end_ms for w in one.words)
        assert all(left.end_ms <= right.start_ms for left, right in pairwise(one.words))
    spread = [round((one.words[1].start_ms - one.range.start_ms) / one.range.length_ms, 2) for one in utterances]
    assert len(set(spread)) > 1, "the times follow from the sound"


async def test_the_same_regions_give_the_same_words(engine, audio):
    assert await collect(engine, audio, REGIONS) == await collect(engine, audio, REGIONS)


async def test_words_and_speakers_of_a_whole_audio_come_from_one_call(models, audio):
    engine = conversation_engines(models).get("whisperx")
    found = await engine.recognise(audio, "en", 0)
    with AudioFile(audio) as file:
        assert found.heard_ms == file.size_ms
    assert len(found.words) % len(TEXT) == 0
    assert [one.word.text for one in found.words][: len(TEXT)] == TEXT
    assert all(0 <= one.word.start_ms < one.word.end_ms <= found.heard_ms + 100 for one in found.words)
    assert all(one.speaker.startswith("SPEAKER_") for one in found.words)
    spoken = by_region(found.words, [TimeRange(0, found.heard_ms)], 2)
    assert {turn.speaker for turn in spoken.turns} <= {"speaker_1", "speaker_2"}
    assert await engine.recognise(audio, "en", 0) == found
    await engine.close()


async def test_silence_has_no_words_and_no_speakers(models, tmp_path):
    path = tmp_path / "silence.flac"
    soundfile.write(path, np.zeros(48_000), 16_000)
    engine = conversation_engines(models).get("whisperx")
    assert (await engine.recognise(path, "en", 0)).words == ()
    await engine.close()


async def test_both_kinds_share_what_is_loaded(models, audio, monkeypatch):
    loads, load = [], whisperx_model.WhisperXModels._load_whisper

    def counted(self):
        loads.append(self)
        return load(self)

    monkeypatch.setattr(whisperx_model.WhisperXModels, "_load_whisper", counted)
    words, both = transcription_engines(models).get("whisperx"), conversation_engines(models).get("whisperx")
    await words.warm()
    await both.warm()
    await collect(words, audio, REGIONS[:1])
    assert len(loads) == 1
    await words.close()
    await both.close()


async def test_it_computes_beside_the_event_loop_and_a_cancelled_call_begins_no_further_batch(
    engine, audio, monkeypatch
):
    await engine.warm()
    threads, begun = set(), threading.Event()
    words, hold = whisperx_model.WhisperXModels.words, threading.Event()
    placed = []

    def held(self, *args):
        threads.add(threading.current_thread().name)
        placed.append(args)
        begun.set()
        hold.wait(60)
        return words(self, *args)

    monkeypatch.setattr(whisperx_model.WhisperXModels, "words", held)
    call = asyncio.create_task(collect(engine, audio, REGIONS))
    await eventually(begun.is_set)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    hold.set()
    await engine.close()
    assert len(placed) == 2, "a batch is two regions; the third was not begun"
    assert all(name.startswith("whisperx") for name in threads)


async def test_a_whole_audio_that_is_given_up_ends_between_two_parts(models, audio, monkeypatch):
    engine = conversation_engines(models).get("whisperx")
    begun, hold = threading.Event(), threading.Event()
    stretches = whisperx_model.WhisperXModels.stretches

    def held(self, *args):
        begun.set()
        hold.wait(60)
        return stretches(self, *args)

    monkeypatch.setattr(whisperx_model.WhisperXModels, "stretches", held)
    monkeypatch.setattr(whisperx_model.WhisperXModels, "speakers", lambda *_: pytest.fail("it went on"))
    call = asyncio.create_task(engine.recognise(audio, "en", 0))
    await eventually(begun.is_set)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    hold.set()
    await engine.close()


async def test_what_is_recognised_is_in_no_log_and_no_figure_leaves_the_machine(engine, audio, caplog, capfd):
    await collect(engine, audio, REGIONS)
    shown = capfd.readouterr()
    assert TEXT[0] not in caplog.text + shown.out + shown.err
    assert os.environ[_METRICS] == "false"


async def test_a_language_without_a_model_for_alignment_here_is_an_error_that_may_pass(engine, audio):
    with pytest.raises(Unavailable) as caught:
        await collect(engine, audio, REGIONS[:1], "es")
    assert caught.value.reason == "engine_failed"


async def test_a_model_that_is_not_there_is_an_error_that_may_pass(models, audio, tmp_path):
    settings = models.model_copy(update={"whisperx_model": str(tmp_path / "nothing")})
    engine = transcription_engines(settings).get("whisperx")
    with pytest.raises(Unavailable) as caught:
        await engine.warm()
    assert caught.value.reason == "engine_failed"
    await engine.close()


async def test_what_is_no_audio_or_has_gone_is_the_callers_fault(engine, tmp_path):
    path = tmp_path / "text.wav"
    path.write_bytes(b"this is no audio")
    with pytest.raises(InvalidInput):
        await collect(engine, path, REGIONS[:1])
    with pytest.raises(NotFound):
        await collect(engine, tmp_path / "gone.wav", REGIONS[:1])


async def test_a_closed_engine_refuses_and_may_be_closed_twice(engine, audio):
    await engine.close()
    await engine.close()
    with pytest.raises(Unavailable) as caught:
        await collect(engine, audio, REGIONS[:1])
    assert caught.value.reason == "shutting_down"
