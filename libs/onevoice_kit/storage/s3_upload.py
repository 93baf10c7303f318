"""Uploading a local file to S3: small ones in one request, large ones in parts."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

ENCRYPTION: Final[Literal["AES256"]] = "AES256"
PART_BYTES = 16 << 20
_PARALLEL_PARTS = 4
"""Parts in memory at once, so at most 64 MiB for files up to 150 GB."""
_MAX_PARTS = 9_000
"""S3 takes 10,000."""
_SLOWEST_BYTES_PER_S = 64 << 10


def sending(size: int, patience_s: float) -> asyncio.Timeout:
    """Bounds a request that sends `size` bytes, its retries included: aiohttp itself waits for ever while it sends."""
    return asyncio.timeout(patience_s + size / _SLOWEST_BYTES_PER_S)


def sha256_of_file(path: Path) -> str:
    """The checksum of a file; blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def upload_file(
    client: S3Client, bucket: str, key: str, path: Path, content_type: str, sha256: str, *, patience_s: float
) -> int:
    """Stores the file with its checksum as metadata; returns its size. Nothing is left of an upload that fails."""
    size = (await asyncio.to_thread(path.stat)).st_size
    if size <= PART_BYTES:
        body = await asyncio.to_thread(path.read_bytes)
        async with sending(size, patience_s):
            await put_object(client, bucket, key, body, content_type, sha256)
        return size
    started = await client.create_multipart_upload(
        Bucket=bucket,
        Key=key,
        ContentType=content_type,
        ServerSideEncryption=ENCRYPTION,
        Metadata={"sha256": sha256},
    )
    upload_id = started["UploadId"]
    try:
        parts = await _upload_parts(client, bucket, key, upload_id, path, size, patience_s)
        await client.complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
        )
    except BaseException:
        await client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        raise
    return size


async def put_object(client: S3Client, bucket: str, key: str, body: bytes, content_type: str, sha256: str) -> None:
    """Stores bytes with their checksum as metadata, in one request."""
    await client.put_object(
        Bucket=bucket,
        Key=key,
        Body=body,
        ContentType=content_type,
        ServerSideEncryption=ENCRYPTION,
        ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
        Metadata={"sha256": sha256},
    )


async def _upload_parts(
    client: S3Client, bucket: str, key: str, upload_id: str, path: Path, size: int, patience_s: float
) -> list[CompletedPartTypeDef]:
    part_bytes = max(PART_BYTES, -(-size // _MAX_PARTS))
    room = asyncio.Semaphore(_PARALLEL_PARTS)

    async def upload(number: int) -> CompletedPartTypeDef:
        async with room:
            body = await asyncio.to_thread(_read, path, (number - 1) * part_bytes, part_bytes)
            async with sending(len(body), patience_s):
                answer = await client.upload_part(
                    Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
                )
            return {"PartNumber": number, "ETag": answer["ETag"]}

    count = -(-size // part_bytes)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(upload(number)) for number in range(1, count + 1)]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [task.result() for task in tasks]


def _read(path: Path, offset: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(count)
