"""Engine `f5`: F5-TTS, in the voices of references of one's own, each line in exactly the time that is wanted."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from threading import Event
from typing import TypeVar

import numpy as np
import soundfile

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.vendor import variant
from onevoice_kit.errors import InvalidInput, PreconditionFailed, Unavailable
from services.tts.engines.base import Capabilities, Line
from services.tts.engines.f5_model import MODELS, PACKAGE, SAMPLE_RATE, F5Model, Loading, Reference, wanted_s
from services.tts.engines.voices import multilingual, vendor_id
from services.tts.settings import TtsSettings

NAME = "f5"
SHORTEST_S, LONGEST_S = 1.0, 12.0
"""Of a reference: with a longer one the library speaks badly."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
T = TypeVar("T")


class F5:
    """The synthesis engine (see `base.SynthesisEngine`); the model is loaded when first needed and shared."""

    def __init__(self, settings: TtsSettings) -> None:
        self._settings = settings
        self._loading = loading(settings)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=NAME)
        self._model: F5Model | None = None
        self._closed = False

    async def describe(self) -> Capabilities:
        missing = await asyncio.to_thread(PACKAGE.missing)
        found, problems = await asyncio.to_thread(references, self._settings.f5_voices)
        content = {name: _digest(reference) for name, reference in found.items()}
        part = variant(steps=self._loading.steps, vocoder=self._loading.vocoder, voices=content)
        model = PurePath(self._loading.checkpoint).name or self._loading.model
        if not found and not missing:
            missing = "The engine “f5” needs voices: F5_VOICES names a folder with a WAV file and its text for each."
        return Capabilities(
            info=EngineInfo(NAME, PurePath(model).stem, f"{_version()}-{part}"),
            voices=multilingual(NAME, _listed(found), self._settings.f5_languages),
            sample_rate=SAMPLE_RATE,
            exact=True,
            missing=missing,
            partly_missing=" ".join(problems),
        )

    async def warm(self) -> None:
        """Loads the model."""
        await self._run(self._loaded)

    async def speak(self, line: Line) -> bytes:
        """As the protocol has it. A line that is cancelled ends after the part that is being computed."""
        given_up = Event()
        try:
            return await self._run(partial(self._speak, line, given_up))
        finally:
            given_up.set()

    async def close(self) -> None:
        """Drops what waits, lets the running part end, lets go of the model."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._model = None

    async def _run(self, work: Callable[[], T]) -> T:
        """The result of work in the engine's thread. A call that is cancelled drops work that has not begun."""
        if self._closed:
            raise Unavailable("Speech synthesis is shutting down.", reason="shutting_down")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _loaded(self) -> F5Model:
        if self._model is None:
            if missing := PACKAGE.missing():
                raise PreconditionFailed(missing, reason="engine_unavailable", details={"engine": NAME})
            self._model = MODELS.get(self._loading)
        return self._model

    def _speak(self, line: Line, given_up: Event) -> bytes:
        found, _ = references(self._settings.f5_voices)
        reference = found.get(vendor_id(line.voice))
        if reference is None:
            raise InvalidInput("The voice is no longer among the references.", reason="unknown_voice")
        seconds = wanted_s(line.text, reference, line.rate, line.wanted_ms)
        samples = self._loaded().speak(line.text, reference, seconds, given_up.is_set)
        return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def create(settings: TtsSettings) -> F5:
    """The engine as the settings want it."""
    return F5(settings)


def loading(settings: TtsSettings) -> Loading:
    """The models that the settings want."""
    return Loading(
        settings.f5_model,
        settings.f5_checkpoint,
        settings.f5_vocabulary,
        settings.f5_vocoder,
        settings.f5_device,
        settings.f5_steps,
    )


def references(folder: Path | None) -> tuple[dict[str, Reference], list[str]]:
    """
    The voices of a folder by name, in the order of their files, and a sentence for each file that cannot be one. A
    voice is `ana.wav` or `ana.female.wav` with its words in a file of the same name that ends with `.txt`.
    """
    found: dict[str, Reference] = {}
    problems = []
    for sound in sorted(folder.glob("*.wav")) if folder else ():
        name, _, gender = sound.stem.partition(".")
        try:
            seconds = soundfile.info(sound).duration
            words = sound.with_suffix(".txt").read_text(encoding="utf-8").strip()
        except (soundfile.LibsndfileError, OSError, UnicodeDecodeError):
            problems.append(f"The voice {sound.name} has no text, or one of both cannot be read.")
            continue
        if not words or not SHORTEST_S <= seconds <= LONGEST_S or not _NAME.fullmatch(name):
            problems.append(f"The voice {sound.name} has no words, another name than letters, or not 1 to 12 s.")
            continue
        found[name] = Reference(sound, words, seconds, gender)
    return found, problems


def _listed(found: Mapping[str, Reference]) -> list[str]:
    return [f"{name}:{name}:{reference.gender}" for name, reference in found.items()]


def _digest(reference: Reference) -> str:
    return hashlib.sha256(reference.sound.read_bytes() + reference.text.encode()).hexdigest()


def _version() -> str:
    try:
        return version("f5-tts")
    except PackageNotFoundError:
        return "0"
