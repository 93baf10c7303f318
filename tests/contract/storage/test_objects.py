"""The contract of stores: objects."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from onevoice_kit.errors import InvalidInput, NotFound
from onevoice_kit.storage.base import ObjectRef, Storage
from onevoice_kit.storage.s3_upload import PART_BYTES

KEY = "users/u1/jobs/j1/voice.wav"


async def _keys(storage: Storage, prefix: str) -> list[str]:
    return [key async for key in storage.list(prefix)]


async def test_stored_bytes_are_described_and_read_back(storage: Storage):
    ref = await storage.put_bytes(KEY, b"hello", "audio/wav")
    assert ref == ObjectRef(storage.uri(KEY), hashlib.sha256(b"hello").hexdigest(), 5, "audio/wav")
    assert await storage.head(KEY) == ref
    assert await storage.get_bytes(KEY) == b"hello"


async def test_a_stored_file_is_opened_as_a_local_file(storage: Storage, tmp_path: Path):
    source = tmp_path / "source.mp4"
    source.write_bytes(b"film" * 1000)
    ref = await storage.put_file(KEY, source, "video/mp4")
    async with storage.open_local(ref) as path:
        assert path.read_bytes() == source.read_bytes()
        assert path.suffix == ".wav"


async def test_a_file_larger_than_one_part_keeps_content_and_checksum(storage: Storage, tmp_path: Path):
    source = tmp_path / "large"
    source.write_bytes(bytes(range(256)) * (PART_BYTES // 256 * 2 + 7))
    ref = await storage.put_file(KEY, source, "video/mp4")
    assert await storage.head(KEY) == ref
    async with storage.open_local(ref) as path:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == ref.sha256


async def test_an_empty_object_is_an_object(storage: Storage):
    ref = await storage.put_bytes(KEY, b"", "text/plain")
    assert ref.size == 0
    assert await storage.head(KEY) == ref
    assert await storage.get_bytes(KEY) == b""


async def test_a_second_write_replaces_the_first(storage: Storage):
    await storage.put_bytes(KEY, b"one", "text/plain")
    ref = await storage.put_bytes(KEY, b"two", "text/html")
    assert await storage.head(KEY) == ref
    assert await storage.get_bytes(KEY) == b"two"


async def test_content_comes_piece_by_piece(storage: Storage):
    await storage.put_bytes(KEY, b"abcdefgh", "text/plain")
    chunks = [chunk async for chunk in storage.stream(KEY, 3)]
    assert b"".join(chunks) == b"abcdefgh"
    assert max(map(len, chunks)) <= 3


async def test_a_missing_object_is_not_found(storage: Storage):
    ghost = ObjectRef(storage.uri(KEY), "0" * 64, 1, "text/plain")
    assert await storage.head(KEY) is None
    for attempt in (storage.get_bytes(KEY), storage.open_local(ghost).__aenter__(), anext(storage.stream(KEY))):
        with pytest.raises(NotFound) as caught:
            await attempt
        assert caught.value.reason == "object_not_found"
    with pytest.raises(NotFound):
        await storage.verify(KEY, "text/plain")


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"size": 6}])
async def test_an_object_that_is_not_the_one_referred_to_is_refused(storage: Storage, change: dict[str, object]):
    ref = await storage.put_bytes(KEY, b"hello", "text/plain")
    with pytest.raises(InvalidInput) as caught:
        async with storage.open_local(replace(ref, **change)):  # type: ignore[arg-type]
            pass
    assert caught.value.reason == "checksum_mismatch"


async def test_what_is_too_large_to_be_read_at_once_is_refused(storage: Storage):
    await storage.put_bytes(KEY, b"12345", "text/plain")
    assert await storage.get_bytes(KEY, max_bytes=5) == b"12345"
    with pytest.raises(InvalidInput) as caught:
        await storage.get_bytes(KEY, max_bytes=4)
    assert caught.value.reason == "object_too_large"


@pytest.mark.parametrize("key", ["", "/abs", "a//b", "a/../b", ".hidden", "a/.b", "a b", "ü", "a/", "x" * 901])
async def test_a_key_that_is_not_plain_is_refused(storage: Storage, key: str):
    with pytest.raises(InvalidInput) as caught:
        await storage.put_bytes(key, b"", "text/plain")
    assert caught.value.reason == "invalid_key"
    with pytest.raises(InvalidInput):
        await storage.head(key)


async def test_only_uris_of_this_store_have_a_key(storage: Storage):
    assert storage.key(storage.uri(KEY)) == KEY
    for foreign in ("s3://another-bucket/a", "https://example.com/a", "/etc/passwd"):
        with pytest.raises(InvalidInput) as caught:
            storage.key(foreign)
        assert caught.value.reason == "foreign_uri"


async def test_keys_under_a_prefix_are_listed_in_order(storage: Storage):
    for key in ("a/2", "a/10", "a/b/c", "ab/1", "z"):
        await storage.put_bytes(key, b"", "text/plain")
    assert await _keys(storage, "a") == ["a/10", "a/2", "a/b/c"]
    assert await _keys(storage, "") == ["a/10", "a/2", "a/b/c", "ab/1", "z"]
    assert await _keys(storage, "nothing") == []


async def test_deleting_a_prefix_leaves_its_neighbours(storage: Storage):
    for key in ("a/1", "a/b/2", "ab/3"):
        await storage.put_bytes(key, b"", "text/plain")
    assert await storage.delete_prefix("a") == 2
    assert await _keys(storage, "") == ["ab/3"]
    assert await storage.head("a/1") is None


async def test_deleting_what_is_not_there_is_fine(storage: Storage):
    await storage.put_bytes(KEY, b"1", "text/plain")
    await storage.delete(KEY)
    await storage.delete(KEY)
    assert await storage.head(KEY) is None


async def test_concurrent_writers_of_one_key_leave_one_whole_object(storage: Storage):
    contents = [bytes([letter]) * 10_000 for letter in b"abcd"]
    await asyncio.gather(*(storage.put_bytes(KEY, content, "text/plain") for content in contents))
    stored = await storage.get_bytes(KEY)
    head = await storage.head(KEY)
    assert stored in contents
    assert head is not None
    assert head.sha256 == hashlib.sha256(stored).hexdigest()


async def test_a_reachable_store_checks_out(storage: Storage):
    assert await storage.check() is None  # type: ignore[func-returns-value]
