"""Settings of the speech synthesis service; environment variables of the same names."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from onevoice_kit.settings import (
    DeepgramSettings,
    ElevenLabsSettings,
    EngineSettings,
    GrpcServerSettings,
    Names,
    OpenAiSettings,
    StorageSettings,
)


class VendorSettings(OpenAiSettings, ElevenLabsSettings, DeepgramSettings):
    """Settings of the vendors' engines."""

    tts_vendor_timeout_s: float = Field(default=60.0, gt=0)
    """Longest time for one line of a vendor, from the request to the last byte."""
    openai_tts_model: str = "gpt-4o-mini-tts"
    openai_tts_voices: Names = (
        "alloy::neutral",
        "nova::female",
        "onyx::male",
        "coral::female",
        "ash::male",
        "shimmer::female",
        "echo::male",
        "sage::female",
        "ballad::male",
        "marin::female",
        "cedar::male",
    )
    """`id:name:gender` of the voices, in the order in which speakers get them; name and gender may be left out."""
    openai_tts_instructions: str = ""
    """Directions for the voice in words, for models that take them."""
    elevenlabs_tts_model: str = "eleven_multilingual_v2"
    elevenlabs_voices: Names = (
        "EXAVITQu4vr4xnSDxMaL:Sarah:female",
        "JBFqnCBsd6RMkjVDRZzb:George:male",
        "XB0fDUnXU5powFXDhCwa:Charlotte:female",
        "onwK4e9ZLuTAKqWW03F9:Daniel:male",
        "pFZP5JQG7iQjIAuAjmdl:Lily:female",
        "nPczCjzI2devNBz1zQrb:Brian:male",
    )
    """`id:name:gender` of the voices, in the order in which speakers get them."""
    elevenlabs_stability: float | None = Field(default=None, ge=0, le=1)
    """Low: more expression; high: more even. None here and below: the voice's own."""
    elevenlabs_similarity: float | None = Field(default=None, ge=0, le=1)
    """High: closer to the voice."""
    elevenlabs_style: float | None = Field(default=None, ge=0, le=1)
    """Exaggeration of the voice's style."""
    deepgram_voices: Names = (
        "aura-2-thalia-en:Thalia:female",
        "aura-2-apollo-en:Apollo:male",
        "aura-2-helena-en:Helena:female",
        "aura-2-arcas-en:Arcas:male",
        "aura-2-celeste-es:Celeste:female",
        "aura-2-nestor-es:Nestor:male",
        "aura-2-estrella-es:Estrella:female",
        "aura-2-sirio-es:Sirio:male",
        "aura-2-viktoria-de:Viktoria:female",
        "aura-2-julius-de:Julius:male",
        "aura-2-agathe-fr:Agathe:female",
        "aura-2-hector-fr:Hector:male",
        "aura-2-livia-it:Livia:female",
        "aura-2-dionisio-it:Dionisio:male",
        "aura-2-beatrix-nl:Beatrix:female",
        "aura-2-sander-nl:Sander:male",
        "aura-2-izanami-ja:Izanami:female",
        "aura-2-fujin-ja:Fujin:male",
    )
    """`id:name:gender` of the voices; an id ends with its language."""
    fish_api_key: SecretStr = SecretStr("")
    fish_base_url: str = "https://api.fish.audio"
    fish_tts_model: str = "s2-pro"
    fish_voices: Names = ()
    """`id:name:gender` of voices of its library, in the order in which speakers get them; there is no default."""
    custom_tts_url: str = ""
    """Address of a synthesizer of one's own, `docs/custom-synthesis.md`."""
    custom_tts_key: SecretStr = SecretStr("")
    """A server that needs no key gets any word."""
    custom_tts_voices: Names = ("default",)
    """`id:name:gender` of its voices."""
    custom_tts_languages: Names = ("en",)
    """BCP-47; every voice speaks each of them."""
    custom_tts_sample_rate: int = Field(default=24_000, ge=8_000, le=48_000)
    custom_tts_normalises: bool = False
    """True where the server reads numbers, dates and units itself; else it gets them as words."""
    custom_tts_batch: int = Field(default=1, ge=1, le=64)
    """Most lines of one request; more than 1 where the server takes several at once."""
    custom_tts_version: str = ""
    """Another one when the server speaks the same line differently."""


class TtsSettings(GrpcServerSettings, StorageSettings, EngineSettings, VendorSettings):
    """Settings of this service."""

    tts_engines: Names = ("kokoro", "hibari", "espeak")
    """Engines in order of preference, separated by commas."""
    tts_workers: int = Field(default=0, ge=0, le=256)
    """Lines spoken at once; 0: one per core this process may use."""
    tts_max_waiting: int = Field(default=150, ge=0)
    """Lines that may wait for a place; one more is refused with the time after which to retry."""
    kokoro_voices: Path = Path(sys.prefix) / "share" / "onevoice" / "kokoro"
    """Folder with the voice files of Kokoro; `make install` fills it."""
    f5_voices: Path | None = None
    """Folder with the reference voices of F5-TTS: `ana.wav` or `ana.female.wav` of 1 to 12 s, its words in `….txt`."""
    f5_languages: Names = ("en", "zh")
    """BCP-47; those of the model."""
    f5_model: str = "F5TTS_v1_Base"
    """Name of a configuration of F5-TTS, or the path of one that ends with `.yaml`."""
    f5_checkpoint: str = ""
    """File with the weights; empty: those of the hub."""
    f5_vocabulary: str = ""
    """File with the signs of the model; empty: those of F5-TTS."""
    f5_vocoder: str = ""
    """Folder with a Vocos model; empty: that of the hub."""
    f5_device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    f5_steps: int = Field(default=32, ge=1, le=128)
    """Steps of its solver: more are slower and better."""
    espeak_timeout_s: float = Field(default=30.0, gt=0)
    """Longest time for one line; the longest line takes a fifth of a second."""

    @property
    def workers(self) -> int:
        """Lines spoken at once, at least one."""
        return self.tts_workers or len(os.sched_getaffinity(0))
