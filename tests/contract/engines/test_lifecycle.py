"""The description and the lifecycle that every engine of every stage has."""

from __future__ import annotations

import dataclasses

import psutil
import pytest

from onevoice_kit.engines.base import EngineInfo
from tests.contract.engines.conftest import ENGINES, registry

pytestmark = pytest.mark.xdist_group("asr-engines")

KIND = "all"
REGISTERED = [(kind, name) for kind, modules in ENGINES.items() for name in modules]


@pytest.mark.parametrize(("kind", "name"), REGISTERED)
async def test_an_engine_has_the_name_that_it_is_registered_by(kind, name):
    [described] = await registry(kind, name).describe()
    assert described.info.name == name
    assert described.info.version


@pytest.mark.parametrize(("kind", "name"), REGISTERED)
async def test_describing_an_engine_leaves_no_process_behind(kind, name):
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    await registry(kind, name).describe()
    after = {child.pid for child in psutil.Process().children(recursive=True) if child.status() != "zombie"}
    assert after <= before


async def test_an_engine_is_available_or_names_what_is_missing(engine):
    capabilities = await engine.describe()
    assert capabilities.available
    assert capabilities.missing == ""


async def test_a_description_stays_the_same(engine):
    assert await engine.describe() == await engine.describe()


async def test_the_identity_is_text_for_lineage_and_keys(engine):
    info = (await engine.describe()).info
    assert isinstance(info, EngineInfo)
    assert set(info.identity) == {"name", "model", "version"}
    assert all(isinstance(value, str) for value in info.identity.values())
    assert dataclasses.replace(info, shutdown_date=None, prices=None).identity == info.identity


async def test_an_engine_may_be_warmed_twice(engine):
    await engine.warm()
    assert (await engine.describe()).available


async def test_an_engine_may_be_closed_twice(engine):
    await engine.close()
    await engine.close()
    assert (await engine.describe()).info.name


@pytest.mark.parametrize(("kind", "name"), REGISTERED)
async def test_an_engine_that_was_never_used_can_be_closed(kind, name):
    engines = registry(kind, name)
    await engines.get(name).close()
    assert engines.names == (name,)
