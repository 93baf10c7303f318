"""The models of WhisperX in one process: Whisper, one for alignment in each language, one for speakers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from threading import RLock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from onevoice_kit.engines.sharing import SharedModels
from onevoice_kit.engines.weights import Weights
from onevoice_kit.errors import Internal, Unavailable
from services.asr.audio import SAMPLE_RATE
from services.asr.engines.vendor_regions import spread
from services.asr.engines.whisper_model import TimedWord

PACKAGE = Weights(engine="whisperx", extra="whisperx", modules=("whisperx",))
CHUNK_S = 30
"""Longest stretch that Whisper gets at once."""
_VAD = {"vad_onset": 0.5, "vad_offset": 0.363, "chunk_size": CHUNK_S}
_UNALIGNED = 0.5
"""Confidence of a word that was spread over its stretch, because its text has no sound in the alphabet of the model."""

Sound = NDArray[np.float32]
"""16 kHz, mono, -1 to 1."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loading:
    """The properties by which loaded models are shared."""

    model: str
    """Folder or hub id of a Whisper model in CTranslate2's form."""
    device: str
    """`auto`, `cpu` or `cuda`."""
    compute_type: str
    """Empty: int8 on a CPU, float16 on a GPU."""
    batch: int
    """Stretches that are recognised together."""
    aligners: tuple[tuple[str, str], ...]
    """Language and folder or hub id of models for alignment; for other languages WhisperX's own."""
    speakers: str
    """Folder or hub id of the pipeline for speakers; empty: WhisperX's own."""
    token: str = ""
    """For the hub; the pipeline for speakers is given out to those who accepted its terms."""

    def __repr__(self) -> str:
        return f"Loading({self.model!r}, {self.device!r})"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of recognised sound, times in the sound that was given."""

    start_s: float
    end_s: float
    text: str


class WhisperXModels:
    """Models that are loaded when first needed. Use from any thread; one computes at a time."""

    def __init__(self, loading: Loading) -> None:
        """Raises `Unavailable` (reason `engine_failed`)."""
        self._loading = loading
        self._lock = RLock()
        self._aligners: dict[str, tuple[Any, Mapping[str, Any]]] = {}
        self.device, self._whisper = _loaded("Whisper model", self._load_whisper)

    def texts(self, sounds: Sequence[Sound], language: str) -> list[str]:
        """The text of each sound, at most `CHUNK_S` long."""
        ends = np.cumsum([len(sound) for sound in sounds]) / SAMPLE_RATE
        parts = [{"start": end - len(sound) / SAMPLE_RATE, "end": end} for sound, end in zip(sounds, ends, strict=True)]
        with self._computing():
            found = self._transcribe(np.concatenate(sounds), language, _given(parts))
        return [stretch.text for stretch in found]

    def stretches(self, sound: Sound, language: str) -> list[Stretch]:
        """The recognised stretches of a long sound, by WhisperX's own detection of speech."""
        vad = self._speech
        with self._computing():
            return self._transcribe(sound, language, vad)

    def words(self, sound: Sound, stretch: Stretch, language: str) -> list[TimedWord]:
        """The words of a stretch with their times in the sound, by alignment."""
        text = stretch.text.strip()
        if not text:
            return []
        aligner, metadata = self._aligner(language)
        import whisperx

        one = {"start": stretch.start_s, "end": stretch.end_s, "text": text}
        with self._computing():
            result = whisperx.align([one], aligner, metadata, sound, self.device)
        words = [word for segment in result["segments"] for word in segment["words"]]
        if not words or any("start" not in word or "end" not in word for word in words):
            offset = round(stretch.start_s * 1000)
            placed = spread(text, round((stretch.end_s - stretch.start_s) * 1000))
            return [TimedWord(w.text, offset + w.start_ms, offset + w.end_ms, _UNALIGNED) for w in placed]
        return [_timed(word) for word in words]

    def speakers(self, sound: Sound, count: int) -> Any:
        """WhisperX's table of turns: columns `start`, `end` in seconds, `speaker`. `count` is 0 where it is unknown."""
        pipeline = self._pipeline
        with self._computing():
            return pipeline(sound, num_speakers=count or None)

    def assign(self, turns: Any, words: Sequence[TimedWord]) -> list[str]:
        """The speaker of each word, by the turns; empty where there is none."""
        from whisperx.diarize import assign_word_speakers

        rows: list[dict[str, Any]] = [{"start": one.start_ms / 1000, "end": one.end_ms / 1000} for one in words]
        segments = [{**row, "words": [row]} for row in rows]
        with self._computing():
            assign_word_speakers(turns, {"segments": segments}, fill_nearest=True)
        return [str(row.get("speaker", "")) for row in rows]

    def _transcribe(self, sound: Sound, language: str, vad: Any) -> list[Stretch]:
        import whisperx

        # A pipeline holds the language of its last call, so each call gets its own; the model is shared.
        pipeline = whisperx.load_model(
            self._loading.model, self.device, model=self._whisper, language=language, vad_model=vad
        )
        result = pipeline.transcribe(sound, batch_size=self._loading.batch, language=language, chunk_size=CHUNK_S)
        return [Stretch(float(one["start"]), float(one["end"]), _text(one["text"])) for one in result["segments"]]

    def _load_whisper(self) -> tuple[str, Any]:
        # pyannote sends figures about its use to its makers unless this is set.
        os.environ["PYANNOTE_METRICS_ENABLED"] = "false"
        import torch
        from whisperx.asr import WhisperModel

        # Its log lines hold what was recognised.
        logging.getLogger("whisperx").setLevel(logging.CRITICAL)
        device = self._loading.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        arithmetic = self._loading.compute_type or ("float16" if device == "cuda" else "int8")
        return device, WhisperModel(self._loading.model, device=device, compute_type=arithmetic)

    @cached_property
    def _speech(self) -> Any:
        def load() -> Any:
            import torch
            from whisperx.vads import Pyannote

            return Pyannote(torch.device(self.device), **_VAD)

        with self._lock:
            return _loaded("model for speech", load)

    @cached_property
    def _pipeline(self) -> Any:
        def load() -> Any:
            from whisperx.diarize import DiarizationPipeline

            loading = self._loading
            return DiarizationPipeline(loading.speakers or None, token=loading.token or None, device=self.device)

        with self._lock:
            return _loaded("pipeline for speakers", load)

    def _aligner(self, language: str) -> tuple[Any, Mapping[str, Any]]:
        def load() -> tuple[Any, Mapping[str, Any]]:
            import whisperx

            name = dict(self._loading.aligners).get(language)
            aligner, metadata = whisperx.load_align_model(language, self.device, model_name=name)
            return aligner.eval(), metadata

        with self._lock:
            if language not in self._aligners:
                self._aligners[language] = _loaded("model for alignment", load)
            return self._aligners[language]

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """One computation at a time. Raises `Internal` (reason `engine_failed`)."""
        with self._lock:
            try:
                yield
            except (RuntimeError, ValueError, LookupError, OSError) as error:
                raise Internal("WhisperX failed on a part of the audio.", reason="engine_failed") from error


MODELS: SharedModels[Loading, WhisperXModels] = SharedModels(WhisperXModels)


def _given(parts: Sequence[Mapping[str, float]]) -> Any:
    """Stands for a detector of speech: the stretches are known."""
    from whisperx.vads import Vad

    class Given(Vad):  # type: ignore[misc]
        def __init__(self) -> None:
            """Has no threshold."""

        def __call__(self, _audio: object) -> Sequence[Mapping[str, float]]:
            return parts

        @staticmethod
        def preprocess_audio(audio: Sound) -> Sound:
            return audio

        @staticmethod
        def merge_chunks(found: Sequence[Mapping[str, float]], *_: object, **__: object) -> Any:
            return found

    return Given()


def _loaded(what: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except ModuleNotFoundError:
        raise
    except Exception as error:  # torch, transformers, pyannote and the hub have no common class of errors
        raise Unavailable(f"WhisperX's {what} could not be loaded.", reason="engine_failed") from error


def _text(text: Any) -> str:
    return str(text[0] if isinstance(text, list) else text)


def _timed(word: Mapping[str, Any]) -> TimedWord:
    start, end = round(float(word["start"]) * 1000), round(float(word["end"]) * 1000)
    return TimedWord(str(word["word"]), start, max(end, start + 1), float(word.get("score", _UNALIGNED)))
