"""The cost of a use of an engine at list price."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import ValidationError

from onevoice_kit.engines.base import FREE, EngineInfo, Measure, Price, Unit
from onevoice_kit.settings import EngineSettings

TOKENS = (
    Price(usd=Decimal("0.15"), unit=Unit.MILLION_INPUT),
    Price(usd=Decimal("0.60"), unit=Unit.MILLION_OUTPUT),
)


@pytest.mark.parametrize(
    ("prices", "use", "microusd"),
    [
        ((Price(usd=Decimal("0.10"), unit=Unit.THOUSAND_CHARACTERS),), {Measure.CHARACTERS: 45}, 4_500),
        ((Price(usd=Decimal(15), unit=Unit.MILLION_CHARACTERS),), {Measure.CHARACTERS: 1}, 15),
        ((Price(usd=Decimal(15), unit=Unit.MILLION_BYTES),), {Measure.UTF8_BYTES: 3}, 45),
        ((Price(usd=Decimal("0.0077"), unit=Unit.MINUTE),), {Measure.AUDIO_SECONDS: 90.0}, 11_550),
        ((Price(usd=Decimal("0.22"), unit=Unit.HOUR),), {Measure.AUDIO_SECONDS: 1.0}, 62),
        (TOKENS, {Measure.INPUT_TOKENS: 1_000, Measure.OUTPUT_TOKENS: 200}, 270),
        (TOKENS, {}, 0),
        (FREE, {Measure.CHARACTERS: 45}, 0),
        (None, {Measure.CHARACTERS: 45}, None),
    ],
)
def test_a_use_costs_the_sum_of_the_prices_rounded_up(prices, use, microusd) -> None:
    assert EngineInfo("it", prices=prices).microusd(use) == microusd


def test_the_deployments_prices_come_before_those_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_PRICES", '{"tts.openai": [{"usd": "12.5", "unit": "1M characters"}]}')
    settings = EngineSettings()
    own = (Price(usd=Decimal("12.5"), unit=Unit.MILLION_CHARACTERS),)
    assert settings.prices("tts", "openai") == settings.prices("tts", "openai", TOKENS) == own
    assert settings.prices("asr", "openai", TOKENS) == TOKENS
    assert settings.prices("asr", "openai") is None


@pytest.mark.parametrize("price", [{"usd": "-1", "unit": "hour of audio"}, {"usd": "1", "unit": "mile"}])
def test_a_price_that_is_none_is_refused(price) -> None:
    with pytest.raises(ValidationError):
        EngineSettings(engine_prices={"tts.openai": [price]})
