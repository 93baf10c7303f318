"""Extracts the sound of a file, for recognition and for mixing, on the timeline of the video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onevoice_kit.media_exec import (
    AudioFacts,
    Command,
    Ffmpeg,
    Input,
    MediaFacts,
    MediaFile,
    Output,
    Workspace,
    bad_media,
    work_beside,
)
from onevoice_kit.storage.base import ObjectRef, Storage
from services.mixer.mixing.blocks import BLOCK, RATE, Reader, blocks, read_block
from services.mixer.probing import KnownFacts
from services.mixer.progress import Report, part, silent
from services.mixer.results import Results, Work, content

if TYPE_CHECKING:
    from services.mixer.mixing.levels import Levels


@dataclass(frozen=True, slots=True)
class ExtractionJob:
    """The streams to extract."""

    source: ObjectRef
    output_prefix: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """Sound of the source: both files begin where a player starts the source and last as long as its video."""

    speech: ObjectRef
    """FLAC, 16 kHz, mono."""
    programme: ObjectRef
    """FLAC, 48 kHz, stereo."""
    loudness_lufs: float
    duration_ms: int


class Extractor:
    """Use case ExtractAudio."""

    def __init__(self, storage: Storage, ffmpeg: Ffmpeg, facts: KnownFacts | None = None) -> None:
        """`ffmpeg` carries the limits; `facts` is shared by the calls of one service."""
        self._facts = facts or KnownFacts(ffmpeg)
        self._storage = storage
        self._results = Results(storage)
        self._ffmpeg = ffmpeg

    async def extract(self, job: ExtractionJob, report: Report = silent) -> Extraction:
        """Raises `InvalidInput` with the reasons of a probe, `no_audio` among them."""
        work = Work.of(job.output_prefix, "extract", {"source": content(job.source)})
        if (known := await self._results.find(work)) is not None:
            return _from_plain(known)
        async with self._storage.open_local(job.source) as path, self._ffmpeg.workspace() as workspace:
            source = workspace.link(path)
            facts = await self._facts.of(content(job.source), source, workspace, require_audio=True)
            if facts.duration_s <= 0:
                raise bad_media("not_media")
            return await self._extract(work, workspace, source, facts, part(report, 0.02, 0.95))

    async def _extract(
        self, work: Work, workspace: Workspace, source: MediaFile, facts: MediaFacts, report: Report
    ) -> Extraction:
        duration_ms = round(facts.duration_s * 1000)
        programme, speech = workspace.new("flac"), workspace.new("flac")
        command = _command(source, facts.audio[0], duration_ms, programme, speech)
        room = duration_ms * 48 * 2 * 4 + (1 << 20)
        async with self._ffmpeg.stream(command, workspace, max_output_bytes=room) as running:
            levels = await work_beside([running], lambda: _measure(running, duration_ms, report))
            await running.wait()
        extraction = Extraction(
            speech=await self._results.put(work.key("flac", "speech"), speech.path, "audio/flac"),
            programme=await self._results.put(work.key("flac", "programme"), programme.path, "audio/flac"),
            loudness_lufs=_loudness(levels),
            duration_ms=duration_ms,
        )
        await self._results.keep_levels(work.prefix, extraction.programme, levels.pack())
        await self._results.keep(work, {name: getattr(extraction, name) for name in Extraction.__slots__})
        return extraction


def _command(
    source: MediaFile, audio: AudioFacts, duration_ms: int, programme: MediaFile, speech: MediaFile
) -> Command:
    """
    One run for all: `first_pts=0` puts silence before sound that starts late, `async=1` fills gaps, and padding with
    trimming gives the exact length. The third output goes to our own meter.
    """
    timeline = f"aresample={RATE}:async=1:first_pts=0:min_hard_comp=0.02,aformat=sample_fmts=flt:channel_layouts=stereo"
    exact = f"apad,atrim=end_sample={duration_ms * RATE // 1000}"
    recognise = f"aresample=16000,aformat=channel_layouts=mono,apad,atrim=end_sample={duration_ms * 16}"
    flac = ("-c:a", "flac", "-sample_fmt", "s16", "-f", "flac")
    return Command(
        inputs=(Input(source, ("-vn", "-sn", "-dn")),),
        filters=f"[0:{audio.index}]{timeline},{exact},asplit=3[p][m][s];[s]{recognise}[r]",
        outputs=(
            Output(programme, ("-map", "[p]", *flac)),
            Output(speech, ("-map", "[r]", *flac)),
            Output("pipe", ("-map", "[m]", "-c:a", "pcm_f32le", "-f", "f32le")),
        ),
    )


def _measure(decoder: Reader, duration_ms: int, report: Report) -> Levels:
    """Levels of the stereo samples that come down the pipe."""
    # Imported here: scipy takes most of a second to load, and the service should be up by then.
    from services.mixer.mixing.levels import LevelMeter

    total = duration_ms * RATE // 1000
    meter = LevelMeter(channels=2)
    for begin, end in blocks(total):
        meter.add(read_block(decoder, end - begin))
        report(end / total)
    # What is left over the exact length would keep the tool waiting for a reader.
    while decoder.read(BLOCK):
        pass
    return meter.levels()


def _loudness(levels: Levels) -> float:
    from services.mixer.mixing.loudness import integrated

    return integrated(levels.hops())


def _from_plain(known: dict[str, object]) -> Extraction:
    plain = {name: ObjectRef(**value) if isinstance(value, dict) else value for name, value in known.items()}
    return Extraction(**plain)  # type: ignore[arg-type]
