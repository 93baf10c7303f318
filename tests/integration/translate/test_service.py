"""Translation over gRPC with Apertium."""

from __future__ import annotations

import pytest

from onevoice.translate.v1 import translate_service_pb2 as pb
from onevoice_kit.errors import InvalidInput
from onevoice_kit.grpc.streams import final_result

TIMEOUT_S = 60


def request(*texts: str, source="en", target="es", **fields) -> pb.TranslateRequest:
    segments = [pb.SourceSegment(id=f"seg-{i}", text=text) for i, text in enumerate(texts)]
    return pb.TranslateRequest(source_language=source, target_language=target, segments=segments, **fields)


async def translate(stub, asked) -> pb.TranslateResult:
    return await final_result(stub.Translate(asked, timeout=TIMEOUT_S))


async def texts(stub, *lines, **fields) -> list[str]:
    return [segment.text for segment in (await translate(stub, request(*lines, **fields))).segments]


async def test_what_a_recogniser_left_bare_becomes_spanish_sentences(stub):
    assert await texts(stub, "the cat will sleep on the table", "where do you live", "it is raining") == [
        "El gato dormirá en la mesa.",
        "¿Dónde vives?",
        "Está lloviendo.",
    ]


async def test_catalan_questions_have_only_their_closing_mark(stub):
    assert await texts(stub, "where do you live", target="ca") == ["On vius?"]


async def test_the_way_back_is_served_too(stub):
    assert await texts(stub, "¿la casa es roja?", source="es-MX", target="en-GB") == ["The house is red?"]


async def test_every_pair_that_is_listed_translates(stub):
    listed = await stub.ListEngines(pb.ListEnginesRequest(), timeout=TIMEOUT_S)
    [engine] = listed.engines
    assert engine.engine.available
    assert engine.engine.name == "apertium"
    assert engine.engine.version
    assert list(engine.engine.languages) == sorted({pair.source for pair in engine.pairs})
    assert not engine.can_shorten
    assert ("en", "ca-valencia") in {(pair.source, pair.target) for pair in engine.pairs}
    for pair in engine.pairs:
        [text] = await texts(stub, "Barcelona", source=pair.source, target=pair.target)
        assert text == "Barcelona."


async def test_the_lineage_names_the_pair_and_its_version(stub):
    result = await translate(stub, request("hello"))
    assert (result.engine.name, result.engine.model) == ("apertium", "eng-spa")
    assert "apertium-eng-spa" in result.engine.version


async def test_names_without_their_capital_are_known_all_the_same(stub):
    result = await translate(stub, request("spain is a beautiful country and john goes to london"))
    assert result.segments[0].text == "España es un país bello y John va a Londres."
    assert not result.segments[0].unknown_words


async def test_unknown_words_are_reported_and_left_in_lower_case(stub):
    result = await translate(stub, request("spain is a flurble"))
    assert result.segments[0].text == "España es un flurble."
    assert list(result.segments[0].unknown_words) == ["flurble"]


async def test_signs_that_mean_something_to_apertium_come_through(stub):
    line = "I have 5 * stars [x] ^y$ a\\b <b>bold</b> {z} #1 @home 1+1=2 a_b ~c/d 😀."
    [text] = await texts(stub, line)
    for sign in ("*", "[x]", "^y$", "\\b", "<b>", "</b>", "{z}", "#1", "@", "1+1=2", "_", "~c/d", "😀"):
        assert sign in text


@pytest.mark.parametrize("target", ["es", "ca"])
async def test_hostile_lines_stay_apart_and_nothing_is_lost(stub, target):
    lines = [
        "one\ntwo\r\n\tthree",
        "a\x00b\x01c",
        "[=0] [] [[ ]] \\[",
        "x" * 2000,
        "(" * 1999 + "a",
        "* a " * 500,
        "é" * 2000,
        "你好 Привет مرحبا",
        "\u202eright to left\u202c",
        "The end.",
    ]
    answers = await texts(stub, *lines, target=target)
    assert len(answers) == len(lines)
    assert all(answers)
    assert "x" * 2000 in answers[3].lower()
    assert answers[6].lower().rstrip(".") == "é" * 2000
    assert "Привет" in answers[7]
    assert answers[9] in ("El fin.", "El final.", "La fi.", "El fi.")


async def test_segments_without_words_are_left_as_they_are(stub):
    assert await texts(stub, "", "   ", "42", "…", "😀") == ["", "", "42", "…", "😀"]


async def test_terms_keep_their_translation_and_their_case(stub):
    glossary = [
        pb.GlossaryTerm(source="house", target="Casa Blanca"),
        pb.GlossaryTerm(source="onevoice", target="OneVoice"),
    ]
    [first, second] = await texts(stub, "the white House is old", "onevoice speaks", glossary=glossary)
    assert "Casa Blanca" in first
    assert second.startswith("OneVoice ")


async def test_the_budget_is_reported_not_enforced(stub):
    segments = [pb.SourceSegment(id="a", text="the cat sleeps", max_chars=limit) for limit in (3,)]
    segments += [pb.SourceSegment(id="b", text="the cat sleeps", max_chars=300)]
    asked = pb.TranslateRequest(source_language="en", target_language="es", segments=segments)
    result = await translate(stub, asked)
    assert [(one.id, one.within_budget) for one in result.segments] == [("a", False), ("b", True)]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (request("x", target="de"), "unsupported_language_pair"),
        (request("x", source="es", target="ca"), "unsupported_language_pair"),
        (request("x", target="$(reboot)"), "unsupported_language_pair"),
        (request("x" * 2001), "text_too_long"),
        (request(*["x"] * 501), "too_many_segments"),
        (request("x", engine="nonsense"), "unknown_engine"),
    ],
)
async def test_what_cannot_be_translated_is_refused_with_its_reason(stub, asked, reason):
    with pytest.raises(InvalidInput) as caught:
        await translate(stub, asked)
    assert caught.value.reason == reason


async def test_five_hundred_segments_report_progress_and_keep_their_ids(stub):
    seen: list[float] = []
    asked = request(*[f"This is the house number {i}." for i in range(500)])
    result = await final_result(stub.Translate(asked, timeout=TIMEOUT_S), on_progress=seen.append)
    assert [segment.id for segment in result.segments] == [segment.id for segment in asked.segments]
    assert all(str(i) in segment.text for i, segment in enumerate(result.segments))
    assert seen == sorted(seen)
