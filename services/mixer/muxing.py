"""Puts the untouched video, the dubbed tracks, the original sound and subtitles into one file."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

from onevoice_kit.errors import Internal, InvalidInput
from onevoice_kit.media_exec import AudioFacts, Ffmpeg, MediaFacts, MediaFile, VideoFacts, Workspace, bad_media, probe
from onevoice_kit.storage.base import ObjectRef, Storage
from services.mixer import subtitles
from services.mixer.muxplan import Container, Parts, Titled, command, container_for, room
from services.mixer.probing import KnownFacts
from services.mixer.progress import Report, part, silent
from services.mixer.results import Results, Work, content


@dataclass(frozen=True, slots=True)
class Track:
    """A track to add: AAC in MP4, or SRT."""

    media: ObjectRef
    language: str
    """BCP-47."""
    title: str
    """For players; may be empty."""


@dataclass(frozen=True, slots=True)
class MuxJob:
    """The parts of the file."""

    source: ObjectRef
    tracks: tuple[Track, ...]
    """The first is the default."""
    keep_original_audio: bool
    original_language: str
    subtitles: tuple[Track, ...]
    burn_in: ObjectRef | None
    duration_ms: int
    output_prefix: str


@dataclass(frozen=True, slots=True)
class Muxed:
    """The finished file."""

    media: ObjectRef
    info: MediaFacts


class Muxer:
    """Use case Mux."""

    def __init__(self, storage: Storage, ffmpeg: Ffmpeg, facts: KnownFacts | None = None) -> None:
        """`ffmpeg` carries the limits; `facts` is shared by the calls of one service."""
        self._facts = facts or KnownFacts(ffmpeg)
        self._storage = storage
        self._results = Results(storage)
        self._ffmpeg = ffmpeg

    async def mux(self, job: MuxJob, report: Report = silent) -> Muxed:
        """
        Raises `InvalidInput` with the reasons of a probe, `no_tracks`, `too_many_tracks`, `bad_subtitles`,
        `bad_duration`, `burn_in_too_large`, `output_too_large`;
        `Internal` (reason `length_changed`) rather than give a file of another length.
        """
        _check(job)
        work = Work.of(job.output_prefix, "mux", _parameters(job))
        if (known := await self._results.find(work)) is not None:
            return Muxed(ObjectRef(**known["media"]), _facts_from_plain(known["info"]))
        async with AsyncExitStack() as stack:
            workspace = await stack.enter_async_context(self._ffmpeg.workspace())
            source = await self._open(stack, workspace, job.source)
            facts = await self._facts.of(content(job.source), source, workspace)
            parts = await self._parts(stack, workspace, job, source, facts)
            container = container_for(facts, burned=parts.burn_in is not None)
            output = await self._write(workspace, parts, container, part(report, 0.05, 0.9))
            info = await self._verify(workspace, output, facts, job)
            media = await self._results.put(work.key(container.suffix), output.path, container.content_type)
        # The file is measured next.
        self._facts.remember(content(media), info)
        await self._results.keep(work, {"media": media, "info": asdict(info)})
        return Muxed(media, info)

    async def _open(self, stack: AsyncExitStack, workspace: Workspace, ref: ObjectRef) -> MediaFile:
        return workspace.link(await stack.enter_async_context(self._storage.open_local(ref)))

    async def _parts(
        self, stack: AsyncExitStack, workspace: Workspace, job: MuxJob, source: MediaFile, facts: MediaFacts
    ) -> Parts:
        return Parts(
            source=source,
            facts=facts,
            tracks=tuple(
                [
                    Titled(await self._open(stack, workspace, track.media), track.language, track.title)
                    for track in job.tracks
                ]
            ),
            original_language=job.original_language if job.keep_original_audio and facts.audio else None,
            subtitles=tuple(
                [
                    Titled(await self._subtitles(workspace, track.media, job), track.language, track.title)
                    for track in job.subtitles
                ]
            ),
            burn_in=await self._captions(workspace, job, facts),
            duration_ms=job.duration_ms,
        )

    async def _captions(self, workspace: Workspace, job: MuxJob, facts: MediaFacts) -> MediaFile | None:
        """The captions to burn in; None where there are none, so that the video is copied as it is."""
        if job.burn_in is None or facts.video is None:
            return None
        video, most = facts.video, self._ffmpeg.limits.max_burn_in_pixels
        if video.width * video.height > most:
            raise bad_media("burn_in_too_large", limit_pixels=str(most))
        file = await self._subtitles(workspace, job.burn_in, job)
        return file if file.path.stat().st_size else None

    async def _subtitles(self, workspace: Workspace, ref: ObjectRef, job: MuxJob) -> MediaFile:
        """The subtitles, parsed and written anew under a name of ours."""
        if ref.size > subtitles.MAX_BYTES:
            raise InvalidInput("The subtitles are larger than accepted.", reason="object_too_large")
        async with self._storage.open_local(ref) as path:
            data = await asyncio.to_thread(path.read_bytes)
        file = workspace.new("srt")
        file.path.write_text(subtitles.write(subtitles.parse(data), job.duration_ms), encoding="utf-8")
        return file

    async def _write(self, workspace: Workspace, parts: Parts, container: Container, report: Report) -> MediaFile:
        output, titles = workspace.new(container.suffix), workspace.new("ffmeta")
        titles.path.write_text(parts.metadata(), encoding="utf-8")
        length = max(parts.duration_ms / 1000, 0.001)
        await self._ffmpeg.run(
            command(parts, titles, output, container),
            workspace,
            max_output_bytes=room(parts),
            on_time=lambda second: report(second / length),
        )
        return output

    async def _verify(self, workspace: Workspace, output: MediaFile, source: MediaFacts, job: MuxJob) -> MediaFacts:
        """A probe of the output, once it is as long as it should be."""
        info = await probe(self._ffmpeg, output, workspace, own=True)
        wanted = source.duration_s if source.video else job.duration_ms / 1000
        if abs(info.duration_s - wanted) > _tolerance(source.video):
            raise Internal("The output is not as long as the source.", reason="length_changed")
        return info


def _tolerance(video: VideoFacts | None) -> float:
    """Seconds: one frame of the video, or of AAC; where the rate is unknown one of 24 a second."""
    if video is None:
        return 0.05
    return 1 / (video.frame_rate or 24) + 0.002


def _check(job: MuxJob) -> None:
    if not job.tracks and not job.keep_original_audio:
        raise InvalidInput("There is no sound to put into the file.", reason="no_tracks")
    if len(job.tracks) + len(job.subtitles) > 48:
        raise InvalidInput("There are too many tracks.", reason="too_many_tracks")
    if job.duration_ms <= 0:
        raise InvalidInput("The length of the file is not valid.", reason="bad_duration")


def _parameters(job: MuxJob) -> dict[str, object]:
    """Everything that decides the result, inputs by their content."""
    return {
        "source": content(job.source),
        "tracks": [[content(t.media), t.language, t.title] for t in job.tracks],
        "original": [job.keep_original_audio, job.original_language],
        "subtitles": [[content(t.media), t.language, t.title] for t in job.subtitles],
        "burn_in": content(job.burn_in) if job.burn_in else "",
        "duration": job.duration_ms,
    }


def _facts_from_plain(plain: dict[str, object]) -> MediaFacts:
    video, audio = plain["video"], plain["audio"]
    return MediaFacts(
        container=str(plain["container"]),
        duration_s=float(str(plain["duration_s"])),
        video=VideoFacts(**video) if isinstance(video, dict) else None,
        audio=tuple(AudioFacts(**one) for one in audio) if isinstance(audio, list) else (),
    )
