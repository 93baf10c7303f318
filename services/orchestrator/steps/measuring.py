"""The step that measures the finished file of a language, in which every line is searched for by its sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..clients.asr import DetectedSpeech
from ..clients.mixer import Measurement, MeasureOrder, Mix, Sound
from ..policy.captions import Conformance, conformance, from_srt
from ..policy.line import Placement, Source, Speech, join
from .assembly import Captions, Muxed
from .context import Tools
from .graph import Given, Handle
from .task import Task


@dataclass(frozen=True, slots=True)
class Measurements:
    """Measurements of the files that the user gets."""

    dub: Measurement
    captions: Conformance


@dataclass(frozen=True, kw_only=True)
class MeasureDub(Task[Measurements]):
    """Measures the dubbed file and its captions."""

    stage: ClassVar = "mixer"
    sound: Handle[Sound]
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
            original=sound.speech,
            lines=tuple((line.id, *line.span) for line in lines if line.audio and line.span),
            speech_regions=given(self.speech_regions).regions,
            duration_ms=sound.duration_ms,
        )
