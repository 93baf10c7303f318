"""Which tags serve a language."""

from __future__ import annotations

import pytest

from services.tts.languages import canonical, primary, serving

TAGS = ["es", "es-419", "en-GB", "en-US", "en-GB-x-rp", "fr-BE", "fr-FR", "pt", "pt-BR", "nb", "zh", "vi-VN-x-south"]


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("EN-us", "en-US"),
        ("en_gb_x_rp", "en-GB-x-rp"),
        ("ZH-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("cmn", "zh"),
        ("no", "nb"),
        ("ca-es-valencia", "ca-ES-valencia"),
        ("chr-US-Qaaa-x-west", "chr-US-Qaaa-x-west"),
    ],
)
def test_tags_have_one_spelling(written, tag):
    assert canonical(written) == tag


def test_the_primary_language_has_no_region():
    assert [primary(tag) for tag in ("es_MX", "NO", "zh-Hant")] == ["es", "nb", "zh"]


@pytest.mark.parametrize(
    ("asked", "served_by"),
    [
        ("es", ["es", "es-419"]),
        ("es-ES", ["es"]),
        ("es-MX", ["es-419"]),
        ("es-419", ["es-419"]),
        ("en", ["en-US", "en-GB", "en-GB-x-rp"]),
        ("en-us", ["en-US"]),
        ("en-AU", ["en-GB"]),
        ("en-029", ["en-US"]),
        ("fr", ["fr-FR", "fr-BE"]),
        ("fr-CA", ["fr-FR"]),
        ("pt", ["pt", "pt-BR"]),
        ("no", ["nb"]),
        ("zh-Hans-CN", ["zh"]),
        ("vi", ["vi-VN-x-south"]),
        ("de", []),
        ("", []),
        ("spanish", []),
        ("es; rm", []),
    ],
)
def test_the_closest_tag_comes_first(asked, served_by):
    assert serving(asked, TAGS) == served_by
