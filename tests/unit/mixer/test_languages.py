"""Language tags of media files."""

from __future__ import annotations

import pytest

from services.mixer.languages import to_bcp47, to_iso639


@pytest.mark.parametrize(
    ("bcp47", "iso"),
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
def test_a_language_becomes_three_letters(bcp47, iso):
    assert to_iso639(bcp47) == iso


@pytest.mark.parametrize(
    ("tag", "bcp47"), [("spa", "es"), ("ger", "de"), ("deu", "de"), ("und", ""), ("", ""), ("fil", "fil"), ("en", "en")]
)
def test_a_tag_becomes_a_language(tag, bcp47):
    assert to_bcp47(tag) == bcp47
