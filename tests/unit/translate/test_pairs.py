"""The pair of an engine that serves a request."""

from __future__ import annotations

import pytest

from onevoice_kit.engines.base import EngineInfo
from services.translate.engines.base import Capabilities, LanguagePair

PAIRS = (
    LanguagePair("en", "es"),
    LanguagePair("en", "ca"),
    LanguagePair("en", "ca-valencia"),
    LanguagePair("es", "en-US"),
    LanguagePair("es", "en-GB"),
)


@pytest.mark.parametrize(
    ("source", "target", "served_by"),
    [
        ("en", "es", PAIRS[0]),
        ("en-GB", "es-MX", PAIRS[0]),
        ("en-US", "ca-ES", PAIRS[1]),
        ("EN", "ca-ES-valencia", PAIRS[2]),
        ("es-AR", "en-us", PAIRS[3]),
        ("es", "en", PAIRS[3]),
        ("es", "en-AU", PAIRS[4]),
        ("en", "en", None),
        ("fr", "es", None),
        ("", "es", None),
        ("en; rm -rf", "es", None),
    ],
)
def test_the_nearest_pair_serves_a_request(source, target, served_by):
    capabilities = Capabilities(info=EngineInfo("any"), pairs=PAIRS)
    assert capabilities.pair_for(source, target) == served_by
