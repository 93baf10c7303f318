"""Steps done once for a job: look at the source, take its sound, find and recognise speech, cut it into lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from onevoice_jobs import records
from onevoice_kit.errors import PreconditionFailed
from onevoice_kit.storage.base import ObjectRef

from ..codec import dump, load
from ..pipeline.graph import Inputs, Json, Result
from ..policy.segmentation import Segment, cut_segments
from ..stages.asr import Region, Speakers, Speech, Transcript
from ..stages.mixer import Media, Sound
from .context import JobContext


@dataclass(frozen=True, slots=True)
class Line:
    """A dubbing segment with its identity and the time it may take."""

    id: str
    """`CHUNK.N`: known before the chunks before it are."""
    chunk: int
    segment: Segment
    slot_ms: int
    """Time until the next speech begins, as far as the chunk and the detected regions tell."""

    @property
    def position(self) -> int:
        """The line's place within its chunk, from 0."""
        return int(self.id.partition(".")[2])


def source_language(ctx: JobContext, media: Media) -> str:
    """What the user says, else what the file says, else the deployment's default; BCP-47."""
    named = ctx.job.source_language or ctx.options.source_language
    return named or media.audio_language or ctx.settings.default_source_language


async def probe(ctx: JobContext, _: Inputs) -> Json:
    """→ `Media`."""
    media = await ctx.stages.mixer.probe(ctx.job.source)
    media = replace(media, audio_language=source_language(ctx, media))
    return dump(Media, media)


async def extract(ctx: JobContext, _: Inputs) -> Json:
    """→ `Sound`. Looks at the source itself, so it need not wait for `probe`."""

    async def on_progress(fraction: float) -> None:
        await ctx.progress.prepare(0.5 * fraction)

    sound = await ctx.stages.mixer.extract(ctx.job.source, ctx.job.duration_ms, ctx.prefix("mixer"), on_progress)
    await ctx.progress.prepare(0.5)
    return dump(Sound, sound)


async def thumbnail(ctx: JobContext, inputs: Inputs) -> Json:
    """→ the picture's `ObjectRef`, or None where there is no picture."""
    media = load(Media, inputs["probe"])
    if not media.has_video:
        return None
    at_ms = min(media.duration_ms // 3, 60_000)
    image = await ctx.stages.mixer.thumbnail(ctx.job.source, at_ms, ctx.prefix("mixer"))
    return dump(ObjectRef, image)


async def detect(ctx: JobContext, inputs: Inputs) -> Json:
    """→ `Speech`."""
    sound = load(Sound, inputs["extract"])
    speech = await ctx.stages.asr.detect(sound.speech, sound.duration_ms)
    await ctx.progress.prepare(1.0)
    return dump(Speech, speech)


async def diarize(ctx: JobContext, inputs: Inputs) -> Json:
    """→ `Speakers`."""
    sound, speech = load(Sound, inputs["extract"]), load(Speech, inputs["detect"])
    regions = [region for chunk in speech.chunks for region in chunk]
    return dump(Speakers, await ctx.stages.asr.diarize(sound.speech, regions, "", sound.duration_ms))


async def transcribe(ctx: JobContext, chunk: int, inputs: Inputs) -> Json:
    """→ `Transcript` of one chunk."""
    media, sound = load(Media, inputs["probe"]), load(Sound, inputs["extract"])
    regions = load(Speech, inputs["detect"]).chunks[chunk]
    engine = ctx.options.engines.asr or ""
    transcript = await ctx.stages.asr.transcribe(sound.speech, regions, media.audio_language, engine)
    await ctx.progress.transcribed(chunk)
    return dump(Transcript, transcript)


async def cut(chunk: int, edits: Mapping[int, Mapping[str, str | int]], inputs: Inputs) -> Result:
    """→ the `Line`s of one chunk, with the user's edits by position."""
    transcript = load(Transcript, inputs[f"transcribe:{chunk}"])
    speakers, speech = load(Speakers, inputs["diarize"]), load(Speech, inputs["detect"])
    cut = enumerate(cut_segments(transcript.utterances, speakers.turns))
    segments = [_edited(segment, edits.get(position, {})) for position, segment in cut]
    after = _next_speech(speech.chunks, chunk, speech.duration_ms)
    ends = [segment.start_ms for segment in segments[1:]] + [after]
    lines = [
        Line(f"{chunk}.{n}", chunk, segment, max(0, end - segment.start_ms))
        for n, (segment, end) in enumerate(zip(segments, ends, strict=True))
    ]
    return Result(dump(list[Line], lines), records.Shown(events=tuple(_recognised(line) for line in lines)))


def _edited(segment: Segment, edit: Mapping[str, str | int]) -> Segment:
    """New words have no times of their own: they share those of the line evenly."""
    start, end = int(edit.get("start_ms", segment.start_ms)), int(edit.get("end_ms", segment.end_ms))
    words = segment.words
    if "text" in edit:
        texts = str(edit["text"]).split()
        bounds = [start + (end - start) * n // len(texts) for n in range(len(texts) + 1)]
        words = tuple(records.Word(text, *bounds[n : n + 2]) for n, text in enumerate(texts))
    return Segment(start, end, str(edit.get("speaker", segment.speaker)), words)


def _next_speech(chunks: tuple[tuple[Region, ...], ...], chunk: int, duration_ms: int) -> int:
    return chunks[chunk + 1][0][0] if chunk + 1 < len(chunks) else duration_ms


def _recognised(line: Line) -> records.Event:
    segment = line.segment
    times = {"start_ms": segment.start_ms, "end_ms": segment.end_ms}
    data = {"id": line.id, **times, "speaker": segment.speaker, "text": segment.text}
    return records.Event("segment.recognised", data)


async def transcript(chunks: int, inputs: Inputs) -> Result:
    """→ ids of all lines in time order, which is their index. `PreconditionFailed` `no_speech` where there is none."""
    lines = all_lines(inputs, chunks)
    if not lines:
        raise PreconditionFailed("No intelligible speech was found in the video.", reason="no_speech")
    segments = tuple(_segment(index, line) for index, line in enumerate(lines))
    return Result([line.id for line in lines], records.Shown(segments=segments))


def _segment(index: int, line: Line) -> records.Segment:
    heard = line.segment
    return records.Segment(index, line.chunk, heard.start_ms, heard.end_ms, heard.speaker, heard.text, heard.words)


def all_lines(inputs: Inputs, chunks: int) -> list[Line]:
    """The lines of every chunk in time order."""
    lines = [line for chunk in range(chunks) for line in load(list[Line], inputs[f"cut:{chunk}"])]
    return sorted(lines, key=lambda line: (line.segment.start_ms, line.chunk))
