"""Bodies of videos."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from services.gateway.schemas import Language, Model, Output, Text
from services.gateway.uploads.schemas import FileIn, MultipartOut, RequestOut
from services.gateway.videos.repository import Video, VideoStatus

Title = Annotated[Text, Field(min_length=1, max_length=200, examples=["Opening talk"])]


class VideoIn(FileIn):
    """A video to upload."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": "Opening talk",
                    "filename": "talk.mp4",
                    "content_type": "video/mp4",
                    "size": 73400320,
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "source_language": "en",
                }
            ]
        }
    )
    title: Title | None = Field(default=None, description="The file's name where it is left out.")
    source_language: Language | None = Field(default=None, description="Language that is spoken in the video.")


class VideoPatch(Model):
    """The fields to change."""

    title: Title | None = None
    source_language: Language | None = None


class Rejection(Output):
    """The reason for which a video cannot be dubbed."""

    reason: str = Field(examples=["no_audio"])
    message: str = Field(examples=["The video has no sound."])


class VideoOut(Output):
    """A video. `duration_ms`, `width`, `height` and `has_audio` are known once it is `ready`."""

    id: UUID
    title: str
    filename: str
    status: VideoStatus
    content_type: str
    size: int
    sha256: str
    duration_ms: int | None
    width: int | None
    height: int | None
    has_audio: bool | None
    source_language: str | None
    rejection: Rejection | None
    created_at: datetime

    @classmethod
    def of(cls, video: Video) -> Self:
        """From the stored video."""
        rejection = None
        if video.rejection_reason is not None:
            rejection = Rejection(reason=video.rejection_reason, message=video.rejection_message or "")
        plain = {name: getattr(video, name) for name in cls.model_fields if name != "rejection"}
        return cls(**plain, rejection=rejection)


class VideoCreated(Output):
    """A new video and how to send its file: either `upload` or `multipart` is set."""

    video: VideoOut
    upload: RequestOut | None
    multipart: MultipartOut | None
    expires_at: datetime


class SignedUrl(Output):
    """An address that works without credentials until it expires."""

    url: str
    expires_at: datetime

    @classmethod
    def of(cls, url: str, expires_s: int) -> Self:
        """From an address that was signed just now."""
        return cls(url=url, expires_at=datetime.now(UTC) + timedelta(seconds=expires_s))
