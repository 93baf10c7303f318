"""Engine `kokoro`: Kokoro-82M on ONNX Runtime, with natural voices in eight languages."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.errors import Unavailable
from services.tts.engines.base import Capabilities, Gender, Line, Voice
from services.tts.engines.espeak_kept import KeptEspeak
from services.tts.engines.espeak_program import EspeakProgram
from services.tts.engines.kokoro_asian import READERS, read, runs
from services.tts.engines.kokoro_model import (
    KOKORO,
    MAX_PHONEMES,
    MODELS,
    SAMPLE_RATE,
    KokoroModel,
    Stop,
    voices_missing,
)
from services.tts.engines.kokoro_phonemes import phonemes, pieces
from services.tts.settings import TtsSettings

NAME = "kokoro"
_LANGUAGES = {
    "a": "en-US", "b": "en-GB", "e": "es", "f": "fr", "h": "hi", "i": "it", "j": "ja", "p": "pt-BR", "z": "zh",
}  # fmt: skip
"""By the first letter of a voice's name; the second is its gender."""
_GENDERS = {"f": Gender.FEMALE, "m": Gender.MALE}
_VOICES = (
    "af_heart am_michael af_bella am_fenrir af_nicole am_puck af_aoede am_echo af_kore am_eric af_sarah am_liam "
    "af_alloy am_onyx af_nova am_adam af_sky af_jessica af_river "
    "bf_emma bm_george bf_isabella bm_fable bf_alice bm_lewis bf_lily bm_daniel "
    "ef_dora em_alex em_santa ff_siwis hf_alpha hm_omega hf_beta hm_psi if_sara im_nicola "
    "jf_alpha jm_kumo jf_gongitsune jf_tebukuro jf_nezumi pf_dora pm_alex pm_santa "
    "zf_xiaobei zm_yunjian zf_xiaoni zm_yunxi zf_xiaoxiao zm_yunxia zf_xiaoyi zm_yunyang"
)
"""By language; within one women and men in turn, each by the grade that the model's author gives."""
_PITCHES = (
    "af_heart:186 am_michael:106 af_bella:187 am_fenrir:116 af_nicole:140 am_puck:104 af_aoede:170 am_echo:102 "
    "af_kore:143 am_eric:150 af_sarah:180 am_liam:116 af_alloy:137 am_onyx:83 af_nova:152 am_adam:108 af_sky:151 "
    "af_jessica:198 af_river:165 bf_emma:176 bm_george:138 bf_isabella:198 bm_fable:113 bf_alice:205 bm_lewis:80 "
    "bf_lily:180 bm_daniel:121 ef_dora:172 em_alex:125 em_santa:124 ff_siwis:205 hf_alpha:206 hm_omega:126 "
    "hf_beta:182 hm_psi:133 if_sara:216 im_nicola:88 pf_dora:176 pm_alex:131 pm_santa:133"
)
"""Median pitch of one sentence of each voice, hertz."""
_PITCH_HZ = {name: int(pitch) for name, _, pitch in (one.partition(":") for one in _PITCHES.split())}


_ALSO = {
    "ef_dora": ("fr", "it", "pt-BR"), "em_alex": ("fr", "it", "pt-BR"), "if_sara": ("es", "pt-BR"),
    "im_nicola": ("es",), "pf_dora": ("es",), "pm_alex": ("es",),
}  # fmt: skip
"""Other languages that a voice speaks, with an accent, but understood as well as their own voices or nearly so."""


class Kokoro:
    """The synthesis engine (see `base.SynthesisEngine`); the model is loaded when first needed and shared."""

    def __init__(self, folder: Path, threads: int, program: EspeakProgram) -> None:
        """`folder` has the voices; as many lines as `threads` are computed at once."""
        self._folder = folder
        self._program = KeptEspeak(program)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=NAME)
        self._model: KokoroModel | None = None
        self._closed = False

    async def describe(self) -> Capabilities:
        missing = await asyncio.to_thread(self._missing)
        info = EngineInfo(NAME, "82M v1.0 int8", "1")
        lacking = {language: sentence for language, one in READERS.items() if (sentence := one.missing())}
        voices = tuple(voice for voice in VOICES if voice.language not in lacking)
        return Capabilities(
            info=info,
            voices=voices,
            sample_rate=SAMPLE_RATE,
            missing=missing,
            partly_missing=" ".join(f"For “{language}”: {sentence}" for language, sentence in lacking.items()),
        )

    async def warm(self) -> None:
        """Loads the model."""
        await asyncio.to_thread(self._loaded)

    async def speak(self, line: Line) -> bytes:
        if self._closed:
            raise _shutting_down()
        found = await self._phonemes(line.text, line.voice.language)
        if self._closed:
            raise _shutting_down()
        stop = Stop()
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._spoken, found, line.voice.id.partition(":")[2], line.rate, stop
            )
        except asyncio.CancelledError:
            stop.set()
            raise

    async def close(self) -> None:
        """Lets running lines end, lets go of the model."""
        self._closed = True
        await self._program.close()
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._model = None

    async def _phonemes(self, text: str, language: str) -> str:
        if language not in READERS:
            return await phonemes(self._program, text, language)
        found = [
            await (phonemes(self._program, piece, "en-US") if latin else asyncio.to_thread(read, piece, language))
            for latin, piece in runs(text)
        ]
        return " ".join(found)

    def _missing(self) -> str:
        return KOKORO.missing() or voices_missing(self._folder) or self._program.missing(NAME)

    def _loaded(self) -> KokoroModel:
        model = self._model
        if model is None:
            model = self._model = MODELS.get(self._folder)
        return model

    def _spoken(self, found: str, voice: str, rate: float, stop: Stop) -> bytes:
        model = self._loaded()
        return b"".join(model.speak(piece, voice, rate, stop) for piece in pieces(found, MAX_PHONEMES))


def _shutting_down() -> Unavailable:
    return Unavailable("Speech synthesis is shutting down.", reason="shutting_down")


def create(settings: TtsSettings) -> Kokoro:
    """The engine as the settings want it."""
    return Kokoro(settings.kokoro_voices, settings.workers, EspeakProgram(settings.espeak_timeout_s))


def _voice(name: str) -> Voice:
    language, gender = _LANGUAGES[name[0]], _GENDERS[name[1]]
    shown = name[3:].capitalize()
    also = _ALSO.get(name, ())
    languages = (language, *also) if also else ()
    pitch_hz = _PITCH_HZ.get(name, 0)
    return Voice(f"{NAME}:{name}", f"{shown}, {gender.name.lower()}", language, gender, NAME, pitch_hz, languages)


VOICES = tuple(map(_voice, _VOICES.split()))
