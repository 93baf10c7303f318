"""Settings of the speech recognition service; environment variables of the same names."""

from __future__ import annotations

import os
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

    asr_vendor_timeout_s: float = Field(default=120.0, gt=0)
    """Longest time for one region, from the request to the last byte."""
    asr_vendor_calls: int = Field(default=4, ge=1, le=64)
    """Regions of one call that are with the vendor at once."""
    openai_asr_model: str = "whisper-1"
    """One whose name begins with `gpt-` gives words without times, which are then spread over their region."""
    elevenlabs_asr_model: str = "scribe_v1"
    deepgram_asr_model: str = "nova-3"


class AsrSettings(GrpcServerSettings, StorageSettings, EngineSettings, VendorSettings):
    """Environment of speech recognition."""

    asr_transcription_engines: Names = ("whisper", "pocketsphinx")
    """Engines in order of preference, separated by commas; the first that can work serves."""
    asr_diarization_engines: Names = ("speakers", "single")
    """
    Engines in order of preference, separated by commas; `single` has one speaker for everything. `elevenlabs`,
    `deepgram` and `whisperx`, wherever they are in the list, find the speakers of the audio whose words they recognise,
    in one call.
    """
    asr_identification_engines: Names = ("whisper",)
    """Engines in order of preference, separated by commas; `none`: a job must name the language that is spoken."""
    asr_detection_engines: Names = ("silero",)
    """Engines in order of preference, separated by commas."""
    asr_separation_engines: Names = ("deepfilter", "none")
    """Engines in order of preference, separated by commas; `none` separates nothing: the original is ducked."""
    asr_workers: int = Field(default=0, ge=0, le=256)
    """Processes or threads that recognise speech; 0: one per core this process may use."""
    whisper_model: str = ""
    """A folder with a CTranslate2 model, or a hub id such as `large-v3-turbo`; empty: the installed base model."""
    whisper_device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    whisper_compute_type: str = ""
    """CTranslate2's name of the arithmetic; empty: int8 on a CPU, float16 on a GPU."""
    whisperx_model: str = "large-v3-turbo"
    """A folder with a CTranslate2 model, or a hub id."""
    whisperx_device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    whisperx_compute_type: str = ""
    """CTranslate2's name of the arithmetic; empty: int8 on a CPU, float16 on a GPU."""
    whisperx_batch: int = Field(default=8, ge=1, le=64)
    """Stretches of speech that are recognised together."""
    whisperx_aligners: Names = ()
    """Models for alignment, LANGUAGE=FOLDER-OR-HUB-ID, separated by commas; for other languages WhisperX's own."""
    whisperx_speakers: str = ""
    """Folder or hub id of pyannote's pipeline for speakers; empty: WhisperX's own, which needs `WHISPERX_TOKEN`."""
    whisperx_token: SecretStr = SecretStr("")
    """For the hub."""
    demucs_model: str = ""
    """A `.safetensors` file of Demucs, or the name of a model that is fetched once, such as `htdemucs`; empty: none."""
    demucs_device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    asr_chunk_ms: int = Field(default=15_000, ge=1_000, le=60_000)
    """Longest chunk proposed where a call sets none: short enough to keep several cores busy on a short clip."""
    asr_max_audio_ms: int = Field(default=4 * 3_600_000, ge=1_000)
    """Longest audio accepted."""
    asr_max_calls: int = Field(default=64, ge=1)
    """Transcribe calls that may run at once; one more is refused with the time after which to retry."""

    grpc_drain_grace_s: float = Field(default=60.0, ge=0)
    """After SIGTERM, the time for running calls to finish: enough for a chunk that has begun."""

    @property
    def workers(self) -> int:
        """Processes or threads that recognise speech, at least one."""
        return self.asr_workers or len(os.sched_getaffinity(0))
