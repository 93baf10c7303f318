"""Steps done once for a job: inspect the source, extract its sound, find and recognise speech, cut it into lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from onevoice_jobs.records import Artifact, Event, Published, Segment
from onevoice_kit.errors import PreconditionFailed
from onevoice_kit.storage.base import ObjectRef

from ..clients.asr import DetectedSpeech, Region, Speakers, Transcript, WantedWords
from ..clients.mixer import Media, Sound
from ..policy.line import EngineUse, Line, Source, join
from ..policy.segmentation import cut_lines
from .context import Tools
from .graph import Given, Handle, Result
from .task import Task

LEAST_PROBABILITY = 0.5
"""Of an identified language; a dub from the wrong language would be worth nothing."""


@dataclass(frozen=True, kw_only=True)
class Probe(Task[Media]):
    """Inspects the source; refuses one that is damaged or has no sound."""

    stage: ClassVar = "mixer"
    source: ObjectRef

    async def run(self, tools: Tools, given: Given) -> Media:
        """Returns the facts of the file."""
        return await tools.clients.mixer.probe(self.source)


@dataclass(frozen=True, kw_only=True)
class Language(Task[str]):
    """
    Decides on the language of the source: the user's choice, else the file's tag, else what is heard in it, else the
    deployment's default.
    """

    stage: ClassVar = "asr"
    media: Handle[Media]
    sound: Handle[Sound]
    speech: Handle[DetectedSpeech]
    engines: Handle[list[EngineUse]]
    """Those that identify languages; there may be none."""
    named: str | None
    default: str

    async def run(self, tools: Tools, given: Given) -> Result[str]:
        """
        Returns the tag, BCP-47; it is published where none was named. `PreconditionFailed` `language_unclear` where no
        language is probable.
        """
        language = self.named or given(self.media).audio_language
        if not language and given(self.engines):
            regions = given(self.speech).regions
            heard = await tools.clients.asr.identify(given(self.sound).speech, regions)
            language = heard.language
            if heard.probability < LEAST_PROBABILITY:
                message = "The language that is spoken is not clear. Name it as source_language."
                raise PreconditionFailed(message, reason="language_unclear", details={"most_probable": language})
        language = language or self.default
        return Result(language, Published(source_language=None if self.named else language))


@dataclass(frozen=True, kw_only=True)
class RecognitionEngines(Task[dict[str, list[EngineUse]]]):
    """
    Lists the engines that detection, diarization, identification of the language, transcription and separation may use,
    by their identity. A run keeps its lists.
    """

    stage: ClassVar = "asr"
    pure: ClassVar = True
    run_number: int
    """Not read: a new run lists anew."""
    engine: str
    separator: str

    async def run(self, tools: Tools, given: Given) -> dict[str, list[EngineUse]]:
        """Returns the engines by kind, in the order of preference."""
        return await tools.clients.asr.engines(self.engine, self.separator)


@dataclass(frozen=True, kw_only=True)
class Extract(Task[Sound]):
    """Extracts the sound. Reads the source itself, so it need not wait for `Probe`."""

    stage: ClassVar = "mixer"
    source: ObjectRef
    duration_ms: int

    async def run(self, tools: Tools, given: Given) -> Sound:
        """Returns the sound for recognition and for the mix."""

        async def on_progress(fraction: float) -> None:
            await tools.progress.prepare(0.5 * fraction)

        sound = await tools.clients.mixer.extract(self.source, self.duration_ms, tools.prefix("mixer"), on_progress)
        await tools.progress.prepare(0.5)
        return sound


@dataclass(frozen=True, kw_only=True)
class Thumbnail(Task[list[Artifact]]):
    """Takes a picture from the first third of the video."""

    stage: ClassVar = "mixer"
    source: ObjectRef
    media: Handle[Media]

    async def run(self, tools: Tools, given: Given) -> list[Artifact]:
        """Returns the picture; nothing where there is no video."""
        media = given(self.media)
        if not media.has_video:
            return []
        at_ms = min(media.duration_ms // 3, 60_000)
        image = await tools.clients.mixer.thumbnail(self.source, at_ms, tools.prefix("mixer"))
        return [Artifact("thumbnail", None, "thumbnail.jpg", image)]


@dataclass(frozen=True, kw_only=True)
class Detect(Task[DetectedSpeech]):
    """Finds the regions of speech."""

    stage: ClassVar = "asr"
    sound: Handle[Sound]
    engines: Handle[list[EngineUse]]
    """Not read: another detector, or another version of one, finds other regions."""

    async def run(self, tools: Tools, given: Given) -> DetectedSpeech:
        """Returns the regions, by chunk; `PreconditionFailed` `no_speech` where there is none."""
        sound = given(self.sound)
        speech = await tools.clients.asr.detect(sound.speech, sound.duration_ms)
        await tools.progress.prepare(1.0)
        return speech

    def follow(self, tools: Tools, output: DetectedSpeech) -> None:
        """Sets how much speech there is to recognise."""
        tools.progress.expect_speech(output.chunks)


@dataclass(frozen=True, kw_only=True)
class Diarize(Task[Speakers]):
    """Finds which speaker speaks when; with the words where an engine may find both in one call."""

    stage: ClassVar = "asr"
    sound: Handle[Sound]
    speech: Handle[DetectedSpeech]
    engines: tuple[Handle[list[EngineUse]], ...]
    """Not read: other engines, or another version of one, find other turns, and words."""
    count: int
    """Number of speakers; 0 where it is to be estimated."""
    language: tuple[Handle[str], ...] = ()
    """None where no engine finds words too."""
    engine: str = ""
    """The engine for words; read only where there is a language."""

    async def run(self, tools: Tools, given: Given) -> Speakers:
        """Returns the turns, of which there may be none, and the stored words where they were found too."""
        sound, words = given(self.sound), None
        for language in given.each(self.language):
            words = WantedWords(language, self.engine, tools.prefix("asr"))
        regions = given(self.speech).regions
        return await tools.clients.asr.diarize(sound.speech, regions, sound.duration_ms, self.count, words)


@dataclass(frozen=True, kw_only=True)
class Transcribe(Task[Transcript]):
    """Recognises the words of one chunk."""

    stage: ClassVar = "transcribe"
    chunk: int
    sound: Handle[Sound]
    speech: Handle[DetectedSpeech]
    language: Handle[str]
    engine: str
    """Empty: the first configured one that serves the language."""
    engines: Handle[list[EngineUse]]
    """Not read: other engines, or another version of one, give other words."""
    speakers: tuple[Handle[Speakers], ...] = ()
    """The speakers, where the words may have been found with them."""

    async def run(self, tools: Tools, given: Given) -> Transcript:
        """Returns the words, by utterance."""
        sound, regions = given(self.sound), given(self.speech).chunks[self.chunk]
        known = next((found.words for found in given.each(self.speakers)), None)
        language = given(self.language)
        transcript = await tools.clients.asr.transcribe(sound.speech, regions, language, self.engine, known)
        await tools.progress.transcribed(self.chunk)
        return transcript


@dataclass(frozen=True, kw_only=True)
class Cut(Task[dict[str, Source]]):
    """Cuts the words of one chunk into lines."""

    stage: ClassVar = "store"
    pure: ClassVar = True
    chunk: int
    transcript: Handle[Transcript]
    speakers: Handle[Speakers]
    speech: Handle[DetectedSpeech]

    async def run(self, tools: Tools, given: Given) -> Result[dict[str, Source]]:
        """Returns the lines by id; each is published."""
        until = _next_speech(given(self.speech), self.chunk)
        lines = cut_lines(given(self.transcript).utterances, given(self.speakers).turns, until)
        by_id = {f"{self.chunk}.{n}": line for n, line in enumerate(lines)}
        return Result(by_id, Published(events=tuple(_recognised(*line) for line in by_id.items())))

    def follow(self, tools: Tools, output: dict[str, Source]) -> None:
        """Counts the chunk as recognised."""
        tools.progress.heard(self.chunk)


def _next_speech(speech: DetectedSpeech, chunk: int) -> int:
    """Start of the first speech after a chunk, or the end of the source."""
    later: list[Region] = [region for regions in speech.chunks[chunk + 1 :] for region in regions]
    return later[0][0] if later else speech.duration_ms


def _recognised(line_id: str, line: Source) -> Event:
    times = {"start_ms": line.start_ms, "end_ms": line.end_ms}
    return Event("segment.recognised", {"id": line_id, **times, "speaker": line.speaker, "text": line.text})


@dataclass(frozen=True, kw_only=True)
class Order(Task[list[str]]):
    """Puts the lines of all chunks into time order."""

    stage: ClassVar = "store"
    pure: ClassVar = True
    cuts: tuple[Handle[dict[str, Source]], ...]

    async def run(self, tools: Tools, given: Given) -> Result[list[str]]:
        """Returns the ids; a line's place is its index. `PreconditionFailed` `no_speech` where there is no line."""
        lines = join(given.each(self.cuts))
        if not lines:
            raise PreconditionFailed("No intelligible speech was found in the video.", reason="no_speech")
        return Result([line.id for line in lines], Published(segments=_segments(lines)))


def _segments(lines: Sequence[Line]) -> tuple[Segment, ...]:
    return tuple(
        Segment(index, line.chunk, source.start_ms, source.end_ms, source.speaker, source.text, source.words)
        for index, line in enumerate(lines)
        for source in (line.source,)
    )
