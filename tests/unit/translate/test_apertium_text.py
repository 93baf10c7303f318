"""Case and punctuation: put into bare text, kept right in answers."""

from __future__ import annotations

import pytest

from services.translate.engines.apertium_text import Restored, finish, has_letters, is_question, restore


@pytest.mark.parametrize(
    ("bare", "restored"),
    [
        ("he was not an ill disposed young man", "He was not an ill disposed young man."),
        ("what is your name", "What is your name?"),
        ("i think i'll go and so will i", "I think I'll go and so will I."),
        ("i'd say i've been i-beams", "I'd say I've been i-beams."),
        ("i, that is, i.e. i.", "I, that is, i.e. I."),
        ("and what did he say", "And what did he say?"),
        ("are you there", "Are you there?"),
        ("don't you know", "Don't you know?"),
        ("first. then i went? yes", "First. Then I went? Yes."),
        ("“quoted”", "“Quoted”."),
        ("it goes on,", "It goes on,"),
        ("3 men in a boat", "3 men in a boat."),
    ],
)
def test_a_recognisers_text_gets_sentence_case_and_an_end(bare, restored):
    assert restore(bare, "en") == Restored(restored, recased=True)


@pytest.mark.parametrize("written", ["Hello there.", "NASA says: “go!”", "Is it? I do not know…", "He left —"])
def test_a_written_text_stays_as_it_is(written):
    assert restore(written, "en").text == written


def test_a_written_text_without_an_end_gets_one_and_keeps_its_capitals():
    assert restore("the Tower of London", "en-GB") == Restored("The Tower of London.", recased=False)


@pytest.mark.parametrize("text", ["", "42", "…", "😀", "- 7 -"])
def test_a_text_without_letters_is_left_alone(text):
    assert restore(text, "en") == Restored(text, recased=False)
    assert not has_letters(text)


@pytest.mark.parametrize(
    "text",
    [
        "what do you want",
        "where is it",
        "how many are there",
        "how come",
        "why not",
        "who are you",
        "who did this",
        "what's that",
        "why",
        "is there any",
        "so can we go",
        "what about me",
    ],
)
def test_a_question_is_known_by_its_beginning(text):
    assert is_question(text, "en")


@pytest.mark.parametrize(
    "text",
    [
        "when i was young we went to sea",
        "who had married a rich woman",
        "which was a pity",
        "what a beautiful day",
        "how beautiful",
        "had he married a more amiable woman",
        "whatever is fine",
        "do not go",
        "is",
    ],
)
def test_a_clause_that_only_looks_like_a_question_is_none(text):
    assert not is_question(text, "en")


def test_questions_are_known_in_spanish_and_catalan_too():
    assert is_question("cómo te llamas", "es-MX")
    assert is_question("por qué no vienes", "es")
    assert is_question("què vols", "ca")
    assert not is_question("como te dije", "es")
    assert not is_question("com deia", "ca")
    assert not is_question("wer bist du", "de")


def test_spanish_answers_open_their_questions_and_exclamations():
    source = Restored("x?", recased=False)
    assert finish("hola. cómo te llamas? vale!", source, "es") == "Hola. ¿cómo te llamas? ¡Vale!"
    assert finish("cuánto es 3.5 más 4?", source, "es-419") == "¿Cuánto es 3.5 más 4?"
    assert finish("¿ya abierta?", source, "es") == "¿Ya abierta?"
    assert finish("“qué?”", source, "es") == "“¿Qué?”"


def test_other_languages_have_no_opening_marks():
    assert finish("¿com et dius?", Restored("x?", recased=False), "ca") == "Com et dius?"


@pytest.mark.parametrize(("source", "end"), [("x?", "?"), ("x.", "."), ("x,", ","), ("“x!”", "!")])
def test_an_answer_that_lost_its_end_gets_the_one_of_its_source(source, end):
    assert finish("resposta", Restored(source, recased=False), "ca") == "Resposta" + end


def test_an_answer_is_spaced_as_people_write():
    assert finish("  hola   amic , adeu . ", Restored("x.", recased=False), "ca") == "Hola amic, adeu."


def test_a_fixed_translation_keeps_its_own_case_at_the_beginning():
    source = Restored("x.", recased=False)
    assert finish("iPhone nou.", source, "ca", ["iPhone"]) == "iPhone nou."
    assert finish("drac nou.", source, "ca", ["drac"]) == "Drac nou."


def test_small_words_lose_a_capital_they_cannot_have_from_a_source_without_any():
    assert finish("Hola Mi amigo Juan.", Restored("x.", recased=True), "es") == "Hola mi amigo Juan."
    assert finish("Hola Mi amigo.", Restored("x.", recased=False), "es") == "Hola Mi amigo."
