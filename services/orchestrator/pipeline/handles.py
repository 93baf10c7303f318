"""The handles of a dubbing job: the outputs of its steps, by their names and types."""

from __future__ import annotations

from onevoice_jobs.records import Artifact

from ..clients.asr import DetectedSpeech, Separated, Speakers, Transcript
from ..clients.mixer import Media, Mix, Sound
from ..policy.line import EngineUse, Line, Placement, Source, Speech, Translation
from ..policy.terminology import Terminology
from ..policy.voices import Recast
from ..steps.assembly import Captions, Measurements, Muxed
from ..steps.ending import LanguageEnd
from ..steps.graph import Handle, item

PROBE = Handle("probe", Media)
LANGUAGE = Handle("language", str)
CHECK_LANGUAGE = Handle("check:language", dict[str, int])
EXTRACT = Handle("extract", Sound)
ASR_ENGINES = Handle("engines:asr", dict[str, list[EngineUse]])
DETECT = Handle("detect", DetectedSpeech)
DIARIZE = Handle("diarize", Speakers)
SEPARATE = Handle("separate", Separated)
TRANSCRIPT = Handle("transcript", list[str])
CAPTIONS = Handle("captions", Captions)
THUMBNAIL = Handle("thumbnail", list[Artifact])
REPORT = Handle("report", Artifact)
MANIFEST = Handle("manifest", Artifact)
SETTLE = Handle("settle", int)


def transcribe(chunk: int) -> Handle[Transcript]:
    """The words of a chunk."""
    return Handle(f"transcribe:{chunk}", Transcript)


def cut(chunk: int) -> Handle[dict[str, Source]]:
    """The lines of a chunk, by id."""
    return Handle(f"cut:{chunk}", dict[str, Source])


def check(chunk: int) -> Handle[dict[str, int]]:
    """The doubt about the words up to the end of a chunk."""
    return Handle(f"check:{chunk}", dict[str, int])


def translation_engines(target: str) -> Handle[dict[str, list[EngineUse]]]:
    """The engines that may translate into a language, and the one that wants a summary of the whole first."""
    return Handle(f"engines:translate:{target}", dict[str, list[EngineUse]])


def terms(target: str) -> Handle[Terminology]:
    """The terminology of the whole transcript; an empty one where translation does not wait for it."""
    return Handle(f"terms:{target}", Terminology)


def speech_engines(target: str) -> Handle[list[EngineUse]]:
    """The engines that may speak a language."""
    return Handle(f"engines:tts:{target}", list[EngineUse])


def recasts(target: str) -> Handle[list[Recast]]:
    """The engines that stopped working while they spoke a language."""
    return Handle(f"recast:{target}", list[Recast])


def voices(target: str) -> Handle[dict[str, str]]:
    """The voice of each speaker."""
    return Handle(f"voices:{target}", dict[str, str])


def translate(target: str, chunk: int) -> Handle[dict[str, Translation]]:
    """The translations of a chunk, by line id."""
    return Handle(f"translate:{target}:{chunk}", dict[str, Translation])


def edit(target: str, chunk: int) -> Handle[dict[str, Translation]]:
    """The translations of a chunk with the texts of the user."""
    return Handle(f"edit:{target}:{chunk}", dict[str, Translation])


def speak(target: str, line: str) -> Handle[Speech]:
    """The speech of a line."""
    return Handle(f"speak:{target}:{line}", Speech)


def fit(target: str) -> Handle[dict[str, Placement]]:
    """The placements of the spoken lines, by line id."""
    return Handle(f"fit:{target}", dict[str, Placement])


def captions(target: str) -> Handle[Captions]:
    """The captions of a dub."""
    return Handle(f"captions:{target}", Captions)


def mix(target: str) -> Handle[Mix]:
    """The sound of a dub."""
    return Handle(f"mix:{target}", Mix)


def mux(target: str) -> Handle[Muxed]:
    """The dubbed file."""
    return Handle(f"mux:{target}", Muxed)


def measure(target: str) -> Handle[Measurements]:
    """The measurements of the dubbed file."""
    return Handle(f"measure:{target}", Measurements)


def done(target: str) -> Handle[LanguageEnd]:
    """The end of a language."""
    return Handle(f"done:{target}", LanguageEnd)


def neighbour(
    translations: Handle[dict[str, Translation]], line: Line, other: Line | None
) -> Handle[Translation] | None:
    """The text of a line next to another one, where the same speaker goes on."""
    same = other is not None and other.source.speaker == line.source.speaker
    return item(translations, other.id) if other is not None and same else None
