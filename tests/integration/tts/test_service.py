"""Speech synthesis over gRPC with espeak-ng."""

from __future__ import annotations

import array
import asyncio
import io
import wave

import pytest

from onevoice.tts.v1 import tts_service_pb2 as pb
from onevoice_kit.errors import InvalidInput
from onevoice_kit.grpc.converters import ref_from_proto
from onevoice_kit.grpc.errors import error_from_proto

TIMEOUT_S = 60
LINE = "Hola, esto es una prueba."


async def speak(stub, text=LINE, language="es", **fields):
    asked = pb.SynthesizeRequest(text=text, language=language, **{"output_prefix": "users/u/tts", **fields})
    return await stub.Synthesize(asked, timeout=TIMEOUT_S)


async def samples(storage, response) -> array.array[int]:
    async with storage.open_local(ref_from_proto(response.audio)) as path:
        with wave.open(io.BytesIO(path.read_bytes())) as wav:
            assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (1, 2, 22_050)
            return array.array("h", wav.readframes(wav.getnframes()))


async def test_a_line_becomes_a_wav_file_without_silence_around_it(stub, file_storage):
    response = await speak(stub)
    heard = await samples(file_storage, response)
    threshold = max(heard) / 100
    loud = [i for i, sample in enumerate(heard) if abs(sample) > threshold]
    assert loud[0] / 22.05 < 20
    assert (len(heard) - loud[-1]) / 22.05 < 20
    assert response.natural_ms == round(len(heard) / 22.05)
    assert 1_000 < response.natural_ms < 2_500
    assert (response.engine.name, response.voice, response.cached) == ("espeak", "espeak:es", False)
    assert response.engine.version
    assert response.audio.content_type == "audio/wav"


async def test_a_repeat_is_the_same_object_and_length(stub):
    first, again = await speak(stub), await speak(stub)
    assert again.cached
    assert (again.audio, again.natural_ms) == (first.audio, first.natural_ms)


async def test_a_rate_of_zero_is_the_natural_one(stub):
    assert (await speak(stub, rate=0)).audio == (await speak(stub, rate=1.0)).audio


async def test_speakers_can_be_kept_apart(stub, file_storage):
    listed = await stub.ListVoices(pb.ListVoicesRequest(language="ca"), timeout=TIMEOUT_S)
    assert len(listed.voices) == 8
    assert {voice.gender for voice in listed.voices} == {pb.VOICE_GENDER_MALE, pb.VOICE_GENDER_FEMALE}
    spoken = [await speak(stub, "Bon dia a tothom.", "ca", voice=voice.id) for voice in listed.voices]
    assert len({response.audio.sha256 for response in spoken}) == 8
    assert [response.voice for response in spoken] == [voice.id for voice in listed.voices]


async def test_every_language_that_is_listed_can_speak(stub):
    [engine] = (await stub.ListEngines(pb.ListEnginesRequest(), timeout=TIMEOUT_S)).engines
    assert engine.available
    assert {"en-US", "es", "ca", "zh", "nb", "fr-FR"} <= set(engine.languages)
    assert len(engine.languages) > 100
    spoken = await asyncio.gather(*(speak(stub, "Test 12", language) for language in engine.languages))
    assert all(response.natural_ms > 100 for response in spoken)


async def test_all_voices_are_listed_by_language(stub):
    voices = (await stub.ListVoices(pb.ListVoicesRequest(), timeout=TIMEOUT_S)).voices
    languages = [voice.language for voice in voices]
    assert len(voices) == 8 * len(set(languages))
    assert languages == sorted(languages, key=languages.index)


@pytest.mark.parametrize(
    ("markup", "plain"),
    [
        ("[[h@l'oU]] hola", "h@l'oU hola"),
        ("<speak>hola</speak>", "hola"),
        ('<audio src="/etc/passwd"/> hola', "hola"),
    ],
)
async def test_markup_is_spoken_as_it_stands(stub, file_storage, markup, plain):
    assert (await speak(stub, markup)).natural_ms > (await speak(stub, plain)).natural_ms


async def test_a_text_cannot_pass_for_an_option_or_a_command(stub):
    dash = await speak(stub, "--version -f /etc/passwd")
    control = await speak(stub, "\x01" + "90Phola")
    assert dash.natural_ms > 1_000
    assert control.audio.sha256 == (await speak(stub, "90Phola")).audio.sha256


@pytest.mark.parametrize("text", ["x" * 2000, "7" * 2000, "palabra " * 250, "ñ€" * 1000, "a\n" * 1000, "字" * 2000])
async def test_the_longest_texts_are_spoken(stub, text):
    assert (await speak(stub, text)).natural_ms > 1_000


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": " …! "}, "nothing_to_speak"),
        ({"text": "♪"}, "nothing_to_speak"),
        ({"text": "x" * 2001}, "text_too_long"),
        ({"language": "xx"}, "unsupported_language"),
        ({"voice": "espeak:es+zzz"}, "unknown_voice"),
        ({"voice": "espeak:es;reboot"}, "unknown_voice"),
        ({"voice": "espeak:ca"}, "voice_language_mismatch"),
        ({"engine": "nonsense"}, "unknown_engine"),
        ({"rate": 9}, "invalid_rate"),
        ({"output_prefix": "../.."}, "invalid_key"),
    ],
)
async def test_what_cannot_be_spoken_is_refused_with_its_reason(stub, fields, reason):
    with pytest.raises(InvalidInput) as caught:
        await speak(stub, **fields)
    assert caught.value.reason == reason


async def test_many_lines_at_once_are_all_spoken(stub):
    spoken = await asyncio.gather(*(speak(stub, f"Línea número {i}.") for i in range(100)))
    assert len({response.audio.uri for response in spoken}) == 100


async def lines_of(stub, *texts, **fields) -> dict[str, pb.SynthesizeLinesResponse]:
    """The answer for each line, by its id: its place."""
    lines = [pb.SynthesizeLine(id=str(place), text=text) for place, text in enumerate(texts)]
    asked = pb.SynthesizeLinesRequest(lines=lines, language="es", **{"output_prefix": "users/u/tts", **fields})
    return {answer.id: answer async for answer in stub.SynthesizeLines(asked, timeout=TIMEOUT_S)}


async def test_several_lines_in_one_call_are_the_objects_that_single_calls_find(stub):
    texts = [f"Línea número {i}." for i in range(20)]
    answers = await lines_of(stub, *texts)
    assert list(map(str, range(20))) == sorted(answers, key=int)
    alone = [await speak(stub, text) for text in texts]
    assert [answers[str(place)].result.audio for place in range(20)] == [response.audio for response in alone]
    assert all(response.cached for response in alone)
    assert not any(answer.result.cached for answer in answers.values())


async def test_a_line_that_cannot_be_spoken_has_its_reason_and_the_others_are_spoken(stub):
    answers = await lines_of(stub, "Hola.", "♪", "x" * 2001, "Adiós.")
    outcomes = {line: answer.WhichOneof("outcome") for line, answer in answers.items()}
    assert outcomes == {"0": "result", "1": "error", "2": "error", "3": "result"}
    errors = [error_from_proto(answers[line].error) for line in "12"]
    assert [(type(error), error.reason) for error in errors] == [
        (InvalidInput, "nothing_to_speak"),
        (InvalidInput, "text_too_long"),
    ]


async def test_a_call_with_too_many_lines_or_two_of_one_id_is_refused(stub):
    with pytest.raises(InvalidInput) as caught:
        await lines_of(stub, *["Hola."] * 65)
    assert caught.value.reason == "too_many_lines"
    twice = [pb.SynthesizeLine(id="a", text="Hola."), pb.SynthesizeLine(id="a", text="Adiós.")]
    asked = pb.SynthesizeLinesRequest(lines=twice, language="es", output_prefix="users/u/tts")
    with pytest.raises(InvalidInput) as caught:
        await stub.SynthesizeLines(asked, timeout=TIMEOUT_S).read()
    assert caught.value.reason == "duplicate_line"
