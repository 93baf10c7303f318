"""The contract of stores: uploads by clients. (The local S3 enforces no signatures; see the S3 tests for those.)"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from onevoice_kit.errors import InvalidInput
from onevoice_kit.storage.base import ObjectRef, SignedUpload, Storage, UploadedPart
from onevoice_kit.storage.file import FileStorage

KEY = "users/u1/uploads/film.mp4"
PART = 5 << 20
"""S3 takes no smaller part, except the last."""


async def _send(storage: Storage, upload: SignedUpload, data: bytes) -> str:
    """Does what a client does; returns the etag."""
    if isinstance(storage, FileStorage):
        url = urlsplit(upload.url)
        key = url.path.removeprefix("/storage/")
        return await storage.receive(storage.verify_signature("PUT", key, dict(parse_qsl(url.query))), _chunks(data))
    async with httpx.AsyncClient() as client:
        response = await client.request(upload.method, upload.url, content=data, headers=dict(upload.headers))
        assert response.status_code == 200, response.text
        return response.headers["etag"]


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 65_536):
        yield data[start : start + 65_536]


async def _signed(storage: Storage, data: bytes) -> SignedUpload:
    sha256 = hashlib.sha256(data).hexdigest()
    return await storage.sign_put(KEY, size=len(data), sha256=sha256, content_type="video/mp4", expires_s=60)


async def test_an_upload_has_no_checksum_until_it_is_verified(storage: Storage):
    data = b"film" * 50_000
    await _send(storage, await _signed(storage, data), data)
    unverified = await storage.head(KEY)
    assert unverified is not None
    assert (unverified.sha256, unverified.size) == ("", len(data))
    verified = await storage.verify(KEY, "video/quicktime")
    assert verified.sha256 == hashlib.sha256(data).hexdigest()
    assert verified.size == len(data)
    assert verified.content_type == "video/quicktime"
    assert await storage.head(KEY) == verified


async def test_a_new_upload_takes_the_verification_away(storage: Storage):
    await _send(storage, await _signed(storage, b"first"), b"first")
    await storage.verify(KEY, "video/mp4")
    await _send(storage, await _signed(storage, b"second"), b"second")
    head = await storage.head(KEY)
    assert head is not None
    assert head.sha256 == ""


async def test_parts_are_joined_in_order(storage: Storage):
    parts = [b"a" * PART, b"b" * PART, b"end"]
    upload_id = await storage.start_multipart(KEY, "video/mp4")
    sent = []
    for number, data in reversed(list(enumerate(parts, start=1))):
        upload = await storage.sign_part(KEY, upload_id, number, size=len(data), expires_s=60)
        sent.append(UploadedPart(number, await _send(storage, upload, data)))
    await storage.complete_multipart(KEY, upload_id, sorted(sent, key=lambda part: part.number))
    ref = await storage.verify(KEY, "video/mp4")
    expected = hashlib.sha256(b"".join(parts)).hexdigest()
    # S3 has no SHA-256 of the whole; then the content is compared by the one that opens it.
    assert ref.sha256 == (expected if isinstance(storage, FileStorage) else "")
    assert ref.content_type == "video/mp4"
    async with storage.open_local(replace(ref, sha256=expected)) as path:
        assert path.stat().st_size == ref.size
    with pytest.raises(InvalidInput, match="not the one"):
        async with storage.open_local(replace(ref, sha256="0" * 64)):
            pass


async def test_a_part_sent_again_replaces_the_first(storage: Storage):
    upload_id = await storage.start_multipart(KEY, "video/mp4")
    upload = await storage.sign_part(KEY, upload_id, 1, size=3, expires_s=60)
    await _send(storage, upload, b"one")
    etag = await _send(storage, upload, b"two")
    await storage.complete_multipart(KEY, upload_id, [UploadedPart(1, etag)])
    assert await storage.get_bytes(KEY) == b"two"


@pytest.mark.parametrize("wrong", ["missing part", "wrong etag", "no parts"])
async def test_parts_that_are_not_as_sent_are_refused(storage: Storage, wrong: str):
    upload_id = await storage.start_multipart(KEY, "video/mp4")
    upload = await storage.sign_part(KEY, upload_id, 1, size=3, expires_s=60)
    etag = await _send(storage, upload, b"one")
    other = '"' + "0" * len(etag.strip('"')) + '"'
    parts = {
        "missing part": [UploadedPart(1, etag), UploadedPart(2, etag)],
        "wrong etag": [UploadedPart(1, other)],
        "no parts": [],
    }[wrong]
    with pytest.raises(InvalidInput) as caught:
        await storage.complete_multipart(KEY, upload_id, parts)
    assert caught.value.reason == "invalid_parts"
    assert await storage.head(KEY) is None


async def test_an_upload_can_be_aborted_more_than_once(storage: Storage):
    upload_id = await storage.start_multipart(KEY, "video/mp4")
    upload = await storage.sign_part(KEY, upload_id, 1, size=3, expires_s=60)
    await _send(storage, upload, b"one")
    await storage.abort_multipart(KEY, upload_id)
    await storage.abort_multipart(KEY, upload_id)
    assert await storage.head(KEY) is None


async def test_joined_parts_are_held_to_their_reference_before_they_are_verified(storage: Storage):
    upload = await storage.start_multipart(KEY, "video/mp4")
    etag = await _send(storage, await storage.sign_part(KEY, upload, 1, size=5, expires_s=60), b"parts")
    await storage.complete_multipart(KEY, upload, [UploadedPart(1, etag)])
    right = ObjectRef(storage.uri(KEY), hashlib.sha256(b"parts").hexdigest(), 5, "video/mp4")
    async with storage.open_local(right) as path:
        assert path.read_bytes() == b"parts"
    with pytest.raises(InvalidInput) as caught:
        async with storage.open_local(replace(right, sha256=hashlib.sha256(b"strap").hexdigest())):
            pass
    assert caught.value.reason == "checksum_mismatch"
