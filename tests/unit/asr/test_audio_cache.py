"""Local copies are shared, kept for a while, and given back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from onevoice_kit.errors import NotFound
from onevoice_kit.testing.waiting import eventually
from services.asr.audio_cache import AudioCache
from tests.unit.asr.fakes import REF, CountingStorage


@pytest.fixture
def storage(tmp_path):
    return CountingStorage(tmp_path / "speech.wav")


async def test_calls_at_the_same_time_share_one_fetch(storage):
    cache = AudioCache(storage)
    storage.gate.clear()

    async def use():
        async with cache.open(REF) as path:
            return path

    users = [asyncio.create_task(use()) for _ in range(5)]
    await eventually(lambda: storage.opened)
    storage.gate.set()
    assert set(await asyncio.gather(*users)) == {storage.path}
    assert storage.opened == 1
    await cache.close()


async def test_a_later_call_finds_the_copy(storage):
    cache = AudioCache(storage)
    for _ in range(3):
        async with cache.open(REF):
            pass
    assert (storage.opened, storage.released) == (1, 0)
    await cache.close()
    assert storage.released == 1


async def test_an_unused_copy_is_removed_after_a_while(storage):
    cache = AudioCache(storage, idle_s=0.01)
    async with cache.open(REF):
        pass
    await eventually(lambda: storage.released == 1)
    assert storage.released == 1


async def test_only_so_many_unused_copies_are_kept(storage):
    cache = AudioCache(storage, max_idle=2)
    refs = [replace(REF, sha256=f"{i:064}") for i in range(4)]
    for ref in refs:
        async with cache.open(ref):
            pass
    await eventually(lambda: storage.released == 2)
    async with cache.open(refs[3]):
        pass
    assert storage.opened == 4
    await cache.close()
    assert storage.released == 4


async def test_a_caller_that_goes_away_does_not_take_the_fetch_from_the_others(storage):
    cache = AudioCache(storage)
    storage.gate.clear()

    async def use():
        async with cache.open(REF) as path:
            return path

    first, second = asyncio.create_task(use()), asyncio.create_task(use())
    await eventually(lambda: storage.opened)
    first.cancel()
    await asyncio.wait({first})
    storage.gate.set()
    assert await second == storage.path
    assert storage.opened == 1
    await cache.close()


async def test_a_failed_fetch_is_not_remembered(storage):
    cache = AudioCache(storage)
    storage.failure = NotFound("gone", reason="object_not_found")
    with pytest.raises(NotFound):
        async with cache.open(REF):
            pass
    storage.failure = None
    async with cache.open(REF) as path:
        assert path == storage.path
    assert storage.opened == 2
    await cache.close()
