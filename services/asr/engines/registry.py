"""The engines of this stage by name: for words, speakers, both in one call, languages, speech, and separating it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from onevoice_kit.engines.registry import Registry
from onevoice_kit.engines.standard import standard_layers
from services.asr.engines.base import (
    Capabilities,
    ConversationEngine,
    DetectionEngine,
    DiarizationEngine,
    IdentificationEngine,
    SeparationEngine,
    TranscriptionEngine,
)
from services.asr.settings import AsrSettings

TRANSCRIPTION: Mapping[str, str] = {
    "whisper": "services.asr.engines.whisper",
    "pocketsphinx": "services.asr.engines.pocketsphinx",
    "openai": "services.asr.engines.openai",
    "elevenlabs": "services.asr.engines.elevenlabs",
    "deepgram": "services.asr.engines.deepgram",
    "whisperx": "services.asr.engines.whisperx",
}
"""Modules with a function `create(settings)`."""
DIARIZATION: Mapping[str, str] = {
    "speakers": "services.asr.engines.speakers",
    "single": "services.asr.engines.single",
}
CONVERSATION: Mapping[str, str] = {
    "elevenlabs": "services.asr.engines.elevenlabs",
    "deepgram": "services.asr.engines.deepgram",
    "whisperx": "services.asr.engines.whisperx",
}
IDENTIFICATION: Mapping[str, str] = {"whisper": "services.asr.engines.whisper_language"}
DETECTION: Mapping[str, str] = {"silero": "services.asr.engines.silero"}
SEPARATION: Mapping[str, str] = {
    "deepfilter": "services.asr.engines.deepfilter",
    "demucs": "services.asr.engines.demucs",
    "none": "services.asr.engines.none",
}

TranscriptionEngines: TypeAlias = Registry[TranscriptionEngine, Capabilities]
DiarizationEngines: TypeAlias = Registry[DiarizationEngine, Capabilities]
ConversationEngines: TypeAlias = Registry[ConversationEngine, Capabilities]
IdentificationEngines: TypeAlias = Registry[IdentificationEngine, Capabilities]
DetectionEngines: TypeAlias = Registry[DetectionEngine, Capabilities]
SeparationEngines: TypeAlias = Registry[SeparationEngine, Capabilities]


def transcription_engines(settings: AsrSettings, modules: Mapping[str, str] = TRANSCRIPTION) -> TranscriptionEngines:
    """The configured engines; raises `InvalidInput` (reason `unknown_engine`) for a configured name that is none."""
    layers = standard_layers("transcription", settings)
    return Registry(modules, settings.asr_transcription_engines, settings, capabilities=Capabilities, layers=layers)


def diarization_engines(settings: AsrSettings, modules: Mapping[str, str] = DIARIZATION) -> DiarizationEngines:
    """The configured engines that find speakers alone, as `transcription_engines`; there may be none."""
    layers = standard_layers("diarization", settings)
    names = [name for name in settings.asr_diarization_engines if name not in CONVERSATION]
    return Registry({**modules, **CONVERSATION}, names, settings, capabilities=Capabilities, layers=layers)


def conversation_engines(settings: AsrSettings, modules: Mapping[str, str] = CONVERSATION) -> ConversationEngines:
    """The configured engines that find words and speakers in one call, as `transcription_engines`; mostly none."""
    layers = standard_layers("conversation", settings)
    names = [name for name in settings.asr_diarization_engines if name in modules]
    return Registry(modules, names, settings, capabilities=Capabilities, layers=layers)


def identification_engines(settings: AsrSettings, modules: Mapping[str, str] = IDENTIFICATION) -> IdentificationEngines:
    """The configured engines, as `transcription_engines`; there may be none."""
    layers = standard_layers("identification", settings)
    names = [name for name in settings.asr_identification_engines if name != "none"]
    return Registry(modules, names, settings, capabilities=Capabilities, layers=layers)


def detection_engines(settings: AsrSettings, modules: Mapping[str, str] = DETECTION) -> DetectionEngines:
    """The configured engines, as `transcription_engines`."""
    layers = standard_layers("detection", settings)
    return Registry(modules, settings.asr_detection_engines, settings, capabilities=Capabilities, layers=layers)


def separation_engines(settings: AsrSettings, modules: Mapping[str, str] = SEPARATION) -> SeparationEngines:
    """The configured engines, as `transcription_engines`; there may be none."""
    layers = standard_layers("separation", settings)
    return Registry(modules, settings.asr_separation_engines, settings, capabilities=Capabilities, layers=layers)
