"""Measures a finished file: where each line of the dub is in it, what is left of the original, and how loud it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from onevoice_kit.errors import InvalidInput
from onevoice_kit.media_exec import Command, Ffmpeg, Input, MediaFile, Output, Running, work_beside
from onevoice_kit.storage.base import ObjectRef, Storage
from services.mixer.mixing.plan import MAX_CLIPS, MAX_DURATION_MS, Range
from services.mixer.probing import KnownFacts
from services.mixer.progress import Report, part, silent
from services.mixer.results import content

if TYPE_CHECKING:
    from services.mixer.matching import Found

RATE = 48_000
"""Samples a second of what is metered."""


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """A line as it was planned: its clip's place on the timeline."""

    id: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class MeasureJob:
    """A finished file, and what is expected in it."""

    media: ObjectRef
    track: int
    """Counts the sound tracks, from 0."""
    voice: ObjectRef
    """The voice stem of the mix."""
    original: ObjectRef
    """The sound that is meant to vanish under the dub: separated speech, else the programme."""
    lines: tuple[PlannedLine, ...]
    speech_regions: tuple[Range, ...]
    """Of the original."""


@dataclass(frozen=True, slots=True)
class MeasuredLine:
    """A line as it was found; all but `id` and `present` is 0 where it was not."""

    id: str
    present: bool
    onset_ms: int = 0
    end_ms: int = 0
    overlap_ms: int = 0
    correlation: float = 0.0
    level_db: float = 0.0
    shift_ms: int = 0
    cut_ms: int = 0


@dataclass(frozen=True, slots=True)
class Measurement:
    """A finished file, measured."""

    lines: tuple[MeasuredLine, ...]
    """In the order of the job."""
    residue_db: float
    """Gain at which the original is left within the speech regions."""
    loudness_lufs: float
    true_peak_dbtp: float
    duration_ms: int


class Measurer:
    """Use case Measure: decodes each input once, into files of raw samples of which little is in memory at a time."""

    def __init__(self, storage: Storage, ffmpeg: Ffmpeg, facts: KnownFacts | None = None) -> None:
        """`ffmpeg` carries the limits; `facts` is shared by the calls of one service."""
        self._facts = facts or KnownFacts(ffmpeg)
        self._storage = storage
        self._ffmpeg = ffmpeg

    async def measure(self, job: MeasureJob, report: Report = silent) -> Measurement:
        """
        Raises `InvalidInput` with the reasons of a probe, `no_such_track`, `bad_line`, `too_many_lines`.
        """
        _check(job)
        async with (
            self._storage.open_local(job.media) as media,
            self._storage.open_local(job.voice) as voice,
            self._storage.open_local(job.original) as original,
            self._ffmpeg.workspace() as workspace,
        ):
            files = [workspace.link(path) for path in (media, voice, original)]
            facts = await self._facts.of(content(job.media), files[0], workspace, require_audio=True)
            if not 0 <= job.track < len(facts.audio):
                raise InvalidInput("The file has no such sound track.", reason="no_such_track")
            decoded = [workspace.new("s16") for _ in files]
            command = _command(files, facts.audio[job.track].index, decoded)
            expected = max(facts.duration_s, 0.001)
            async with self._ffmpeg.stream(command, workspace, max_output_bytes=_room(facts.duration_s)) as running:
                metered = await work_beside([running], lambda: _meter(running, expected, part(report, 0.0, 0.6)))
                await running.wait()
                # The tool has ended; it stays here so that the thread can see that the caller has gone.
                following = running.stopping(part(report, 0.6, 1.0))
                lines, residue = await work_beside([running], lambda: _match(job, decoded, following))
        return Measurement(
            lines, residue, metered.loudness_lufs, metered.true_peak_dbtp, round(metered.frames * 1000 / RATE)
        )


_RAW = ("-c:a", "pcm_s16le", "-f", "s16le")
_TIMELINE = "async=1:first_pts=0:min_hard_comp=0.02"
"""Silence before sound that starts late and in gaps, as in a player."""


def _command(files: list[MediaFile], stream: int, decoded: list[MediaFile]) -> Command:
    """One run decodes all: the track for our meters and for matching, the stem and the original for matching."""
    low = "aresample=16000,aformat=sample_fmts=s16:channel_layouts=mono"
    return Command(
        inputs=tuple(Input(file, ("-vn", "-sn", "-dn")) for file in files),
        filters=(
            f"[0:{stream}]aresample=48000:{_TIMELINE},aformat=sample_fmts=flt:channel_layouts=stereo,asplit=2[m][t];"
            f"[t]{low}[track];[1:a:0]{low}[voice];[2:a:0]{low}[original]"
        ),
        outputs=(
            Output("pipe", ("-map", "[m]", "-c:a", "pcm_f32le", "-f", "f32le")),
            *(
                Output(file, ("-map", f"[{name}]", *_RAW))
                for file, name in zip(decoded, ("track", "voice", "original"), strict=True)
            ),
        ),
    )


def _room(duration_s: float) -> int:
    """Bytes that a decoded file may take: 16 kHz, 16-bit, mono, and as much again for an input that is longer."""
    return int(duration_s * 2 * 16_000 * 2) + (1 << 20)


@dataclass(frozen=True, slots=True)
class _Metered:
    loudness_lufs: float
    true_peak_dbtp: float
    frames: int


def _meter(running: Running, expected_s: float, report: Report) -> _Metered:
    """Meters the track that comes down the pipe; runs in a thread."""
    # Imported here: scipy takes most of a second to load, and the service should be up by then.
    from services.mixer.mixing.blocks import stereo_blocks
    from services.mixer.mixing.loudness import HopMeter, integrated
    from services.mixer.mixing.truepeak import PeakMeter

    loudness, peak, frames = HopMeter(channels=2), PeakMeter(), 0
    for samples in stereo_blocks(running):
        loudness.add(samples)
        peak.add(samples)
        frames += len(samples)
        report(frames / RATE / expected_s)
    return _Metered(integrated(loudness.energies()), peak.dbtp, frames)


def _match(job: MeasureJob, decoded: list[MediaFile], report: Report) -> tuple[tuple[MeasuredLine, ...], float]:
    """The lines, and the residue of the original; runs in a thread."""
    from services.mixer.matching import Track, find_lines, residue_db
    from services.mixer.sounds import Sound, Span

    sound, voice, original = (Sound(file.path) for file in decoded)
    track = Track(sound, voice)
    found = find_lines(track, voice, [Span.of(line.start_ms, line.end_ms) for line in job.lines], report)
    regions = [Span.of(region.start_ms, region.end_ms) for region in job.speech_regions]
    residue = residue_db(track, original, regions)
    return tuple(_line(line, one) for line, one in zip(job.lines, found, strict=True)), residue


def _line(line: PlannedLine, found: Found | None) -> MeasuredLine:
    return MeasuredLine(line.id, False) if found is None else MeasuredLine(line.id, True, **asdict(found))


def _check(job: MeasureJob) -> None:
    if len(job.lines) > MAX_CLIPS:
        raise InvalidInput(f"A file has at most {MAX_CLIPS} lines.", reason="too_many_lines")
    for line in job.lines:
        if not 0 <= line.start_ms <= line.end_ms <= MAX_DURATION_MS:
            raise InvalidInput("The times of a line are not valid.", reason="bad_line", details={"line": line.id})
