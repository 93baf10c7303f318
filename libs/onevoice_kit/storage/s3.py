"""Storage in an S3 bucket."""

from __future__ import annotations

import asyncio
import base64
import builtins
import hashlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from onevoice_kit.aws import AwsClient, aws_errors
from onevoice_kit.errors import InvalidInput, NotFound, OneVoiceError, Unavailable
from onevoice_kit.settings import StorageSettings
from onevoice_kit.storage.base import ObjectRef, SignedUpload, UploadedPart, check_key, content_disposition
from onevoice_kit.storage.s3_upload import ENCRYPTION, put_object, sending, sha256_of_file, upload_file

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

_CHUNK = 1 << 20
_DOWNLOADS = 3
"""Attempts of a download; botocore retries requests, not bodies that break off."""


class S3Storage:
    """
    The storage port on a bucket (see `base.Storage`).

    The SHA-256 of what we write lies in the object's metadata. What a client uploads in one request S3 itself compares
    with the signed checksum, and `verify` records it as tags: those can be set later without copying the object, and a
    later upload under the same key loses them. Of an upload in parts S3 has no SHA-256 of the whole.
    Signed URLs end at the latest when the credentials of the process do.
    """

    def __init__(self, settings: StorageSettings) -> None:
        self._bucket = settings.s3_bucket
        self._prefix = f"s3://{settings.s3_bucket}/"
        self._client: AwsClient[S3Client] = AwsClient("s3", settings)
        self._patience_s = settings.aws_max_attempts * settings.aws_read_timeout_s

    def uri(self, key: str) -> str:
        return self._prefix + check_key(key)

    def key(self, uri: str) -> str:
        if not uri.startswith(self._prefix):
            raise InvalidInput("This object is not one of this store.", reason="foreign_uri")
        return check_key(uri.removeprefix(self._prefix))

    async def head(self, key: str) -> ObjectRef | None:
        check_key(key)
        client = await self._client.get()
        try:
            with _errors():
                answer = await client.head_object(Bucket=self._bucket, Key=key)
                facts: dict[str, str] = dict(answer["Metadata"])
                if "sha256" not in facts:
                    tags = await client.get_object_tagging(Bucket=self._bucket, Key=key)
                    facts = {tag["Key"]: tag["Value"] for tag in tags["TagSet"]}
        except NotFound:
            return None
        content_type = facts.get("content-type", answer["ContentType"])
        return ObjectRef(self.uri(key), facts.get("sha256", ""), answer["ContentLength"], content_type)

    async def put_file(self, key: str, path: Path, content_type: str) -> ObjectRef:
        check_key(key)
        sha256 = await asyncio.to_thread(sha256_of_file, path)
        client = await self._client.get()
        with _errors():
            size = await upload_file(client, self._bucket, key, path, content_type, sha256, patience_s=self._patience_s)
        return ObjectRef(self.uri(key), sha256, size, content_type)

    async def put_bytes(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        check_key(key)
        sha256 = hashlib.sha256(data).hexdigest()
        client = await self._client.get()
        with _errors():
            async with sending(len(data), self._patience_s):
                await put_object(client, self._bucket, key, data, content_type, sha256)
        return ObjectRef(self.uri(key), sha256, len(data), content_type)

    async def get_bytes(self, key: str, max_bytes: int = 16 << 20) -> bytes:
        with _errors():
            answer = await self._get(key)
            async with answer["Body"] as body:
                if answer["ContentLength"] > max_bytes:
                    raise InvalidInput("The object is too large to be read at once.", reason="object_too_large")
                data: bytes = await body.read()
                return data

    @asynccontextmanager
    async def open_local(self, ref: ObjectRef) -> AsyncIterator[Path]:
        key = self.key(ref.uri)
        folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="onevoice-object-")
        try:
            path = Path(folder.name) / ("object" + PurePosixPath(key).suffix)
            await self._download(key, path, ref)
            yield path
        finally:
            await asyncio.to_thread(folder.cleanup)

    async def stream(self, key: str, chunk_bytes: int = 1 << 20) -> AsyncIterator[bytes]:
        with _errors():
            answer = await self._get(key)
            async with answer["Body"] as body:
                async for chunk in body.iter_chunks(chunk_bytes):
                    yield chunk

    async def verify(self, key: str, content_type: str) -> ObjectRef:
        client = await self._client.get()
        with _errors():
            answer = await client.head_object(Bucket=self._bucket, Key=check_key(key), ChecksumMode="ENABLED")
            sha256 = answer["Metadata"].get("sha256") or _hexadecimal(answer.get("ChecksumSHA256", ""))
            facts = {"sha256": sha256, "content-type": content_type.partition(";")[0].strip()}
            size = answer["ContentLength"]
            await client.put_object_tagging(
                Bucket=self._bucket,
                Key=key,
                Tagging={"TagSet": [{"Key": name, "Value": value} for name, value in facts.items()]},
            )
        return ObjectRef(self.uri(key), facts["sha256"], size, facts["content-type"])

    async def delete(self, key: str) -> None:
        client = await self._client.get()
        with _errors():
            await client.delete_object(Bucket=self._bucket, Key=check_key(key))

    async def delete_prefix(self, prefix: str) -> int:
        deleted = 0
        async for page in self._pages(prefix):
            client = await self._client.get()
            objects: Any = [{"Key": key} for key in page]
            with _errors():
                answer = await client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
            if answer.get("Errors"):
                raise Unavailable("The storage did not delete all objects.", reason="storage_unavailable")
            deleted += len(page)
        return deleted

    async def list(self, prefix: str) -> AsyncIterator[str]:
        async for page in self._pages(prefix):
            for key in page:
                yield key

    async def page(self, prefix: str, after: str, limit: int = 1000) -> builtins.list[tuple[str, datetime]]:
        """Up to 1,000 keys under `prefix/` that sort behind `after`, and when their objects were written."""
        client = await self._client.get()
        with _errors():
            found = await client.list_objects_v2(
                Bucket=self._bucket, Prefix=check_key(prefix) + "/", StartAfter=after, MaxKeys=limit
            )
        return [(entry["Key"], entry["LastModified"]) for entry in found.get("Contents", ())]

    async def sign_get(self, key: str, expires_s: int, *, filename: str | None = None) -> str:
        disposition = {"ResponseContentDisposition": content_disposition(filename)} if filename else {}
        return await self._sign("get_object", expires_s, Key=check_key(key), **disposition)

    async def sign_put(self, key: str, *, size: int, sha256: str, content_type: str, expires_s: int) -> SignedUpload:
        # All of these are signed, so S3 itself refuses another length, content or type.
        headers = {
            "Content-Length": str(size),
            "Content-Type": content_type,
            "x-amz-checksum-sha256": _base64(sha256),
            "x-amz-sdk-checksum-algorithm": "SHA256",
            "x-amz-server-side-encryption": ENCRYPTION,
        }
        url = await self._sign(
            "put_object",
            expires_s,
            Key=check_key(key),
            ContentLength=size,
            ContentType=content_type,
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=headers["x-amz-checksum-sha256"],
            ServerSideEncryption=ENCRYPTION,
        )
        return SignedUpload("PUT", url, headers=headers)

    async def start_multipart(self, key: str, content_type: str) -> str:
        client = await self._client.get()
        with _errors():
            answer = await client.create_multipart_upload(
                Bucket=self._bucket, Key=check_key(key), ContentType=content_type, ServerSideEncryption=ENCRYPTION
            )
        return answer["UploadId"]

    async def sign_part(self, key: str, upload_id: str, number: int, *, size: int, expires_s: int) -> SignedUpload:
        part = {"Key": check_key(key), "UploadId": upload_id, "PartNumber": number, "ContentLength": size}
        url = await self._sign("upload_part", expires_s, **part)
        return SignedUpload("PUT", url, headers={"Content-Length": str(size)})

    async def complete_multipart(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        if not parts:
            raise _invalid_parts()
        client = await self._client.get()
        with _errors():
            await client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=check_key(key),
                UploadId=upload_id,
                MultipartUpload={"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]},
            )

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        client = await self._client.get()
        try:
            with _errors():
                await client.abort_multipart_upload(Bucket=self._bucket, Key=check_key(key), UploadId=upload_id)
        except NotFound:
            return

    async def check(self) -> None:
        client = await self._client.get()
        try:
            with _errors():
                await client.head_bucket(Bucket=self._bucket)
        except OneVoiceError as error:
            raise Unavailable("The storage cannot be reached.", reason="storage_unavailable") from error

    async def close(self) -> None:
        await self._client.close()

    async def _get(self, key: str) -> Any:
        client = await self._client.get()
        return await client.get_object(Bucket=self._bucket, Key=check_key(key))

    async def _sign(self, operation: str, expires_s: int, **parameters: Any) -> str:
        client: Any = await self._client.get()
        with _errors():
            parameters["Bucket"] = self._bucket
            return str(await client.generate_presigned_url(operation, Params=parameters, ExpiresIn=expires_s))

    async def _pages(self, prefix: str) -> AsyncIterator[builtins.list[str]]:
        client = await self._client.get()
        start = check_key(prefix) + "/" if prefix else ""
        with _errors():
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=start)
            async for page in pages:
                if keys := [entry["Key"] for entry in page.get("Contents", ())]:
                    yield keys

    async def _download(self, key: str, path: Path, ref: ObjectRef) -> None:
        for attempt in range(_DOWNLOADS):
            try:
                sha256, size = await self._download_once(key, path)
                break
            except Unavailable:
                if attempt == _DOWNLOADS - 1:
                    raise
        if size != ref.size or (ref.sha256 and sha256 != ref.sha256):
            raise InvalidInput("The object is not the one that was referred to.", reason="checksum_mismatch")

    async def _download_once(self, key: str, path: Path) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0

        def write(chunk: bytes) -> None:
            digest.update(chunk)
            file.write(chunk)

        with path.open("wb") as file:
            async for chunk in self.stream(key, _CHUNK):
                await asyncio.to_thread(write, chunk)
                size += len(chunk)
        return digest.hexdigest(), size


def _errors() -> Any:
    return aws_errors("storage", _known)


def _known(code: str) -> OneVoiceError | None:
    if code in ("NoSuchKey", "404", "NotFound"):
        return NotFound("There is no such object.", reason="object_not_found")
    if code == "NoSuchUpload":
        return NotFound("There is no such upload.", reason="upload_not_found")
    if code in ("InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML"):
        return _invalid_parts()
    return None


def _invalid_parts() -> InvalidInput:
    return InvalidInput("A part of the upload is missing or differs from what was sent.", reason="invalid_parts")


def _hexadecimal(checksum: str) -> str:
    """A checksum of S3 as hexadecimal; empty for one of a multipart upload, which is not that of the content."""
    return "" if "-" in checksum else base64.b64decode(checksum).hex()


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()
