"""Steps that make the files of a language, captions, mix and mux, and the one that measures them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from onevoice_jobs.options import Loudness
from onevoice_jobs.records import Artifact, Published
from onevoice_kit.storage.base import ObjectRef

from ..clients.asr import DetectedSpeech, Separated
from ..clients.mixer import Clip, Measurement, MeasureOrder, Media, Mix, MixOrder, MuxOrder, Sound, Track
from ..policy.captions import Conformance, Spoken, conformance, from_srt, make_cues, to_srt, to_vtt
from ..policy.line import Placement, Source, Speech, Translation, join
from .context import Tools
from .graph import Given, Handle, Result
from .task import Task

SRT, VTT = "application/x-subrip", "text/vtt"


@dataclass(frozen=True, slots=True)
class Captions:
    """The captions of one language in both forms."""

    srt: Artifact
    vtt: Artifact

    @property
    def files(self) -> tuple[Artifact, ...]:
        """Both forms."""
        return self.srt, self.vtt


@dataclass(frozen=True, slots=True)
class Muxed:
    """The dubbed file."""

    media: ObjectRef
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Measurements:
    """Measurements of the files that the user gets."""

    dub: Measurement
    captions: Conformance


@dataclass(frozen=True, kw_only=True)
class SourceCaptions(Task[Captions]):
    """Makes the captions of the source."""

    stage: ClassVar = "store"
    name: str
    """The file name of the source without its extension."""
    language: Handle[str]
    sound: Handle[Sound]
    cuts: tuple[Handle[dict[str, Source]], ...]

    async def run(self, tools: Tools, given: Given) -> Result[Captions]:
        """Returns the files; they are published."""
        sources = [line.source for line in join(given.each(self.cuts))]
        spoken = [Spoken(source.start_ms, source.end_ms, source.text) for source in sources]
        return await _save(tools, self.name, given(self.language), spoken, given(self.sound).duration_ms)


@dataclass(frozen=True, kw_only=True)
class DubCaptions(Task[Captions]):
    """Makes the captions of the dub. The text of a silent line is shown while the original speaks."""

    stage: ClassVar = "store"
    target: str
    name: str
    """The file name of the source without its extension."""
    sound: Handle[Sound]
    cuts: tuple[Handle[dict[str, Source]], ...]
    translations: tuple[Handle[dict[str, Translation]], ...]
    placements: Handle[dict[str, Placement]]

    async def run(self, tools: Tools, given: Given) -> Result[Captions]:
        """Returns the files; they are published."""
        cuts, translations = given.each(self.cuts), given.each(self.translations)
        lines = join(cuts, translations, placements=given(self.placements))
        spoken = [Spoken(*(line.span or (line.source.start_ms, line.source.end_ms)), line.text) for line in lines]
        return await _save(tools, self.name, self.target, spoken, given(self.sound).duration_ms)


async def _save(tools: Tools, name: str, language: str, spoken: Sequence[Spoken], duration_ms: int) -> Result[Captions]:
    cues = make_cues(spoken, duration_ms)
    captions = Captions(
        await tools.save("captions_srt", language, f"{name}.{language}.srt", to_srt(cues), SRT),
        await tools.save("captions_vtt", language, f"{name}.{language}.vtt", to_vtt(cues), VTT),
    )
    return Result(captions, Published(artifacts=captions.files))


@dataclass(frozen=True, kw_only=True)
class MixDub(Task[Mix]):
    """Mixes the speech over the original, which gives way to its separated background there, or else is ducked."""

    stage: ClassVar = "mixer"
    target: str
    sound: Handle[Sound]
    separated: Handle[Separated]
    cuts: tuple[Handle[dict[str, Source]], ...]
    speech: tuple[Handle[Speech], ...]
    placements: Handle[dict[str, Placement]]
    loudness: Loudness
    duck_gain_db: float
    separated_gain_db: float

    async def run(self, tools: Tools, given: Given) -> Mix:
        """Returns the mix with its measurements."""

        async def on_progress(fraction: float) -> None:
            await tools.progress.mixing(self.target, fraction)

        return await tools.clients.mixer.mix(self._order(given), tools.prefix("mixer"), on_progress)

    def _order(self, given: Given) -> MixOrder:
        sound, separated = given(self.sound), given(self.separated).background
        lines = join(given.each(self.cuts), speech=given.each(self.speech), placements=given(self.placements))
        # Where the dub is silent the original stays as loud as it is: its line is not lost.
        dubbed = [(line.source, line.audio, line.placement) for line in lines if line.audio and line.placement]
        return MixOrder(
            background=sound.programme,
            clips=tuple(Clip(audio, placed.start_ms, placed.speed) for _, audio, placed in dubbed),
            duration_ms=sound.duration_ms,
            duck_ranges=tuple(_ducked(source, placed) for source, _, placed in dubbed),
            duck_gain_db=self.separated_gain_db if separated else self.duck_gain_db,
            loudness=self.loudness,
            source_loudness_lufs=sound.loudness_lufs,
            separated=separated,
        )


def _ducked(source: Source, placed: Placement) -> tuple[int, int]:
    """The original is turned down while it speaks and while the dub does."""
    return min(source.start_ms, placed.start_ms), max(source.end_ms, placed.end_ms)


@dataclass(frozen=True, kw_only=True)
class Mux(Task[Muxed]):
    """Puts picture, mix and captions into one file."""

    stage: ClassVar = "mixer"
    target: str
    source: ObjectRef
    media: Handle[Media]
    language: Handle[str]
    sound: Handle[Sound]
    mix: Handle[Mix]
    captions: Handle[Captions]
    burn_in: bool
    keep_original: bool

    async def run(self, tools: Tools, given: Given) -> Muxed:
        """Returns the file and its length."""
        await tools.progress.muxing(self.target)
        file, duration_ms = await tools.clients.mixer.mux(self._order(given), tools.prefix("mixer"))
        return Muxed(file, duration_ms)

    def _order(self, given: Given) -> MuxOrder:
        has_video, srt = given(self.media).has_video, given(self.captions).srt.ref
        return MuxOrder(
            source=self.source,
            dub=Track(given(self.mix).audio, self.target, f"Dub ({self.target})"),
            original_language=given(self.language) if self.keep_original else None,
            subtitles=(Track(srt, self.target, f"Captions ({self.target})"),) if has_video else (),
            burn_in=srt if self.burn_in and has_video else None,
            duration_ms=given(self.sound).duration_ms,
        )


@dataclass(frozen=True, kw_only=True)
class MeasureDub(Task[Measurements]):
    """Measures the dubbed file and its captions."""

    stage: ClassVar = "mixer"
    sound: Handle[Sound]
    separated: Handle[Separated]
    speech_regions: Handle[DetectedSpeech]
    cuts: tuple[Handle[dict[str, Source]], ...]
    speech: tuple[Handle[Speech], ...]
    placements: Handle[dict[str, Placement]]
    captions: Handle[Captions]
    mix: Handle[Mix]
    muxed: Handle[Muxed]

    async def run(self, tools: Tools, given: Given) -> Measurements:
        """Returns what the files contain, whatever was planned."""
        cues = from_srt(await tools.read(given(self.captions).srt))
        return Measurements(await tools.clients.mixer.measure(self._order(given)), conformance(cues))

    def _order(self, given: Given) -> MeasureOrder:
        sound = given(self.sound)
        lines = join(given.each(self.cuts), speech=given.each(self.speech), placements=given(self.placements))
        return MeasureOrder(
            media=given(self.muxed).media,
            voice=given(self.mix).voice,
            original=given(self.separated).voice or sound.speech,
            lines=tuple((line.id, *line.span) for line in lines if line.audio and line.span),
            speech_regions=given(self.speech_regions).regions,
            duration_ms=sound.duration_ms,
        )
