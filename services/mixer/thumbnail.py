"""Takes a picture of a video."""

from __future__ import annotations

from dataclasses import dataclass

from onevoice_kit.errors import InvalidInput
from onevoice_kit.media_exec import Command, Ffmpeg, Input, MediaFile, Output, Workspace, bad_media
from onevoice_kit.storage.base import ObjectRef, Storage
from services.mixer.probing import KnownFacts
from services.mixer.results import Results, Work, content

_MOST_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class ThumbnailJob:
    """The picture to take."""

    source: ObjectRef
    at_ms: int
    width: int
    """Pixels; 0 means 640. The height follows."""
    output_prefix: str


class Thumbnailer:
    """Use case Thumbnail."""

    def __init__(self, storage: Storage, ffmpeg: Ffmpeg, facts: KnownFacts | None = None) -> None:
        """`ffmpeg` carries the limits; `facts` is shared by the calls of one service."""
        self._facts = facts or KnownFacts(ffmpeg)
        self._storage = storage
        self._results = Results(storage)
        self._ffmpeg = ffmpeg

    async def take(self, job: ThumbnailJob) -> ObjectRef:
        """The picture, JPEG. Raises `InvalidInput` with the reasons of a probe, `no_video`, `bad_width`."""
        width = job.width or 640
        if not 16 <= width <= 3840 or job.at_ms < 0:
            raise InvalidInput("The width is 16 to 3840 pixels and the time is not negative.", reason="bad_width")
        parameters = {"source": content(job.source), "at": job.at_ms, "width": width}
        work = Work.of(job.output_prefix, "thumbnail", parameters)
        if (known := await self._results.find(work)) is not None:
            return ObjectRef(**known["image"])
        async with self._storage.open_local(job.source) as path, self._ffmpeg.workspace() as workspace:
            picture = await self._picture(workspace, workspace.link(path), job, width)
            image = await self._results.put(work.key("jpg"), picture.path, "image/jpeg")
        await self._results.keep(work, {"image": image})
        return image

    async def _picture(self, workspace: Workspace, source: MediaFile, job: ThumbnailJob, width: int) -> MediaFile:
        facts = await self._facts.of(content(job.source), source, workspace)
        if facts.video is None:
            raise bad_media("no_video")
        at_s = max(0.0, min(job.at_ms / 1000, facts.duration_s - 0.5))
        # Past the last key frame of an odd file there may be no picture; its first one is then taken.
        for second in (at_s, 0.0):
            picture = workspace.new("jpg")
            command = _command(source, facts.video.index, second, width, picture)
            await self._ffmpeg.run(command, workspace, max_output_bytes=_MOST_BYTES)
            if picture.path.exists() and picture.path.stat().st_size:
                return picture
        raise bad_media("not_media")


def _command(source: MediaFile, stream: int, at_s: float, width: int, picture: MediaFile) -> Command:
    """`sar` makes square pixels first, so that the picture is not distorted."""
    scale = f"scale=trunc(iw*sar/2)*2:ih,scale={width}:-2,setsar=1"
    jpeg = ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "4", "-f", "mjpeg")
    return Command(
        inputs=(Input(source, ("-ss", f"{at_s:.3f}", "-an", "-sn", "-dn")),),
        outputs=(Output(picture, ("-map", f"0:{stream}", "-frames:v", "1", "-vf", scale, *jpeg)),),
    )
