"""Bodies of uploads."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from onevoice_kit.storage.base import SignedUpload, UploadedPart
from services.gateway.schemas import ContentType, Filename, Model, Output, Sha256, Size
from services.gateway.uploads.repository import Upload, UploadKind, UploadStatus
from services.gateway.uploads.transfers import Announcement, SignedPart, Transfer

_EXAMPLE_SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class FileIn(Model):
    """The file that will be sent."""

    filename: Filename
    content_type: ContentType
    size: Size
    sha256: Sha256

    def announcement(self) -> Announcement:
        """As the transfers take it."""
        return Announcement(self.filename, self.content_type, self.size, self.sha256)


class UploadIn(FileIn):
    """A file to upload."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "subtitle",
                    "filename": "talk.en.srt",
                    "content_type": "application/x-subrip",
                    "size": 4820,
                    "sha256": _EXAMPLE_SHA,
                }
            ]
        }
    )
    kind: UploadKind


class PartIn(Model):
    """A part that has been sent."""

    number: Annotated[int, Field(ge=1, le=10_000, examples=[1])]
    etag: Annotated[
        str,
        Field(
            pattern=r'^"?[A-Za-z0-9-]{1,128}"?$',
            description="The `ETag` header of the response.",
            examples=['"5d41402a"'],
        ),
    ]


class CompleteIn(Model):
    """The file has been sent. `parts` only after a multipart upload: each part once, in order."""

    parts: Annotated[tuple[PartIn, ...], Field(max_length=10_000)] = ()

    def uploaded(self) -> list[UploadedPart]:
        """As the storage takes them."""
        return [UploadedPart(part.number, part.etag) for part in self.parts]


class RequestOut(Output):
    """A request to make, exactly so: method, address, headers, and form fields before the file for `POST`."""

    method: str = Field(examples=["PUT"])
    url: str = Field(examples=["https://storage.example/users/…?signature=…"])
    headers: dict[str, str] = Field(examples=[{"Content-Type": "video/mp4"}])
    fields: dict[str, str] = Field(examples=[{}])

    @classmethod
    def of(cls, request: SignedUpload) -> Self:
        """From the storage's answer."""
        return cls(method=request.method, url=request.url, headers=dict(request.headers), fields=dict(request.fields))


class PartOut(RequestOut):
    """The request that sends one part; remember the `ETag` header of its answer."""

    number: int = Field(examples=[1])
    size: int = Field(description="Bytes of this part.", examples=[16777216])

    @classmethod
    def of_part(cls, part: SignedPart) -> Self:
        """From the storage's answer."""
        return cls(number=part.number, size=part.size, **RequestOut.of(part.request).model_dump())


class MultipartOut(Output):
    """The requests that send a large file in parts, in any order, several at a time."""

    upload: list[PartOut]
    part_size: int = Field(examples=[16777216])


class TransferOut(Output):
    """The requests that send the file: either `upload` or `multipart` is set."""

    upload: RequestOut | None
    multipart: MultipartOut | None
    expires_at: datetime

    @classmethod
    def of_transfer(cls, transfer: Transfer, expires_at: datetime) -> Self:
        """From the signed requests."""
        return cls(**transfer_fields(transfer), expires_at=expires_at)


def transfer_fields(transfer: Transfer) -> dict[str, RequestOut | MultipartOut | None]:
    """The two fields of a transfer."""
    if transfer.part_size is None:
        return {"upload": None if transfer.single is None else RequestOut.of(transfer.single), "multipart": None}
    parts = [PartOut.of_part(part) for part in transfer.parts]
    return {"upload": None, "multipart": MultipartOut(upload=parts, part_size=transfer.part_size)}


class UploadOut(TransferOut):
    """An upload that has begun."""

    id: UUID
    kind: UploadKind
    status: UploadStatus


class UploadedOut(Output):
    """A file that has arrived and is what was announced."""

    id: UUID
    kind: UploadKind
    status: UploadStatus
    size: int
    sha256: str
    content_type: str

    @classmethod
    def of(cls, upload: Upload) -> Self:
        """From the stored upload."""
        return cls(
            id=upload.id,
            kind=upload.kind,
            status=upload.status,
            size=upload.size,
            sha256=upload.sha256,
            content_type=upload.content_type,
        )
