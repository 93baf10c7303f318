"""Words and speakers in one call: which engine makes it, that it is made once, and the words for Transcribe."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from onevoice_kit.engines.base import EngineInfo, Price, Unit
from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import InvalidInput, PreconditionFailed, Unavailable
from onevoice_kit.testing.waiting import eventually
from services.asr.audio_cache import AudioCache
from services.asr.conversation import Conversations, WantedWords
from services.asr.diarization import Diarization
from services.asr.engines.base import Capabilities, Conversation, Gender, SpokenWord, TimeRange, Word
from services.asr.engines.registry import conversation_engines, diarization_engines
from services.asr.engines.single import SingleSpeaker
from services.asr.settings import AsrSettings
from services.asr.transcription import Transcription
from tests.unit.asr import samples
from tests.unit.asr.fakes import FakeTranscription, registry_of

REGIONS = [TimeRange(0, 1000), TimeRange(1000, 2000), TimeRange(3000, 4500)]
WORDS = (
    SpokenWord(Word("hello", 100, 500, 0.9), "a"),
    SpokenWord(Word("there", 1200, 1700, 0.8), "b"),
    SpokenWord(Word("again", 3100, 3600, 0.7), "a"),
)
WANTED = WantedWords("en", "", "users/ann/jobs/1/asr")


class FakeConversation:
    """Finds the same words in every audio; `gate` holds it back, `failure` makes it fail."""

    def __init__(self, name: str = "both") -> None:
        price = (Price(usd=Decimal("0.6"), unit=Unit.MINUTE),)
        info = EngineInfo(name, "m", "1", prices=price)
        self.capabilities = Capabilities(info=info, languages=("en",), max_audio_ms=60_000)
        self.name = name
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None
        self.calls = 0

    async def describe(self):
        return self.capabilities

    async def warm(self):
        """Has nothing to load."""

    async def recognise(self, audio, language, count):
        self.calls += 1
        await self.gate.wait()
        if self.failure:
            raise self.failure
        return Conversation(WORDS, 5000)

    async def close(self):
        """Holds nothing."""


class Stage:
    """The use cases around one store, with the engines of a deployment."""

    def __init__(self, storage, conversation, words, speakers):
        self.storage, self.both = storage, conversation
        self.audio = AudioCache(storage)
        transcription = registry_of(*words)
        self.conversations = Conversations(storage, self.audio, registry_of(*conversation), transcription)
        self.diarization = Diarization(self.audio, registry_of(*speakers), self.conversations)
        limit = Limit(2, 0, subject="Speech recognition", retry_after_s=5.0)
        self.transcription = Transcription(self.audio, transcription, limit)

    async def diarize(self, ref, regions=REGIONS, count=0, wanted=WANTED):
        return await self.diarization.diarize(ref, regions, count, "", wanted)

    async def words(self, ref, regions):
        found = []

        async def emit(utterance):
            found.append(utterance)

        return await self.transcription.known(ref, regions, emit), found


@pytest.fixture
async def ref(file_storage, tmp_path):
    path = samples.write(tmp_path / "speech.flac", samples.silence(5))
    return await file_storage.put_file("users/ann/jobs/1/speech.flac", path, "audio/flac")


@pytest.fixture
def engine():
    return FakeConversation()


@pytest.fixture
def stage(file_storage, engine):
    return Stage(file_storage, [engine], [FakeTranscription("both")], [SingleSpeaker()])


async def test_one_call_gives_the_speakers_and_the_words_of_every_region(stage, engine, ref):
    found = await stage.diarize(ref)
    assert [turn.speaker for turn in found.turns] == ["speaker_1", "speaker_2", "speaker_1"]
    assert [(one.name, one.gender) for one in found.speakers] == [
        ("speaker_1", Gender.UNKNOWN),
        ("speaker_2", Gender.UNKNOWN),
    ]
    assert (found.engine.name, found.cost_microusd) == ("both", 50_000)
    recognised, first = await stage.words(found.words, REGIONS[:1])
    _, rest = await stage.words(found.words, REGIONS[1:])
    assert [[word.text for word in one.words] for one in first + rest] == [["hello"], ["there"], ["again"]]
    assert [one.range for one in first + rest] == REGIONS
    assert (recognised.engine.name, recognised.engine.model, recognised.cost_microusd) == ("both", "m", 0)
    assert engine.calls == 1


async def test_a_repeated_call_finds_the_result_also_in_another_process_and_with_other_regions(
    stage, engine, ref, file_storage
):
    first = await stage.diarize(ref)
    again = Stage(file_storage, [engine], [FakeTranscription("both")], [SingleSpeaker()])
    assert await again.diarize(ref) == first
    assert len((await again.diarize(ref, REGIONS[:1])).turns) == 1
    assert engine.calls == 1


async def test_another_audio_language_number_of_speakers_or_engine_is_another_call(stage, engine, ref, tmp_path):
    await stage.diarize(ref)
    await stage.diarize(ref, count=2)
    await stage.diarize(ref, wanted=replace(WANTED, language="en-GB"))
    other = samples.write(tmp_path / "other.flac", samples.noise(5))
    await stage.diarize(await stage.storage.put_file("users/ann/jobs/1/other.flac", other, "audio/flac"))
    engine.capabilities = replace(engine.capabilities, info=EngineInfo("both", "m", "2"))
    await stage.diarize(ref)
    assert engine.calls == 5


async def test_a_call_whose_caller_goes_is_made_to_its_end_and_the_next_caller_gets_its_result(stage, engine, ref):
    engine.gate.clear()
    first = asyncio.create_task(stage.diarize(ref))
    await eventually(lambda: engine.calls == 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(stage.diarize(ref))
    await asyncio.sleep(0)
    engine.gate.set()
    assert (await second).words is not None
    assert engine.calls == 1


async def test_callers_at_the_same_time_share_one_call(stage, engine, ref):
    one, other = await asyncio.gather(stage.diarize(ref), stage.diarize(ref))
    assert one == other
    assert engine.calls == 1


async def test_closing_gives_up_the_calls_that_run(stage, engine, ref):
    engine.gate.clear()
    call = asyncio.create_task(stage.diarize(ref))
    await eventually(lambda: engine.calls == 1)
    await stage.conversations.close()
    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("other", WANTED),
        ("both", None),
        ("both", replace(WANTED, engine="other")),
        ("both", replace(WANTED, language="fr")),
    ],
)
async def test_only_the_engine_that_transcribes_finds_the_speakers_too(file_storage, engine, ref, words, wanted):
    transcribing = [FakeTranscription(words), FakeTranscription("other", languages=("en", "fr"))]
    stage = Stage(file_storage, [engine], transcribing, [SingleSpeaker()])
    found = await stage.diarize(ref, wanted=wanted)
    assert (found.engine.name, found.words, engine.calls) == ("single", None, 0)


async def test_an_audio_longer_than_the_engine_takes_is_not_sent_in_parts(stage, engine, ref):
    engine.capabilities = replace(engine.capabilities, max_audio_ms=4_000)
    assert (await stage.diarize(ref)).engine.name == "single"
    assert engine.calls == 0


@pytest.mark.parametrize(
    "failure",
    [Unavailable("Away.", reason="engine_failed"), PreconditionFailed("No.", reason="engine_key_refused")],
)
async def test_an_engine_that_does_not_work_leaves_the_speakers_to_the_next(stage, engine, ref, failure):
    engine.failure = failure
    found = await stage.diarize(ref)
    assert (found.engine.name, found.words, found.cost_microusd) == ("single", None, 0)


async def test_an_error_that_will_stay_is_the_callers(stage, engine, ref):
    engine.failure = InvalidInput("No.", reason="engine_refused")
    with pytest.raises(InvalidInput):
        await stage.diarize(ref)


async def test_without_an_engine_for_speakers_alone_an_error_is_the_callers(file_storage, engine, ref):
    engine.failure = Unavailable("Away.", reason="engine_failed")
    stage = Stage(file_storage, [engine], [FakeTranscription("both")], [])
    with pytest.raises(Unavailable):
        await stage.diarize(ref)


async def test_a_region_without_stored_words_is_refused(stage, ref):
    found = await stage.diarize(ref)
    with pytest.raises(InvalidInput) as caught:
        await stage.words(found.words, [TimeRange(0, 999)])
    assert caught.value.reason == "invalid_regions"
    with pytest.raises(InvalidInput) as caught:
        await stage.words(await stage.storage.put_bytes("users/ann/jobs/1/x.json", b"[]", "application/json"), REGIONS)
    assert caught.value.reason == "invalid_words"


def test_the_setting_names_engines_of_both_kinds():
    settings = AsrSettings(asr_diarization_engines=("deepgram", "speakers", "elevenlabs", "single"))
    assert conversation_engines(settings).names == ("deepgram", "elevenlabs")
    assert diarization_engines(settings).names == ("speakers", "single")
    with pytest.raises(InvalidInput, match="deepgram"):
        diarization_engines(AsrSettings(asr_diarization_engines=("nonsense",)))
