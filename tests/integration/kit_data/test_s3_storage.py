"""The S3 store beyond the contract: encryption, signed headers, parts, and AWS's own errors."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from onevoice_kit.errors import Internal, InvalidInput, Kind, NotFound, OneVoiceError, Unavailable
from onevoice_kit.storage.base import UploadedPart
from onevoice_kit.storage.s3 import S3Storage
from onevoice_kit.storage.s3_upload import PART_BYTES
from onevoice_local.aws import Aws, AwsServer

KEY = "users/u1/film.mp4"


@pytest.fixture
async def storage(aws: Aws) -> AsyncIterator[S3Storage]:
    """The store on an empty bucket."""
    storage = S3Storage(aws.storage_settings())
    yield storage
    await storage.close()


@contextmanager
def _answering(status: int, body: str) -> Iterator[str]:
    """The address of a server that answers every request like this."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815 - http.server's names

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _error(code: str) -> str:
    """The body of an S3 error, as AWS documents it."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>secret detail</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>"
    )


@pytest.mark.parametrize(
    ("status", "code", "kind", "reason"),
    [
        (404, "NoSuchUpload", Kind.NOT_FOUND, "upload_not_found"),
        (400, "InvalidPart", Kind.INVALID_INPUT, "invalid_parts"),
        (400, "InvalidPartOrder", Kind.INVALID_INPUT, "invalid_parts"),
        (400, "EntityTooSmall", Kind.INVALID_INPUT, "invalid_parts"),
        (403, "AccessDenied", Kind.INTERNAL, "storage_refused"),
        (503, "SlowDown", Kind.UNAVAILABLE, "storage_unavailable"),
    ],
)
async def test_an_answer_of_aws_becomes_an_error_of_the_kit(aws: Aws, status: int, code: str, kind: Kind, reason: str):
    with _answering(status, _error(code)) as address:
        storage = S3Storage(aws.storage_settings().model_copy(update={"aws_endpoint_url": address}))
        with pytest.raises(OneVoiceError) as caught:
            await storage.complete_multipart(KEY, "an-upload", [UploadedPart(1, '"x"')])
        await storage.close()
    assert (caught.value.kind, caught.value.reason) == (kind, reason)
    assert "secret" not in caught.value.message


async def test_a_bucket_that_cannot_be_reached_is_unavailable(aws: Aws):
    for change in ({"aws_endpoint_url": "http://127.0.0.1:1"}, {"s3_bucket": "no-such-bucket"}):
        storage = S3Storage(aws.storage_settings().model_copy(update=change))
        with pytest.raises(Unavailable):
            await storage.check()
        await storage.close()


async def test_wrong_rights_are_our_fault_not_the_users(aws: Aws):
    with _answering(403, _error("AccessDenied")) as address:
        storage = S3Storage(aws.storage_settings().model_copy(update={"aws_endpoint_url": address}))
        with pytest.raises(Internal):
            await storage.put_bytes(KEY, b"x", "text/plain")
        await storage.close()


async def test_everything_stored_is_encrypted_and_typed(
    storage: S3Storage, aws: Aws, local_aws: AwsServer, tmp_path: Path
):
    (tmp_path / "large").write_bytes(b"x" * (PART_BYTES + 1))
    await storage.put_bytes("small", b"x", "text/plain")
    await storage.put_file("large", tmp_path / "large", "video/mp4")
    heads = [local_aws.client("s3").head_object(Bucket=aws.bucket, Key=key) for key in ("small", "large")]
    assert [head["ServerSideEncryption"] for head in heads] == ["AES256", "AES256"]
    assert [head["ContentType"] for head in heads] == ["text/plain", "video/mp4"]
    assert all(len(head["Metadata"]["sha256"]) == 64 for head in heads)


async def test_a_signed_upload_binds_length_type_and_checksum(storage: S3Storage):
    upload = await storage.sign_put(KEY, size=4000, sha256="ab" * 32, content_type="video/mp4", expires_s=60)
    query = parse_qs(urlsplit(upload.url).query)
    assert query["X-Amz-Expires"] == ["60"]
    assert set(query["X-Amz-SignedHeaders"][0].split(";")) == {"host", *(name.lower() for name in upload.headers)}
    assert upload.headers["x-amz-checksum-sha256"] == "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="
    assert upload.headers["Content-Length"] == "4000"


async def test_a_signed_part_binds_its_number_and_length(storage: S3Storage):
    upload = await storage.sign_part(KEY, "an-upload", 3, size=7, expires_s=60)
    query = parse_qs(urlsplit(upload.url).query)
    assert (query["partNumber"], query["uploadId"]) == (["3"], ["an-upload"])
    assert "content-length" in query["X-Amz-SignedHeaders"][0].split(";")


async def test_a_download_carries_its_file_name(storage: S3Storage):
    query = parse_qs(urlsplit(await storage.sign_get(KEY, 60, filename="película.mp4")).query)
    assert query["response-content-disposition"][0].startswith('attachment; filename="pelicula.mp4"')


async def test_a_failed_upload_leaves_no_parts(
    storage: S3Storage, aws: Aws, local_aws: AwsServer, tmp_path: Path, monkeypatch
):
    (tmp_path / "large").write_bytes(b"x" * (2 * PART_BYTES))

    def vanishes(path: Path, offset: int, count: int) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr("onevoice_kit.storage.s3_upload._read", vanishes)
    with pytest.raises(OneVoiceError):
        await storage.put_file(KEY, tmp_path / "large", "video/mp4")
    assert "Uploads" not in local_aws.client("s3").list_multipart_uploads(Bucket=aws.bucket)
    assert await storage.head(KEY) is None


async def test_content_that_was_exchanged_is_noticed_and_its_copy_deleted(
    storage: S3Storage, aws: Aws, local_aws: AwsServer, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ref = await storage.put_bytes(KEY, b"hello", "text/plain")
    local_aws.client("s3").put_object(Bucket=aws.bucket, Key=KEY, Body=b"jello", Metadata={"sha256": ref.sha256})
    with pytest.raises(InvalidInput) as caught:
        async with storage.open_local(ref):
            pass
    assert caught.value.reason == "checksum_mismatch"
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - nothing async about a look into a test's folder


async def test_the_local_copy_lives_as_long_as_its_context(storage: S3Storage):
    ref = await storage.put_bytes(KEY, b"hello", "video/mp4")
    async with storage.open_local(ref) as path:
        assert path.exists()
    assert not path.parent.exists()


async def test_one_client_serves_concurrent_calls(storage: S3Storage):
    refs = await asyncio.gather(*(storage.put_bytes(f"k{n}", b"x", "text/plain") for n in range(20)))
    assert len(refs) == 20
    await storage.close()
    assert await storage.get_bytes("k3") == b"x"


async def test_an_unknown_object_has_no_head(storage: S3Storage):
    assert await storage.head(KEY) is None
    with pytest.raises(NotFound):
        await storage.get_bytes(KEY)
