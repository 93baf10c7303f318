"""Language tags: one spelling, one rule of distance, names, and the codes of media files."""

from __future__ import annotations

import pytest

from onevoice_kit.errors import InvalidInput
from onevoice_kit.languages import best, display_name, distance, from_media_tag, normalise, primary, ranked, to_iso639

TAGS = ["es", "es-419", "en-GB", "en-US", "en-GB-x-rp", "fr-BE", "fr-FR", "pt", "pt-BR", "nb", "zh", "vi-VN-x-south"]


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("EN-us", "en-US"),
        ("en_gb_x_rp", "en-GB-x-rp"),
        ("ZH-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("sl-ROZAJ", "sl-rozaj"),
        ("ca-es-valencia", "ca-ES-valencia"),
        ("spa", "es"),
        ("ger", "de"),
        ("cmn", "zh"),
        ("iw", "he"),
        ("tl", "fil"),
    ],
)
def test_tags_have_one_spelling(written, tag):
    assert normalise(written) == tag
    assert normalise(tag) == tag


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "e",
        "english",
        "en--US",
        "en-",
        "-en",
        "en; rm -rf",
        "../en",
        "x-klingon",
        "en\x00",
        "é",
        "en" * 40,
        "12",
        "e1",
    ],
)
def test_text_that_is_no_tag_is_refused_with_its_reason_and_serves_nothing(tag):
    with pytest.raises(InvalidInput) as caught:
        normalise(tag)
    assert caught.value.reason == "invalid_language"
    assert ranked(tag, TAGS) == []
    assert distance("en", tag) is None


def test_the_primary_language_has_no_region():
    assert [primary(tag) for tag in ("es_MX", "CAT-valencia", "zh-Hant")] == ["es", "ca", "zh"]


@pytest.mark.parametrize(
    ("wanted", "served_by"),
    [
        ("es", ["es", "es-419"]),
        ("es-ES", ["es", "es-419"]),
        ("es-MX", ["es-419", "es"]),
        ("es-419", ["es-419", "es"]),
        ("en", ["en-US", "en-GB", "en-GB-x-rp"]),
        ("en_us", ["en-US", "en-GB", "en-GB-x-rp"]),
        ("en-AU", ["en-GB", "en-GB-x-rp", "en-US"]),
        ("fr", ["fr-FR", "fr-BE"]),
        ("pt-PT", ["pt", "pt-BR"]),
        ("no", ["nb"]),
        ("zh-Hans-CN", ["zh"]),
        ("zh-Hant-TW", ["zh"]),
        ("cmn", ["zh"]),
        ("vi", ["vi-VN-x-south"]),
        ("de", []),
    ],
)
def test_the_nearest_tag_comes_first(wanted, served_by):
    assert ranked(wanted, TAGS) == served_by
    assert best(wanted, TAGS) == next(iter(served_by), None)


def test_a_variant_is_preferred_only_by_a_request_for_it():
    assert best("ca-ES-valencia", ["ca", "ca-valencia"]) == "ca-valencia"
    assert best("ca", ["ca-valencia", "ca"]) == "ca"


@pytest.mark.parametrize(
    ("wanted", "served"), [("ca", "es"), ("gsw", "de"), ("nn", "nb"), ("hr", "sr"), ("af", "nl"), ("zh", "zh-Hant")]
)
def test_another_language_or_script_does_not_serve_however_close_it_is(wanted, served):
    assert distance(wanted, served) is None


@pytest.mark.parametrize(
    ("tag", "iso"),
    [
        ("es", "spa"),
        ("es-MX", "spa"),
        ("zh-Hant-TW", "zho"),
        ("ca", "cat"),
        ("de", "deu"),
        ("fil", "fil"),
        ("yue", "yue"),
        ("", "und"),
        ("x-klingon", "und"),
        ("e", "und"),
        ("es; rm", "und"),
    ],
)
def test_a_language_becomes_three_letters_for_a_media_file(tag, iso):
    assert to_iso639(tag) == iso


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("spa", "es"),
        ("ger", "de"),
        ("deu", "de"),
        ("wel", "cy"),
        ("und", ""),
        ("mul", ""),
        ("", ""),
        ("nonsense", ""),
        ("fil", "fil"),
        ("en", "en"),
        ("en-US", "en"),
    ],
)
def test_the_tag_of_a_media_file_becomes_a_language(tag, language):
    assert from_media_tag(tag) == language


def test_languages_have_names_in_several_languages():
    assert display_name("pt-BR") == "Portuguese (Brazil)"
    assert display_name("de", shown_in="es") == "alemán"
