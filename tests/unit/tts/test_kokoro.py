"""The engine `kokoro` around its model: clauses, phonemes, voices, and the engine that stands in."""

from __future__ import annotations

import json
import tempfile

import pytest

from onevoice_kit.engines.weights import Weights
from services.tts.engines import kokoro, kokoro_asian, kokoro_model
from services.tts.engines.base import Gender
from services.tts.engines.kokoro_phonemes import clauses, phonemes, pieces
from services.tts.engines.registry import choose, list_voices, synthesis_engines
from services.tts.settings import TtsSettings


class Program:
    """Answers with one IPA after another, as espeak-ng does for a clause."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def run(self, options, given: bytes = b"") -> bytes:
        self.asked.append(given.decode())
        return self.answers.pop(0).encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hola, mundo.", [("Hola", ","), ("mundo", ".")]),
        ("Cuesta 3.50, dice", [("Cuesta 3.50", ","), ("dice", "")]),
        ("El Sr. Sol. Ya", [("El Sr. Sol", "."), ("Ya", "")]),
        ("Bien... «No» (sí)", [("Bien", "…"), ("", " “"), ("No", "”"), ("", " ("), ("sí", ")")]),
        ("¿Qué?!", [("¿Qué", "?")]),
        ("♪", [("♪", "")]),
    ],
)
def test_a_line_is_cut_where_the_model_expects_a_mark(text, expected):
    assert list(clauses(text)) == expected


@pytest.mark.parametrize(
    ("language", "ipa", "expected"),
    [
        ("es", "t^ʃˈiko", "ʧˈiko"),
        ("es", "el (en)wˈiːkɛnd(es)", "el wˈiːkɛnd"),
        ("fr", "lə (^e^n)wˈiːk(^f^r)", "lə wˈiːk"),
        ("en-US", "ɡˈo^ʊ nˈɜːs wˈɔːɾɚ", "ɡˈO nˈɜɹs wˈɔTəɹ"),
        ("en-GB", "ɡˈə^ʊ ðˈe^ə", "ɡˈQ ðˈɛː"),
        ("en-US", "bˈʌtn\u0329", "bˈʌtᵊn"),
    ],
)
async def test_the_programs_signs_become_those_of_the_model(language, ipa, expected):
    assert await phonemes(Program(ipa), "word", language) == expected  # type: ignore[arg-type]


async def test_marks_stand_between_the_phonemes_of_the_clauses_and_only_words_are_asked_for():
    program = Program("ˈola\n", "mˈundo\n")
    assert await phonemes(program, "Hola, ♪ … [mundo].", "es") == "ˈola,… mˈundo."  # type: ignore[arg-type]
    assert program.asked == ["Hola", " [ mundo]"]


def test_a_long_line_is_cut_behind_marks_or_spaces():
    assert list(pieces("aaa. bbb ccc", 9)) == ["aaa.", "bbb ccc"]
    assert list(pieces("aaa bbb ccc", 9)) == ["aaa bbb ", "ccc"]
    assert [len(piece) for piece in pieces("a" * 25, 10)] == [10, 10, 5]


def test_neighbouring_voices_of_a_language_differ_in_gender_where_there_are_both():
    genders = [voice.gender for voice in kokoro.VOICES if voice.language == "es"]
    assert genders == [Gender.FEMALE, Gender.MALE, Gender.MALE]
    languages = {"en-US", "en-GB", "es", "fr", "hi", "it", "ja", "pt-BR", "zh"}
    assert {voice.language for voice in kokoro.VOICES} == languages


async def test_a_language_with_few_voices_borrows_some_that_speak_it_with_an_accent():
    engines = synthesis_engines(TtsSettings(tts_engines=("kokoro",)))
    french = await list_voices(engines, "fr")
    assert [(voice.id, voice.native) for voice in french] == [
        ("kokoro:ff_siwis", True),
        ("kokoro:ef_dora", False),
        ("kokoro:em_alex", False),
    ]
    spanish = [voice.gender for voice in await list_voices(engines, "es")]
    assert (spanish.count(Gender.FEMALE), spanish.count(Gender.MALE)) == (3, 4)
    assert {voice.language for voice in french} == {"fr"}


async def test_languages_without_a_natural_voice_stay_with_the_other_engine():
    engines = synthesis_engines(TtsSettings(tts_engines=("kokoro", "espeak")))
    chosen = [(await choose(engines, "", "", language)).served.id for language in ("es-MX", "ca", "pt", "de")]
    assert chosen == ["kokoro:ef_dora", "espeak:ca", "kokoro:pf_dora", "espeak:de"]
    assert [voice.engine for voice in await list_voices(engines, "es")][:8] == ["kokoro"] * 7 + ["espeak"]


async def test_a_language_whose_packages_are_missing_is_served_by_the_next_engine_and_the_catalogue_names_them(
    monkeypatch,
):
    absent = Weights("kokoro", "japanese", ("a_package_of_nobody",))
    monkeypatch.setattr(kokoro, "READERS", {"ja": absent, "zh": Weights("kokoro", "tts", ())})
    engines = synthesis_engines(TtsSettings(tts_engines=("kokoro", "espeak")))
    chosen = [(await choose(engines, "", "", language)).served.id for language in ("ja", "zh", "zh-Hant-TW")]
    assert chosen == ["espeak:ja", "kokoro:zf_xiaobei", "kokoro:zf_xiaobei"]
    described, _ = await engines.describe()
    assert described.available
    assert "For “ja”" in described.partly_missing
    assert "`onevoice[japanese]`" in described.partly_missing
    assert "zh" not in described.partly_missing


def test_chinese_becomes_phonemes_of_the_model_and_leaves_no_file_where_others_could_put_one(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = kokoro_asian.read("图书馆下午关门，2026年！", "zh")
    vocabulary = json.loads(kokoro_model.KOKORO.read("vocab.json"))["vocab"]
    assert set(found) <= set(vocabulary)
    assert found.startswith("tʰu↗ʂu→kwa↓n")
    assert [kokoro_asian.read(text, "zh") for text in ("，", "♪")] == ["，", "♪"]
    assert list(tmp_path.iterdir()) == []


def test_latin_words_stand_apart_from_chinese_ones():
    assert kokoro_asian.runs("我用 Open Voice，好") == [(False, "我用"), (True, "Open Voice"), (False, "，好")]


@pytest.mark.parametrize("content", [None, b"other"])
async def test_without_its_voices_or_with_others_the_next_engine_speaks(tmp_path, content):
    if content is not None:
        (tmp_path / "ef_dora.bin").write_bytes(content)
    engines = synthesis_engines(TtsSettings(tts_engines=("kokoro", "espeak"), kokoro_voices=tmp_path))
    described, _ = await engines.describe()
    assert "make install" in described.missing
    assert (await choose(engines, "", "", "es")).served.engine == "espeak"


def test_a_computation_that_was_stopped_ends_with_an_error():
    stop = kokoro_model.Stop()
    assert stop.options.terminate is False
    stop.set()
    assert stop.options.terminate is True
