"""Steps of one target language, line by line: voices, translation, speech."""

from __future__ import annotations

from dataclasses import dataclass

from onevoice_jobs.records import Event, Shown
from onevoice_kit.errors import Internal, OneVoiceError
from onevoice_kit.storage.base import ObjectRef

from ..codec import dump, load
from ..pipeline.graph import Inputs, Json, Result
from ..policy.budget import max_chars
from ..policy.segmentation import DEFAULT_SPEAKER
from ..policy.voices import choose_voices
from ..stages.asr import Speakers
from ..stages.lineage import EngineUse
from ..stages.mixer import Media
from ..stages.translate import SourceLine, TranslatedLine, Translations
from ..stages.tts import Speech
from .context import JobContext
from .source import Line


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """A translated line and its speech, or its silence."""

    id: str
    start_ms: int
    """Onset of the original line."""
    text: str
    audio: ObjectRef | None
    """None: the line is silent, and a flag names the reason."""
    natural_ms: int
    """Length as synthesized; 0 where silent."""
    voice: str
    flags: tuple[str, ...]
    engine: EngineUse | None


UNKNOWN_WORDS = "unknown_words"
"""Flag: the translator passed words through that it did not know."""
OVER_BUDGET = "over_budget"
"""Flag: the translation is longer than its slot asks for."""
EDITED = "edited"
"""Flag: the text is the user's."""
NOTHING_TO_SPEAK = "nothing_to_speak"
"""Flag, and reason of synthesis: the line has no words (“♪”, an empty translation), so it is silent."""


async def voices(ctx: JobContext, language: str, inputs: Inputs) -> Json:
    """→ voice id by speaker."""
    speakers = load(Speakers, inputs["diarize"])
    # Where diarization found no turns, segmentation gives every line to the default speaker.
    names = sorted({turn.speaker for turn in speakers.turns}) or [DEFAULT_SPEAKER]
    available = await ctx.stages.tts.voices(language, ctx.options.engines.tts or "")
    return choose_voices(names, language, available, _wishes(ctx, language))


def _wishes(ctx: JobContext, language: str) -> dict[str, str]:
    """The user's wishes for one language as `choose_voices` takes them: by speaker, or `*` for everyone."""
    wish = ctx.options.voices.get(language, {})
    return {"*": wish} if isinstance(wish, str) else dict(wish)


async def translate(ctx: JobContext, language: str, chunk: int, inputs: Inputs) -> Json:
    """→ `Translations` of one chunk."""
    lines = load(list[Line], inputs[f"cut:{chunk}"])
    source = load(Media, inputs["probe"]).audio_language
    asked = [SourceLine(line.id, line.segment.text, max_chars(line.slot_ms, language)) for line in lines]
    engine = ctx.options.engines.translate or ""
    done = await ctx.stages.translate.translate(source, language, asked, ctx.options.glossary, engine)
    return dump(Translations, done)


async def speak(ctx: JobContext, language: str, line: Line, inputs: Inputs) -> Result:
    """→ `SpokenLine`; a silent one where the translation has nothing to speak."""
    translated = _find(load(Translations, inputs[f"translate:{language}:{line.chunk}"]), line.id)
    edited = ctx.edits.text(language, line.id)
    text = translated.text if edited is None else edited
    voice = inputs[f"voices:{language}"][line.segment.speaker]
    engine = ctx.options.engines.tts or ""
    speech = await _speech(ctx, text, language, voice, engine)
    await ctx.progress.line_spoken(language, line.segment.end_ms - line.segment.start_ms)
    flags = (
        (UNKNOWN_WORDS, edited is None and bool(translated.unknown_words)),
        (OVER_BUDGET, len(text) > max_chars(line.slot_ms, language) if edited else not translated.within_budget),
        (EDITED, edited is not None),
        (NOTHING_TO_SPEAK, speech is None),
    )
    spoken = SpokenLine(
        line.id,
        line.segment.start_ms,
        text,
        speech.audio if speech else None,
        speech.natural_ms if speech else 0,
        speech.voice if speech else "",
        tuple(flag for flag, raised in flags if raised),
        speech.engine if speech else None,
    )
    return Result(dump(SpokenLine, spoken), Shown(events=(_line_ready(language, spoken),)))


async def _speech(ctx: JobContext, text: str, language: str, voice: str, engine: str) -> Speech | None:
    """None where there is nothing to speak."""
    try:
        return await ctx.stages.tts.speak(text, language, voice, ctx.prefix("tts"), engine)
    except OneVoiceError as error:
        if error.reason != NOTHING_TO_SPEAK:
            raise
        return None


def _find(translations: Translations, line_id: str) -> TranslatedLine:
    for line in translations.lines:
        if line.id == line_id:
            return line
    raise Internal("Translation left out a line.", reason="incomplete_translation", details={"line": line_id})


def _line_ready(language: str, line: SpokenLine) -> Event:
    return Event("line.ready", {"language": language, "id": line.id, "start_ms": line.start_ms, "text": line.text})


async def spoken(language: str, ids: list[str], inputs: Inputs) -> Json:
    """→ the `SpokenLine`s of one chunk, in order."""
    return [inputs[f"speak:{language}:{line_id}"] for line_id in ids]
