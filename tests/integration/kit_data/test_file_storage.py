"""The file store beyond the contract: it checks signed requests itself, and keeps its folder in order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from onevoice_kit.errors import Forbidden, InvalidInput, NotFound, Unavailable
from onevoice_kit.storage.base import UploadedPart
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.storage.signing import Grant
from onevoice_kit.testing.storage import file_storage as open_file_storage

KEY = "users/u1/film.mp4"
DATA = b"film" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def _query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


async def _put_query(storage: FileStorage, **changes: object) -> dict[str, str]:
    fields = {"size": len(DATA), "sha256": SHA256, "content_type": "video/mp4", "expires_s": 60} | changes
    return _query((await storage.sign_put(KEY, **fields)).url)  # type: ignore[arg-type]


def _files(storage_root: Path) -> list[str]:
    return sorted(path.relative_to(storage_root).as_posix() for path in storage_root.rglob("*") if path.is_file())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the `file_storage` fixture."""
    return tmp_path / "objects"


async def test_a_signed_address_names_the_request_it_allows(file_storage: FileStorage):
    upload = await file_storage.sign_put(KEY, size=4000, sha256=SHA256, content_type="video/mp4", expires_s=60)
    assert urlsplit(upload.url).path == f"/storage/{KEY}"
    grant = file_storage.verify_signature("PUT", KEY, _query(upload.url))
    assert (grant.method, grant.key, grant.size, grant.sha256) == ("PUT", KEY, 4000, SHA256)
    assert grant.content_type == "video/mp4"


@pytest.mark.parametrize(
    "tamper",
    [
        lambda query: query | {"size": "999999"},
        lambda query: query | {"sha256": "0" * 64},
        lambda query: query | {"type": "text/html"},
        lambda query: query | {"expires": "99999999999"},
        lambda query: query | {"part": "1"},
        lambda query: query | {"filename": "x.exe"},
        lambda query: {name: value for name, value in query.items() if name != "sha256"},
        lambda query: {name: value for name, value in query.items() if name != "signature"},
        lambda query: query | {"signature": "ü"},
        lambda query: {},
    ],
)
async def test_a_changed_parameter_makes_the_signature_invalid(
    file_storage: FileStorage, tamper: Callable[[dict[str, str]], dict[str, str]]
):
    query = tamper(await _put_query(file_storage))
    with pytest.raises(Forbidden) as caught:
        file_storage.verify_signature("PUT", KEY, query)
    assert caught.value.reason == "invalid_signature"


async def test_a_signature_holds_for_one_method_and_one_key(file_storage: FileStorage):
    query = await _put_query(file_storage)
    for method, key in (("GET", KEY), ("DELETE", KEY), ("PUT", "users/u2/film.mp4")):
        with pytest.raises(Forbidden):
            file_storage.verify_signature(method, key, query)


async def test_a_download_may_also_be_requested_by_head(file_storage: FileStorage):
    query = _query(await file_storage.sign_get(KEY, 60, filename="Mi película.mp4"))
    assert file_storage.verify_signature("HEAD", KEY, query).filename == "Mi película.mp4"
    assert file_storage.verify_signature("GET", KEY, query).method == "GET"


async def test_an_address_of_another_deployment_is_not_valid(file_storage: FileStorage):
    from onevoice_kit.storage.signing import UrlSigner

    foreign = UrlSigner(b"another key", "http://elsewhere/storage").url(Grant("GET", KEY, 99999999999))
    with pytest.raises(Forbidden):
        file_storage.verify_signature("GET", KEY, _query(foreign))


async def test_an_address_ends_with_its_time(tmp_path: Path):
    clock = [1_000.0]
    storage = open_file_storage(tmp_path, now=lambda: clock[0])
    query = _query(await storage.sign_get(KEY, 60))
    clock[0] = 1_059.0
    assert storage.verify_signature("GET", KEY, query).key == KEY
    clock[0] = 1_060.0
    with pytest.raises(Forbidden) as caught:
        storage.verify_signature("GET", KEY, query)
    assert caught.value.reason == "expired_signature"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([DATA[:-1]], "size_mismatch"),
        ([DATA, b"x"], "size_mismatch"),
        ([], "size_mismatch"),
        ([b"x" * len(DATA)], "checksum_mismatch"),
    ],
)
async def test_a_body_that_is_not_as_signed_leaves_nothing(
    file_storage: FileStorage, root: Path, body: list[bytes], reason: str
):
    grant = file_storage.verify_signature("PUT", KEY, await _put_query(file_storage))
    with pytest.raises(InvalidInput) as caught:
        await file_storage.receive(grant, _chunks(*body))
    assert caught.value.reason == reason
    assert _files(root) == []


async def test_an_endless_body_is_cut_off_at_the_signed_size(file_storage: FileStorage):
    taken, far_too_much = 0, 100 * len(DATA) // 1000

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < far_too_much:
            taken += 1
            yield b"x" * 1000

    grant = file_storage.verify_signature("PUT", KEY, await _put_query(file_storage))
    with pytest.raises(InvalidInput):
        await file_storage.receive(grant, endless())
    assert taken == len(DATA) // 1000 + 1


async def test_a_client_that_breaks_off_leaves_nothing_and_keeps_the_old_object(file_storage: FileStorage, root: Path):
    await file_storage.put_bytes(KEY, b"old", "video/mp4")

    async def breaks_off() -> AsyncIterator[bytes]:
        yield DATA[:10]
        raise ConnectionResetError

    grant = file_storage.verify_signature("PUT", KEY, await _put_query(file_storage))
    with pytest.raises(ConnectionResetError):
        await file_storage.receive(grant, breaks_off())
    assert await file_storage.get_bytes(KEY) == b"old"
    assert _files(root) == [f".facts/{KEY}", KEY]


async def test_a_part_of_an_aborted_upload_is_refused(file_storage: FileStorage, root: Path):
    upload_id = await file_storage.start_multipart(KEY, "video/mp4")
    query = _query((await file_storage.sign_part(KEY, upload_id, 1, size=3, expires_s=60)).url)
    grant = file_storage.verify_signature("PUT", KEY, query)
    etag = await file_storage.receive(grant, _chunks(b"one"))
    await file_storage.abort_multipart(KEY, upload_id)
    with pytest.raises(NotFound) as caught:
        await file_storage.receive(grant, _chunks(b"one"))
    assert caught.value.reason == "upload_not_found"
    with pytest.raises(NotFound):
        await file_storage.complete_multipart(KEY, upload_id, [UploadedPart(1, etag)])
    assert _files(root) == []


async def test_an_upload_belongs_to_its_key(file_storage: FileStorage):
    upload_id = await file_storage.start_multipart(KEY, "video/mp4")
    grant = Grant("PUT", "users/u2/film.mp4", 0, size=3, upload_id=upload_id, part=1)
    with pytest.raises(NotFound):
        await file_storage.receive(grant, _chunks(b"one"))
    await file_storage.abort_multipart("users/u2/film.mp4", upload_id)
    etag = await file_storage.receive(Grant("PUT", KEY, 0, size=3, upload_id=upload_id, part=1), _chunks(b"one"))
    await file_storage.complete_multipart(KEY, upload_id, [UploadedPart(1, etag)])
    assert await file_storage.get_bytes(KEY) == b"one"


@pytest.mark.parametrize("upload_id", ["", "..", "../../etc", "0" * 32])
async def test_an_unknown_upload_is_not_found(file_storage: FileStorage, upload_id: str):
    with pytest.raises(NotFound):
        await file_storage.complete_multipart(KEY, upload_id, [UploadedPart(1, "x")])
    await file_storage.abort_multipart(KEY, upload_id)


async def test_what_uploads_left_behind_is_swept_once_it_is_old(file_storage: FileStorage, root: Path):
    await file_storage.put_bytes(KEY, b"stays", "video/mp4")
    await file_storage.start_multipart(KEY, "video/mp4")
    (root / ".temp" / "left").write_bytes(b"crashed")
    assert await file_storage.sweep(3600) == 0
    for entry in [*(root / ".temp").iterdir(), *(root / ".parts").iterdir()]:
        os.utime(entry, (0, 0))
    assert await file_storage.sweep(3600) == 2
    assert _files(root) == [f".facts/{KEY}", KEY]


async def test_facts_about_another_state_of_a_file_are_not_believed(file_storage: FileStorage, root: Path):
    await file_storage.put_bytes(KEY, b"one", "video/mp4")
    (root / KEY).write_bytes(b"two")  # a restored backup, or a crash between two moves
    head = await file_storage.head(KEY)
    assert head is not None
    assert head.sha256 == hashlib.sha256(b"two").hexdigest()


async def test_deleting_takes_empty_folders_along(file_storage: FileStorage, root: Path):
    await file_storage.put_bytes(KEY, b"1", "video/mp4")
    await file_storage.put_bytes("users/u2/film.mp4", b"1", "video/mp4")
    await file_storage.delete_prefix("users/u1")
    assert not (root / "users/u1").exists()
    assert await file_storage.local_path("users/u2/film.mp4") == root / "users/u2/film.mp4"


async def test_hidden_folders_are_no_objects(file_storage: FileStorage):
    await file_storage.start_multipart(KEY, "video/mp4")
    await file_storage.put_bytes("a", b"1", "text/plain")
    assert [key async for key in file_storage.list("")] == ["a"]


async def test_an_object_cannot_lie_inside_another_object(file_storage: FileStorage):
    await file_storage.put_bytes("a", b"1", "text/plain")
    with pytest.raises(InvalidInput) as caught:
        await file_storage.put_bytes("a/b", b"1", "text/plain")
    assert caught.value.reason == "invalid_key"
    assert await file_storage.head("a/b") is None


async def test_a_folder_that_cannot_be_used_makes_the_store_unavailable(tmp_path: Path):
    storage = open_file_storage(Path("/proc/no-such-folder"))
    with pytest.raises(Unavailable) as caught:
        await storage.check()
    assert caught.value.reason == "storage_unavailable"
