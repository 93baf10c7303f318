"""The engine `demucs` where its library is not installed; `tests/libraries` has it with the library."""

from __future__ import annotations

from services.asr.engines.registry import separation_engines
from services.asr.settings import AsrSettings


async def test_without_its_package_the_engine_names_what_is_missing_and_the_next_one_serves():
    engines = separation_engines(AsrSettings(asr_separation_engines=("demucs", "none"), demucs_model="htdemucs"))
    described = await engines.describe()
    assert [one.available for one in described] == [False, True]
    assert "onevoice[demucs]" in described[0].missing
