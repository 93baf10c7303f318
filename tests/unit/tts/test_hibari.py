"""The engine `hibari` in the catalogue, and without the files that it expects."""

from __future__ import annotations

import dataclasses

import pytest

from onevoice_kit.errors import PreconditionFailed
from services.tts.engines import hibari
from services.tts.engines.registry import choose, synthesis_engines
from services.tts.settings import TtsSettings


async def test_it_is_chosen_by_its_name_for_english_alone():
    engines = synthesis_engines(TtsSettings(tts_engines=("hibari", "espeak")))
    chosen = [(await choose(engines, "", "", language)).served.id for language in ("en", "en-US", "es")]
    assert chosen == ["hibari:heart", "hibari:heart", "espeak:es"]


async def test_it_gets_the_line_as_written():
    [described] = await synthesis_engines(TtsSettings(tts_engines=("hibari",))).describe()
    assert described.normalises


async def test_with_another_model_in_the_package_the_next_engine_speaks(monkeypatch):
    files = tuple(dataclasses.replace(one, sha256="0" * 64) for one in hibari.HIBARI.files)
    monkeypatch.setattr(hibari, "HIBARI", dataclasses.replace(hibari.HIBARI, files=files))
    engines = synthesis_engines(TtsSettings(tts_engines=("hibari", "espeak")))
    described, _ = await engines.describe()
    assert "SHA-256" in described.missing
    assert (await choose(engines, "", "", "en")).served.engine == "espeak"
    with pytest.raises(PreconditionFailed):
        hibari.HibariModel("hibari")
