"""Steps of one target language as a whole: fit in time, captions, mix, mux."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onevoice_jobs.records import Artifact, Shown, Translation
from onevoice_kit.storage.base import ObjectRef

from ..codec import dump, load
from ..pipeline.graph import Inputs, Json, Result
from ..policy import fitting
from ..policy.captions import Spoken, make_cues, to_srt, to_vtt
from ..policy.fitting import NO_ROOM, Placement
from ..policy.quality import DubbedLine
from ..stages.mixer import Clip, Media, Mix, MixOrder, MuxOrder, Sound, Track
from .context import JobContext
from .language import SpokenLine
from .source import Line, all_lines

SRT, VTT = "application/x-subrip", "text/vtt"


@dataclass(frozen=True, slots=True)
class FittedLine:
    """A line of the dub and its speech."""

    line: DubbedLine
    audio: ObjectRef | None
    """None where the line is silent."""


@dataclass(frozen=True, slots=True)
class Muxed:
    """The dubbed file."""

    media: ObjectRef
    duration_ms: int


async def fit(language: str, chunks: int, inputs: Inputs) -> Result:
    """→ the `FittedLine`s of the language, in order, silent ones included; users see them as translations."""
    sound = load(Sound, inputs["extract"])
    spoken = {s.id: s for c in range(chunks) for s in load(list[SpokenLine], inputs[f"spoken:{language}:{c}"])}
    lines = all_lines(inputs, chunks)
    placements = _placements(lines, spoken, sound.duration_ms)
    fitted = [_fitted(index, line, spoken[line.id], placements.get(line.id)) for index, line in enumerate(lines)]
    shown = Shown(translations=tuple(_translation(language, item) for item in fitted))
    return Result(dump(list[FittedLine], fitted), shown)


def _placements(lines: Sequence[Line], spoken: Mapping[str, SpokenLine], duration_ms: int) -> dict[str, Placement]:
    """By line id; a line without speech, or without room for it, has none."""
    audible = [line for line in lines if spoken[line.id].audio]
    to_fit = [fitting.Line(i.segment.start_ms, i.segment.end_ms, spoken[i.id].natural_ms) for i in audible]
    placed = zip(audible, fitting.fit(to_fit, duration_ms), strict=True)
    return {line.id: placement for line, placement in placed if placement}


def _fitted(index: int, line: Line, spoken: SpokenLine, placed: Placement | None) -> FittedLine:
    left_out = (NO_ROOM,) if spoken.audio and not placed else ()
    dubbed = DubbedLine(
        index=index,
        start_ms=line.segment.start_ms,
        end_ms=line.segment.end_ms,
        speaker=line.segment.speaker,
        source_text=line.segment.text,
        text=spoken.text,
        slot_ms=placed.slot_ms if placed else line.slot_ms,
        natural_ms=spoken.natural_ms,
        placed_start_ms=placed.start_ms if placed else None,
        placed_end_ms=placed.end_ms if placed else None,
        speed=placed.speed if placed else None,
        onset_error_ms=placed.onset_error_ms if placed else None,
        flags=spoken.flags + (placed.flags if placed else left_out),
    )
    return FittedLine(dubbed, spoken.audio if placed else None)


def _translation(language: str, item: FittedLine) -> Translation:
    line = item.line
    return Translation(
        language=language,
        index=line.index,
        text=line.text,
        audio=item.audio,
        natural_ms=line.natural_ms,
        start_ms=line.placed_start_ms,
        end_ms=line.placed_end_ms,
        speed=line.speed,
        onset_error_ms=line.onset_error_ms,
        flags=line.flags,
    )


async def captions(ctx: JobContext, language: str, inputs: Inputs) -> Result:
    """→ the caption `Artifact`s of the dub: SRT, VTT. The text of a silent line is shown when the original speaks."""
    lines = [item.line for item in load(list[FittedLine], inputs[f"fit:{language}"])]
    spoken = [Spoken(*(line.span or (line.start_ms, line.end_ms)), line.text) for line in lines]
    return await save_captions(ctx, language, spoken, load(Sound, inputs["extract"]).duration_ms)


async def source_captions(ctx: JobContext, chunks: int, inputs: Inputs) -> Result:
    """→ the caption `Artifact`s of the source: SRT, VTT."""
    spoken = [
        Spoken(line.segment.start_ms, line.segment.end_ms, line.segment.text) for line in all_lines(inputs, chunks)
    ]
    language = load(Media, inputs["probe"]).audio_language
    return await save_captions(ctx, language, spoken, load(Sound, inputs["extract"]).duration_ms)


async def save_captions(ctx: JobContext, language: str, spoken: Sequence[Spoken], duration_ms: int) -> Result:
    """Stores both forms of the captions and returns their artifacts."""
    cues = make_cues(spoken, duration_ms)
    artifacts = [
        await ctx.save_text("captions_srt", language, "srt", to_srt(cues), SRT),
        await ctx.save_text("captions_vtt", language, "vtt", to_vtt(cues), VTT),
    ]
    return Result(dump(list[Artifact], artifacts), Shown(artifacts=tuple(artifacts)))


async def mix(ctx: JobContext, language: str, inputs: Inputs) -> Json:
    """→ `Mix`."""
    sound = load(Sound, inputs["extract"])
    # Where the dub is silent the original stays as loud as it is: its line is not lost.
    dubbed = [
        (Clip(item.audio, item.line.span[0], item.line.speed), _ducked(item.line, item.line.span))
        for item in load(list[FittedLine], inputs[f"fit:{language}"])
        if item.audio and item.line.span and item.line.speed
    ]

    async def on_progress(fraction: float) -> None:
        await ctx.progress.mixing(language, fraction)

    gain = ctx.options.duck_gain_db
    order = MixOrder(
        background=sound.programme,
        clips=tuple(clip for clip, _ in dubbed),
        duration_ms=sound.duration_ms,
        duck_ranges=tuple(ducked for _, ducked in dubbed),
        duck_gain_db=ctx.settings.duck_gain_db if gain is None else gain,
        loudness=ctx.options.loudness,
        source_loudness_lufs=sound.loudness_lufs,
    )
    return dump(Mix, await ctx.stages.mixer.mix(order, ctx.prefix("mixer"), on_progress))


def _ducked(line: DubbedLine, span: tuple[int, int]) -> tuple[int, int]:
    """The original is turned down while it speaks and while the dub does."""
    return min(line.start_ms, span[0]), max(line.end_ms, span[1])


async def mux(ctx: JobContext, language: str, inputs: Inputs) -> Json:
    """→ `Muxed`."""
    await ctx.progress.muxing(language)
    media, sound = load(Media, inputs["probe"]), load(Sound, inputs["extract"])
    mixed = load(Mix, inputs[f"mix:{language}"])
    srt = next(a for a in load(list[Artifact], inputs[f"captions:{language}"]) if a.kind == "captions_srt")
    order = MuxOrder(
        source=ctx.job.source,
        dub=Track(mixed.audio, language, f"Dub ({language})"),
        original_language=media.audio_language if ctx.options.keep_original_audio else None,
        subtitles=(Track(srt.ref, language, f"Captions ({language})"),) if media.has_video else (),
        burn_in=srt.ref if ctx.options.burn_in_captions and media.has_video else None,
        duration_ms=sound.duration_ms,
    )
    file, duration_ms = await ctx.stages.mixer.mux(order, ctx.prefix("mixer"))
    return dump(Muxed, Muxed(file, duration_ms))
