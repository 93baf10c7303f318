"""The use cases behind Transcribe and Diarize, with engines that need no model."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from onevoice_kit.engines.base import EngineFailure, Price, Unit
from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import Busy, InvalidInput, Unavailable
from onevoice_kit.testing.waiting import eventually
from services.asr.audio_cache import AudioCache
from services.asr.diarization import Diarization
from services.asr.engines.base import TimeRange
from services.asr.engines.single import SingleSpeaker
from services.asr.transcription import Transcription
from tests.unit.asr import samples
from tests.unit.asr.fakes import REF, CountingStorage, FakeTranscription, registry_of

REGIONS = [TimeRange(0, 1000), TimeRange(1000, 1500), TimeRange(2000, 4500)]


@pytest.fixture
def storage(tmp_path):
    return CountingStorage(samples.write(tmp_path / "speech.wav", samples.silence(5)))


@pytest.fixture
def engine():
    return FakeTranscription()


class Call:
    """Runs Transcribe and keeps what comes."""

    def __init__(self, storage, *engines, max_calls=2):
        limit = Limit(max_calls, 0, subject="Speech recognition", retry_after_s=5.0)
        self._use_case = Transcription(AudioCache(storage), registry_of(*engines), limit)
        self.utterances = []
        self.fractions = []
        self.cost_microusd = None

    async def __call__(self, regions=REGIONS, language="en", engine=""):
        async def emit(utterance):
            self.utterances.append(utterance)

        found = await self._use_case.transcribe(REF, regions, language, engine, self.fractions.append, emit)
        self.cost_microusd = found.cost_microusd
        return found.engine


async def test_utterances_come_in_time_order_with_progress_by_length(storage, engine):
    call = Call(storage, engine)
    used = await call()
    assert [utterance.range for utterance in call.utterances] == REGIONS
    assert call.fractions == pytest.approx([0.25, 0.375, 1.0])
    assert used.name == "fake"


@pytest.mark.parametrize(
    "regions",
    [
        pytest.param([], id="none"),
        pytest.param([TimeRange(0, 0)], id="empty"),
        pytest.param([TimeRange(5, 1)], id="backwards"),
        pytest.param([TimeRange(-1, 5)], id="before the start"),
        pytest.param([TimeRange(0, 10), TimeRange(9, 20)], id="overlapping"),
        pytest.param([TimeRange(10, 20), TimeRange(0, 5)], id="out of order"),
        pytest.param([TimeRange(0, 60_001)], id="too long"),
        pytest.param([TimeRange(i, i + 1) for i in range(10_001)], id="too many"),
    ],
)
async def test_wrong_regions_are_refused_before_anything_is_fetched(storage, engine, regions):
    with pytest.raises(InvalidInput) as caught:
        await Call(storage, engine)(regions)
    assert caught.value.reason == "invalid_regions"
    assert storage.opened == 0


async def test_one_call_too_many_gets_the_time_to_retry_after(storage, engine):
    engine.gate.clear()
    call = Call(storage, engine, max_calls=2)
    running = [asyncio.create_task(call()) for _ in range(2)]
    await eventually(lambda: len(engine.begun) == 2)
    with pytest.raises(Busy) as caught:
        await call()
    assert caught.value.reason == "queue_full"
    assert caught.value.retry_after
    engine.gate.set()
    await asyncio.gather(*running)
    assert (await call()).name == "fake"


async def test_a_cancelled_call_drops_what_has_not_begun_and_frees_its_place(storage, engine):
    engine.gate.clear()
    call = Call(storage, engine, max_calls=1)
    running = asyncio.create_task(call())
    await eventually(lambda: engine.begun)
    running.cancel()
    await asyncio.wait({running})
    assert engine.begun == REGIONS[:1]
    assert engine.given_up == 3
    engine.gate.set()
    assert (await call()).name == "fake"


async def test_the_failure_of_an_engine_frees_the_place(storage, engine):
    engine.failure = Unavailable("gone", reason="worker_lost")
    call = Call(storage, engine, max_calls=1)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await call()
    engine.failure = None
    assert (await call()).name == "fake"


async def test_the_next_engine_takes_over_before_the_first_utterance_and_the_result_names_it(storage):
    first, second = FakeTranscription("first"), FakeTranscription("second")
    first.failure = Unavailable("gone", reason="worker_lost")
    call = Call(storage, first, second)
    served = await call()
    assert (served.name, served.after) == ("second", (EngineFailure("first", "worker_lost"),))
    assert [utterance.range for utterance in call.utterances] == REGIONS
    assert storage.opened == 1


async def test_an_engine_that_was_named_is_not_replaced(storage):
    first, second = FakeTranscription("first"), FakeTranscription("second")
    first.failure = Unavailable("gone", reason="worker_lost")
    with pytest.raises(Unavailable):
        await Call(storage, first, second)(engine="first")
    assert second.begun == []


async def test_regions_cost_their_length(storage, engine):
    prices = (Price(usd=Decimal("0.36"), unit=Unit.HOUR),)
    info = replace(engine.capabilities.info, prices=prices)
    engine.capabilities = replace(engine.capabilities, info=info)
    call = Call(storage, engine)
    await call()
    assert call.cost_microusd == sum(region.length_ms for region in REGIONS) // 10


async def test_regions_longer_than_an_engine_takes_go_to_one_that_takes_them(storage):
    short, long = FakeTranscription("short"), FakeTranscription("long")
    short.capabilities = replace(short.capabilities, max_chunk_ms=1_000)
    call = Call(storage, short, long)
    assert (await call()).name == "long"
    assert (await call(REGIONS[:1])).name == "short"


async def test_a_single_speaker_has_every_line_and_no_audio_is_fetched(storage):
    diarization = Diarization(AudioCache(storage), registry_of(SingleSpeaker()))
    speakers = await diarization.diarize(REF, REGIONS, 0, "")
    assert [turn.range for turn in speakers.turns] == REGIONS
    assert {turn.speaker for turn in speakers.turns} == {"speaker_1"}
    assert speakers.engine.name == "single"
    assert storage.opened == 0


async def test_diarization_checks_its_regions_and_its_engine(storage):
    diarization = Diarization(AudioCache(storage), registry_of(SingleSpeaker()))
    with pytest.raises(InvalidInput) as no_regions:
        await diarization.diarize(REF, [], 0, "")
    with pytest.raises(InvalidInput) as unknown:
        await diarization.diarize(REF, REGIONS, 0, "nonsense")
    with pytest.raises(InvalidInput) as many:
        await diarization.diarize(REF, REGIONS, 21, "")
    reasons = [caught.value.reason for caught in (no_regions, unknown, many)]
    assert reasons == ["invalid_regions", "unknown_engine", "invalid_speakers"]
