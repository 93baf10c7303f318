"""The options of a job, and their form as JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Loudness = Literal["source", "-23", "-16", "-14"]
Terms = Literal["auto", "off"]


class GlossaryTerm(BaseModel):
    """A term that is always translated the same way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(min_length=1, max_length=200)
    target: str = Field(min_length=1, max_length=200)


class EngineChoice(BaseModel):
    """Engines the user names; None: the first configured that serves the language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asr: str | None = None
    translate: str | None = None
    tts: str | None = None
    separation: str | None = None
    """`none`: the original is ducked."""


class JobOptions(BaseModel):
    """Choices of one job; what is not chosen has its default here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_language: str | None = None
    """BCP-47; None: the language that the video states, or that recognition finds."""
    voices: dict[str, str | dict[str, str]] = Field(default_factory=dict)
    """By target language: one voice id for everyone, or a voice id for each speaker."""
    speakers: int | None = Field(default=None, ge=1, le=20)
    """Number of speakers; None: it is estimated."""
    glossary: tuple[GlossaryTerm, ...] = ()
    loudness: Loudness = "source"
    """`source` (within 1 LU of it), or LUFS."""
    burn_in_captions: bool = False
    force: bool = False
    """The job goes on where its words seem not to be what is said."""
    keep_original_audio: bool = True
    """The original sound stays in the file as a second track."""
    engines: EngineChoice = EngineChoice()
    terminology: Terms = "auto"
    """
    `auto`: where the engine for translation wants it, a summary and the terms of the whole transcript come first, and
    translation waits for them. `off`: it never does.
    """
    duck_gain_db: float | None = Field(default=None, ge=-60, le=0)
    """Gain of the original under a line where it is not separated; None: the deployment's setting."""
