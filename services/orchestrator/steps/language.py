"""Steps of one target language up to its sound: voices, translation, speech, the fit in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from onevoice_jobs import records
from onevoice_jobs.events import VOICES_RECAST
from onevoice_jobs.options import GlossaryTerm
from onevoice_jobs.records import Event, Published
from onevoice_kit.engines.layers import FAILED_ENGINE
from onevoice_kit.errors import Internal, OneVoiceError

from ..clients.asr import Speakers
from ..clients.mixer import Sound
from ..clients.translate import NO_CONTEXT, Context, SourceLine
from ..policy.fitting import fit, max_chars
from ..policy.line import NOTHING_TO_SPEAK, SILENCE, EngineUse, Line, Placement, Source, Speech, Translation, join
from ..policy.voices import Recast, engine_of, recast_voices
from .context import Tools
from .graph import Given, Handle, Remedy, Result, dump
from .task import CONTEXT, Task


@dataclass(frozen=True, kw_only=True)
class TranslationEngines(Task[dict[str, list[EngineUse]]]):
    """Lists the engines that the translation may use, by their identity. A run keeps its lists."""

    stage: ClassVar = "translate"
    pure: ClassVar = True
    run_number: int
    """Not read: a new run lists anew."""
    target: str
    language: Handle[str]
    engine: str

    async def run(self, tools: Tools, given: Given) -> dict[str, list[EngineUse]]:
        """Returns the engines in the order of preference, and the one that wants a summary first."""
        return await tools.clients.translate.engines(given(self.language), self.target, self.engine)


@dataclass(frozen=True, kw_only=True)
class SpeechEngines(Task[list[EngineUse]]):
    """Lists the engines that the synthesis may use, by their identity. A run keeps its list."""

    stage: ClassVar = "tts"
    pure: ClassVar = True
    run_number: int
    """Not read: a new run lists anew."""
    target: str
    engine: str

    async def run(self, tools: Tools, given: Given) -> list[EngineUse]:
        """Returns the engines in the order of preference."""
        return await tools.clients.tts.engines(self.target, self.engine)


@dataclass(frozen=True, kw_only=True)
class Recasts(Task[list[Recast]]):
    """
    Lists the engines that stopped working while they spoke the language: none at first. A line that meets such an
    engine amends the list (`Speak.remedy`), which then stays for the job's later runs and edits.
    """

    stage: ClassVar = "store"
    pure: ClassVar = True

    async def run(self, tools: Tools, given: Given) -> list[Recast]:
        """Returns none."""
        return []


@dataclass(frozen=True, kw_only=True)
class Voices(Task[dict[str, str]]):
    """Chooses a voice for each speaker, and another one where its engine stopped working."""

    stage: ClassVar = "tts"
    version: ClassVar = 2
    language: str
    speakers: Handle[Speakers]
    engine: str
    """Empty: every configured one."""
    engines: Handle[list[EngineUse]]
    """Not read: with the engines the voices change."""
    chosen: Mapping[str, str] | str
    """The user's choice: one voice for everyone, or a voice by speaker."""
    recasts: Handle[list[Recast]]

    async def run(self, tools: Tools, given: Given) -> Result[dict[str, str]]:
        """Returns the voice id by speaker; errors as of `recast_voices`. A recast is published."""
        available, recasts = await tools.clients.tts.voices(self.language, self.engine), given(self.recasts)
        voices = recast_voices(given(self.speakers).each, self.language, available, by_speaker(self.chosen), recasts)
        last = [recast for recast in recasts if recast.before == recasts[-1].before]
        return Result(voices, Published(events=tuple(_recast(self.language, recast, voices) for recast in last)))


def by_speaker(chosen: Mapping[str, str] | str) -> Mapping[str, str]:
    """The user's choice of voices as a mapping."""
    return {"*": chosen} if isinstance(chosen, str) else chosen


def _recast(language: str, recast: Recast, voices: Mapping[str, str]) -> Event:
    moved = {
        name: voices[name] for name in recast.speakers if voices.get(name, recast.before[name]) != recast.before[name]
    }
    engines = list(dict.fromkeys(map(engine_of, moved.values())))
    return Event(
        VOICES_RECAST,
        {"language": language, "from": recast.engine, "to": engines, "reason": recast.reason, "voices": moved},
    )


@dataclass(frozen=True, kw_only=True)
class Translate(Task[dict[str, Translation]]):
    """Translates the lines of one chunk."""

    stage: ClassVar = "translate"
    target: str
    lines: Handle[dict[str, Source]]
    language: Handle[str]
    glossary: tuple[GlossaryTerm, ...]
    engine: str
    """Empty: the first configured one that serves the languages."""
    engines: Handle[list[EngineUse]]
    """Not read: other engines, or another version of one, give other texts."""
    checked: tuple[Handle[int], ...]
    """Not read: nothing is translated before its words are plausible, unless the user forces it."""

    async def run(self, tools: Tools, given: Given) -> dict[str, Translation]:
        """Returns the translations by line id; `Internal` `incomplete_translation` where one is missing."""
        lines = join([given(self.lines)])
        asked = [SourceLine(line.id, line.source.text, max_chars(line.source.slot_ms, self.target)) for line in lines]
        translate, context = tools.clients.translate.translate, self.context(given)
        done = await translate(given(self.language), self.target, asked, self.glossary, self.engine, context)
        if missing := [line.id for line in lines if line.id not in done]:
            details = {"line": missing[0]}
            raise Internal("Translation left out a line.", reason="incomplete_translation", details=details)
        return done

    def context(self, given: Given) -> Context:
        """Returns the surroundings of the chunk."""
        return NO_CONTEXT


@dataclass(frozen=True, kw_only=True)
class ApplyEdits(Task[dict[str, Translation]]):
    """Replaces translations of one chunk by the texts of the user."""

    stage: ClassVar = "store"
    pure: ClassVar = True
    target: str
    lines: Handle[dict[str, Source]]
    translations: Handle[dict[str, Translation]]
    texts: Mapping[str, str]
    """By line id."""

    async def run(self, tools: Tools, given: Given) -> dict[str, Translation]:
        """Returns all translations of the chunk by line id."""
        sources = given(self.lines)
        return {
            line: self._edited(translation, sources[line], self.texts[line]) if line in self.texts else translation
            for line, translation in given(self.translations).items()
        }

    def _edited(self, translation: Translation, source: Source, text: str) -> Translation:
        within_budget = len(text) <= max_chars(source.slot_ms, self.target)
        return replace(
            translation,
            text=text,
            unknown_words=(),
            missed_terms=(),
            within_budget=within_budget,
            edited=True,
            similarity=None,
            meaning_lost=False,
        )


@dataclass(frozen=True, kw_only=True)
class Speak(Task[Speech]):
    """Synthesizes one line."""

    stage: ClassVar = "tts"
    target: str
    translation: Handle[Translation]
    voice: Handle[str]
    engine: str
    """Empty: that of the voice."""
    engines: Handle[list[EngineUse]]
    """Read by the remedy alone; but another version of an engine gives another sound."""
    before: Handle[Translation] | None = field(default=None, compare=False, metadata=CONTEXT)
    """The line of the same speaker just before this one, for the intonation. Neighbours are of the same chunk."""
    after: Handle[Translation] | None = field(default=None, compare=False, metadata=CONTEXT)
    line: str = field(compare=False)
    """
    Id and times of the line, for users, and the length for an engine of exact lengths. A change of the times alone does
    not make the line be spoken again: the mix stretches it.
    """
    start_ms: int = field(compare=False)
    end_ms: int = field(compare=False)
    voices: Handle[dict[str, str]] = field(compare=False)
    """The voices of all speakers, for the remedy, as is the rest."""
    recasts: Handle[list[Recast]] = field(compare=False)
    wanted: bool = field(compare=False)
    """True where the user has named the engine or the voice: then nothing else replaces it."""

    async def run(self, tools: Tools, given: Given) -> Result[Speech]:
        """Returns the speech, or `SILENCE` where the translation has nothing to speak; the line is published."""
        text = given(self.translation).text
        neighbours = self._text(given, self.before), self._text(given, self.after)
        speech = await self._speech(tools, text, given(self.voice), neighbours)
        await tools.progress.line_spoken(self.target, self.end_ms - self.start_ms)
        ready = {"language": self.target, "id": self.line, "start_ms": self.start_ms, "text": text}
        return Result(speech, Published(events=(Event("line.ready", ready),)))

    def remedy(self, given: Given, error: OneVoiceError) -> Remedy | None:
        """Recasts the speakers of an engine that does not work, where another engine speaks the language."""
        engine, recasts = error.details.get(FAILED_ENGINE, ""), given(self.recasts)
        if self.wanted or engine != engine_of(given(self.voice)):
            return None
        if engine not in (recast.engine for recast in recasts):
            recasts.append(Recast(engine, error.reason, given(self.voices)))
        if {use.name for use in given(self.engines)} <= {recast.engine for recast in recasts}:
            return None
        return Remedy(self.recasts.key, dump(self.recasts.kind, recasts))

    def _text(self, given: Given, neighbour: Handle[Translation] | None) -> str:
        return given(neighbour).text if neighbour else ""

    async def _speech(self, tools: Tools, text: str, voice: str, neighbours: tuple[str, str]) -> Speech:
        speak, prefix = tools.clients.tts.speak, tools.prefix("tts")
        try:
            wanted_ms = self.end_ms - self.start_ms
            return await speak(text, self.target, voice, prefix, self.engine, neighbours, wanted_ms)
        except OneVoiceError as error:
            if error.reason != NOTHING_TO_SPEAK:
                raise
            return SILENCE


@dataclass(frozen=True, kw_only=True)
class Fit(Task[dict[str, Placement]]):
    """Places the lines of the language in time."""

    stage: ClassVar = "store"
    pure: ClassVar = True
    target: str
    sound: Handle[Sound]
    cuts: tuple[Handle[dict[str, Source]], ...]
    translations: tuple[Handle[dict[str, Translation]], ...]
    speech: tuple[Handle[Speech], ...]
    """In the time order of the lines."""

    async def run(self, tools: Tools, given: Given) -> Result[dict[str, Placement]]:
        """Returns the placements by line id, without those of silent lines; users see all lines as translations."""
        facts = given.each(self.cuts), given.each(self.translations), given.each(self.speech)
        lines = join(*facts)
        placed = zip(lines, fit(lines, given(self.sound).duration_ms), strict=True)
        placements = {line.id: placement for line, placement in placed if placement}
        return Result(placements, Published(translations=_translations(self.target, join(*facts, placements))))


def _translations(language: str, lines: Sequence[Line]) -> tuple[records.Translation, ...]:
    return tuple(
        records.Translation(
            language=language,
            index=index,
            text=line.text,
            audio=line.audio,
            natural_ms=line.natural_ms,
            start_ms=placed.start_ms if placed else None,
            end_ms=placed.end_ms if placed else None,
            speed=placed.speed if placed else None,
            onset_error_ms=placed.onset_error_ms if placed else None,
            flags=line.flags,
        )
        for index, line in enumerate(lines)
        for placed in (line.placement,)
    )
