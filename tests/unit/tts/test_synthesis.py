"""The use case: checks, keys, what is found and what is spoken."""

from __future__ import annotations

import asyncio
import io
import wave
from contextlib import aclosing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from onevoice_kit.engines.base import EngineInfo, Price, Unit
from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import Busy, InvalidInput, Unavailable
from onevoice_kit.testing.waiting import eventually
from services.tts.batching import Batches
from services.tts.synthesis import MAX_CHARS, MAX_LINES, Request, Speech, Synthesizer, _KeyLocks
from tests.support.synthesis_engine import FakeEngine


def asked(text="hola, amigo", **changes) -> Request:
    return Request(**{"text": text, "language": "es", "output_prefix": "users/u/jobs/j/tts", **changes})


def limit(running: int, waiting: int) -> Batches:
    return Batches(Limit(running, waiting, subject="Speech synthesis", retry_after_s=1.0))


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def synthesizer(file_storage, registry_of, engine):
    return Synthesizer(file_storage, registry_of(fake=engine), limit(2, 10))


async def test_a_line_is_stored_as_trimmed_wav_with_its_exact_length(synthesizer, file_storage):
    speech = await synthesizer.synthesize(asked())
    with wave.open(io.BytesIO(await file_storage.get_bytes(file_storage.key(speech.audio.uri)))) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (1, 2, 16_000)
        assert speech.natural_ms == round(wav.getnframes() / 16)
    assert speech.natural_ms == pytest.approx(1_120, abs=10)
    assert speech.audio.content_type == "audio/wav"
    assert not speech.cached
    assert speech.voice == "fake:ana-es"
    assert speech.engine.name == "fake"


async def test_a_repeat_is_found_and_not_spoken_again(synthesizer, engine):
    first = await synthesizer.synthesize(asked())
    again = await synthesizer.synthesize(asked())
    assert (again.cached, again.audio, again.natural_ms) == (True, first.audio, first.natural_ms)
    assert len(engine.spoken) == 1


async def test_the_same_line_requested_twice_at_once_is_spoken_once(synthesizer, engine):
    both = await asyncio.gather(synthesizer.synthesize(asked()), synthesizer.synthesize(asked()))
    assert sorted(speech.cached for speech in both) == [False, True]
    assert len(engine.spoken) == 1


async def test_the_key_stands_under_the_prefix_and_follows_from_the_request(synthesizer, file_storage):
    keys = [
        file_storage.key((await synthesizer.synthesize(one)).audio.uri)
        for one in (
            asked(),
            asked(" hola,\n amigo "),
            asked(voice="fake:ana-es"),
            asked("hola amigo"),
            asked(rate=1.1),
            asked(voice="fake:bob-es"),
            asked(output_prefix="other"),
        )
    ]
    assert keys[0].startswith("users/u/jobs/j/tts/tts-")
    assert keys[0].endswith(".wav")
    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys)) == 5


async def test_another_version_of_the_engine_speaks_anew(synthesizer, file_storage, registry_of):
    newer = Synthesizer(file_storage, registry_of(fake=FakeEngine(version="2")), limit(1, 1))
    first, second = await synthesizer.synthesize(asked()), await newer.synthesize(asked())
    assert first.audio.uri != second.audio.uri
    assert not second.cached


@pytest.mark.parametrize("identity", [("other", "large", "1"), ("fake", "small", "1"), ("fake", "large", "2")])
async def test_name_model_and_version_of_the_engine_are_part_of_the_key(file_storage, registry_of, identity):
    assert await key_with(file_storage, registry_of, EngineInfo("fake", "large", "1")) != await key_with(
        file_storage, registry_of, EngineInfo(*identity)
    )


async def test_an_engine_of_exact_lengths_speaks_a_line_anew_for_another_length(synthesizer, engine):
    lengths = [1_000, 1_000, 1_200, 0]
    plain = {(await synthesizer.synthesize(asked(wanted_ms=wanted_ms))).audio.uri for wanted_ms in lengths}
    assert len(plain) == 1
    engine.exact = True
    exact = [(await synthesizer.synthesize(asked(wanted_ms=wanted_ms))).audio.uri for wanted_ms in lengths]
    assert exact[0] == exact[1] != exact[2]
    assert exact[3] in plain
    assert [line.wanted_ms for line in engine.lines] == [1_000, 1_000, 1_200]


@pytest.mark.parametrize("wanted_ms", [-1, 600_001])
async def test_a_length_beyond_ten_minutes_is_refused(synthesizer, wanted_ms):
    with pytest.raises(InvalidInput) as caught:
        await synthesizer.synthesize(asked(wanted_ms=wanted_ms))
    assert caught.value.reason == "invalid_length"


async def test_a_voice_of_several_languages_has_a_key_for_each(file_storage, registry_of):
    class Polyglot(FakeEngine):
        async def describe(self):
            described = await super().describe()
            voices = tuple(replace(voice, languages=("es", "en")) for voice in described.voices[:1])
            return replace(described, voices=voices)

    synthesizer = Synthesizer(file_storage, registry_of(fake=Polyglot()), limit(1, 1))
    both = [await synthesizer.synthesize(asked("no", language=language)) for language in ("es", "en")]
    assert both[0].audio.uri != both[1].audio.uri
    assert both[0].voice == both[1].voice


async def test_a_price_and_a_shutdown_date_leave_the_key_as_it_is(file_storage, registry_of):
    plain = EngineInfo("fake", "large", "1")
    priced = EngineInfo("fake", "large", "1", date(2027, 1, 1), (Price(usd=Decimal(15), unit=Unit.MILLION_CHARACTERS),))
    assert await key_with(file_storage, registry_of, plain) == await key_with(file_storage, registry_of, priced)


@pytest.mark.parametrize(
    ("prices", "cost"),
    [((Price(usd=Decimal(15), unit=Unit.MILLION_CHARACTERS),), 15 * len("Hola.")), ((), 0), (None, None)],
)
async def test_a_line_costs_its_characters_also_where_it_is_found(file_storage, registry_of, prices, cost):
    engine = FakeEngine()
    engine.info = EngineInfo("fake", prices=prices)
    synthesizer = Synthesizer(file_storage, registry_of(fake=engine), limit(1, 1))
    both = [await synthesizer.synthesize(asked("Hola.")) for _ in range(2)]
    assert [(speech.cached, speech.cost_microusd) for speech in both] == [(False, cost), (True, cost)]


async def key_with(file_storage, registry_of, info: EngineInfo) -> str:
    engine = FakeEngine()
    engine.info = info
    speech = await Synthesizer(file_storage, registry_of(fake=engine), limit(1, 1)).synthesize(asked())
    return speech.audio.uri


async def test_the_engine_gets_one_clean_line(synthesizer, engine):
    await synthesizer.synthesize(asked("ho\x00la\r\n\u202eamigo\u200b\x1b[K"))
    assert engine.spoken[0][0] == "ho la amigo [K"


async def test_the_engine_gets_numbers_as_words_of_the_lines_language(synthesizer, engine):
    await synthesizer.synthesize(asked("21 km, 3,5 %"))
    await synthesizer.synthesize(asked("on 3/4/2026", language="en-GB"))
    texts = [text for text, _, _ in engine.spoken]
    assert texts == ["veintiún kilómetros, tres coma cinco por ciento", "on the third of April twenty twenty-six"]


async def test_an_engine_that_reads_numbers_itself_gets_them_as_written(file_storage, registry_of):
    engine = FakeEngine(normalises=True)
    await Synthesizer(file_storage, registry_of(fake=engine), limit(1, 1)).synthesize(asked("21 km"))
    assert [text for text, _, _ in engine.spoken] == ["21 km"]


async def test_the_rate_is_passed_on(synthesizer, engine):
    slow = await synthesizer.synthesize(asked(rate=0.5))
    fast = await synthesizer.synthesize(asked(rate=2.0))
    assert [rate for _, _, rate in engine.spoken] == [0.5, 2.0]
    assert slow.natural_ms > 3 * fast.natural_ms


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (asked("x" * 2001), "text_too_long"),
        (asked(" " * 2001), "text_too_long"),
        (asked(rate=0.49), "invalid_rate"),
        (asked(rate=2.01), "invalid_rate"),
        (asked(rate=float("nan")), "invalid_rate"),
        (asked(rate=-1.0), "invalid_rate"),
        (asked(output_prefix="../etc"), "invalid_key"),
        (asked(output_prefix="users/u/"), "invalid_key"),
        (asked(output_prefix=""), "invalid_key"),
        (asked(voice="fake:nobody"), "unknown_voice"),
        (asked(language="de"), "unsupported_language"),
        (asked(engine="nonsense"), "unknown_engine"),
    ],
)
async def test_a_request_that_cannot_be_served_is_refused_with_its_reason(synthesizer, request_, reason):
    with pytest.raises(InvalidInput) as caught:
        await synthesizer.synthesize(request_)
    assert caught.value.reason == reason


@pytest.mark.parametrize("text", ["", " \n\t ", "♪", "♪ ♫", "…", "… — ?!", "¿?", "😀", "👍🏽 ❤️", "\x00\x01", "\u200b"])
async def test_a_line_without_letters_or_digits_is_refused_for_good_before_any_engine_is_called(
    synthesizer, engine, text
):
    with pytest.raises(InvalidInput) as caught:
        await synthesizer.synthesize(asked(text))
    assert (caught.value.reason, caught.value.retryable) == ("nothing_to_speak", False)
    assert engine.spoken == []


async def test_a_line_that_the_engine_renders_as_silence_is_refused_for_the_same_reason_and_not_stored(
    synthesizer, engine, file_storage
):
    with pytest.raises(InvalidInput) as caught:
        await synthesizer.synthesize(asked("silence"))
    assert (caught.value.reason, caught.value.retryable) == ("nothing_to_speak", False)
    assert len(engine.spoken) == 1
    assert [key async for key in file_storage.list("users")] == []


async def test_a_number_alone_is_spoken(synthesizer, engine):
    await synthesizer.synthesize(asked("42"))
    assert [text for text, _, _ in engine.spoken] == ["cuarenta y dos"]


async def test_the_longest_text_is_spoken(synthesizer):
    speech = await synthesizer.synthesize(asked("x" * 2000))
    assert speech.natural_ms == pytest.approx(200_000, abs=30)


async def test_an_engines_error_is_passed_on_and_stores_nothing(synthesizer, file_storage):
    with pytest.raises(Unavailable):
        await synthesizer.synthesize(asked("outage"))
    assert [key async for key in file_storage.list("users")] == []


async def test_one_line_too_many_is_refused_as_busy_while_a_cached_one_is_served(file_storage, registry_of, engine):
    synthesizer = Synthesizer(file_storage, registry_of(fake=engine), limit(1, 0))
    await synthesizer.synthesize(asked("uno"))
    engine.gate = asyncio.Event()
    running = asyncio.create_task(synthesizer.synthesize(asked("dos")))
    await eventually(lambda: engine.waiting)
    with pytest.raises(Busy) as caught:
        await synthesizer.synthesize(asked("tres"))
    assert caught.value.retry_after is not None
    assert (await synthesizer.synthesize(asked("uno"))).cached
    engine.gate.set()
    assert not (await running).cached


async def test_the_text_before_and_after_reaches_the_engine_and_is_no_part_of_the_key(synthesizer, engine):
    first = await synthesizer.synthesize(asked(previous_text="buenos\ndías\x00", next_text="adiós"))
    again = await synthesizer.synthesize(asked(previous_text="another", next_text=""))
    assert [(line.previous_text, line.next_text) for line in engine.lines] == [("buenos días", "adiós")]
    assert (again.cached, again.audio) == (True, first.audio)


async def test_of_a_long_neighbour_the_engine_gets_the_nearest_part(synthesizer, engine):
    await synthesizer.synthesize(asked(previous_text="a" * 3000 + "b", next_text="c" + "d" * 3000))
    [line] = engine.lines
    assert (len(line.previous_text), line.previous_text[-1]) == (MAX_CHARS, "b")
    assert (len(line.next_text), line.next_text[0]) == (MAX_CHARS, "c")


async def ends(synthesizer, *requests) -> dict[int, Any]:
    return dict([end async for end in synthesizer.synthesize_lines(requests)])


async def test_each_of_several_lines_has_its_own_end(synthesizer):
    found = await ends(synthesizer, asked("uno"), asked("outage"), asked("♪"), asked("uno", voice="fake:bob-es"))
    assert [type(found[place]) for place in range(4)] == [Speech, Unavailable, InvalidInput, Speech]
    assert await synthesizer.synthesize(asked("uno")) == replace(found[0], cached=True)


async def test_a_line_that_is_ready_does_not_wait_for_the_others_of_its_call(synthesizer, engine):
    await synthesizer.synthesize(asked("tres"))
    engine.gate = asyncio.Event()
    async with aclosing(synthesizer.synthesize_lines([asked("uno"), asked("dos"), asked("tres")])) as spoken:
        place, end = await anext(spoken)
        assert (place, end.cached) == (2, True)
        engine.gate.set()
        assert sorted([place async for place, _ in spoken]) == [0, 1]


async def test_closing_a_call_gives_up_the_lines_that_are_not_ready(synthesizer, engine):
    await synthesizer.synthesize(asked("tres"))
    engine.gate = asyncio.Event()
    async with aclosing(synthesizer.synthesize_lines([asked("uno"), asked("dos"), asked("tres")])) as spoken:
        await anext(spoken)
        await eventually(lambda: engine.waiting == 2)
    assert (engine.waiting, engine.cancelled) == (0, 2)


async def test_a_call_has_a_bounded_number_of_lines(synthesizer, engine):
    with pytest.raises(InvalidInput) as caught:
        await ends(synthesizer, *[asked()] * (MAX_LINES + 1))
    assert caught.value.reason == "too_many_lines"
    assert engine.calls == []
    assert len(await ends(synthesizer, *[asked()] * MAX_LINES)) == MAX_LINES


async def test_a_key_is_held_by_one_at_a_time_and_forgotten_afterwards():
    locks = _KeyLocks()
    order: list[str] = []

    async def one(key, name):
        async with locks.hold(key):
            order.append(f"{name} in")
            await asyncio.sleep(0)
            order.append(f"{name} out")

    await asyncio.gather(one("k", "first"), one("k", "second"), one("other", "third"))
    assert order.index("first out") < order.index("second in")
    assert order.index("third in") < order.index("first out")
    assert locks._locks == {}
