"""Which language tags stand in for which."""

from __future__ import annotations

import pytest

from services.translate.engines.base import Capabilities, EngineInfo, LanguagePair
from services.translate.languages import lookup_order, primary


@pytest.mark.parametrize(
    ("tag", "order"),
    [
        ("en", ["en"]),
        ("en-US", ["en-us", "en"]),
        ("spa", ["es"]),
        ("es_419", ["es-419", "es"]),
        ("zh-Hant-TW", ["zh-hant-tw", "zh-hant", "zh"]),
        ("ca-ES-valencia", ["ca-es-valencia", "ca-valencia", "ca-es", "ca"]),
        ("", []),
        ("english", []),
        ("en; rm -rf", []),
        ("../en", []),
    ],
)
def test_a_tag_falls_back_to_ever_more_general_ones(tag, order):
    assert lookup_order(tag) == order


def test_the_primary_language_is_the_shortest_code():
    assert [primary(tag) for tag in ("CAT-valencia", "eng_US", "gl")] == ["ca", "en", "gl"]


PAIRS = (
    LanguagePair("en", "es"),
    LanguagePair("en", "ca"),
    LanguagePair("en", "ca-valencia"),
    LanguagePair("es", "en-US"),
)


@pytest.mark.parametrize(
    ("source", "target", "served_by"),
    [
        ("en", "es", PAIRS[0]),
        ("en-GB", "es-MX", PAIRS[0]),
        ("en-US", "ca-ES", PAIRS[1]),
        ("EN", "ca-ES-valencia", PAIRS[2]),
        ("es-AR", "en-us", PAIRS[3]),
        ("es", "en", None),
        ("en", "en", None),
        ("fr", "es", None),
        ("", "es", None),
    ],
)
def test_the_most_specific_pair_serves_a_request_and_never_one_of_another_region(source, target, served_by):
    capabilities = Capabilities(EngineInfo("any", "", ""), PAIRS, available=True)
    assert capabilities.pair_for(source, target) == served_by
