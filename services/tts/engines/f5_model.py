"""The models of F5-TTS in one process: a line in the voice of a reference, in exactly the time that is wanted."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray

from onevoice_kit.engines.sharing import SharedModels
from onevoice_kit.engines.weights import Weights
from onevoice_kit.errors import Cancelled, Internal, InvalidInput, Unavailable

PACKAGE = Weights(engine="f5", extra="f5", modules=("f5_tts",), packages={"f5_tts": "f5-tts"})
SAMPLE_RATE = 24_000
HOP = 256
"""Samples of a frame."""
FASTEST, SLOWEST = 1.25, 0.9
"""Rates to which a wanted length may change a line: those to which the lines of other engines are stretched."""
_REPOSITORY, _STEP = "SWivid/F5-TTS", "model_1250000.safetensors"
_TOGETHER_S = 22
"""Longest sound that the model makes well, the reference included."""
_SHORT_BYTES, _SHORT_RATE = 10, 0.3
"""A text shorter than this is spoken so much more slowly than its share of the reference."""
_SEED = 0
"""Of the noise that the sound is made from: the same line has the same samples."""

Floats = NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loading:
    """The properties by which loaded models are shared."""

    model: str
    """Name of a configuration of the library, or the path of one."""
    checkpoint: str
    """File with the weights; empty: those of the hub for a configuration of the library."""
    vocabulary: str
    """File; empty: the library's."""
    vocoder: str
    """Folder with a Vocos model; empty: that of the hub."""
    device: str
    """`auto`, `cpu` or `cuda`."""
    steps: int
    """Of the solver: more are slower and better."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A voice to speak with."""

    sound: Path
    text: str
    """The words in the sound."""
    seconds: float
    gender: str = ""
    """`female`, `male`, `neutral`, or empty."""


def natural_s(text: str, voice: Reference) -> float:
    """The length of a text at the rate of the reference, seconds, by bytes of UTF-8 as the library has it."""
    spoken, known = len(text.encode()), len(_closed(voice.text).encode())
    return voice.seconds * spoken / known / (_SHORT_RATE if spoken < _SHORT_BYTES else 1)


def wanted_s(text: str, voice: Reference, rate: float, wanted_ms: int) -> float:
    """The length to speak a text in: its natural one at the rate, or the wanted one within the rates of a dub."""
    natural = natural_s(text, voice) / rate
    return min(max(wanted_ms / 1000, natural / FASTEST), natural / SLOWEST) if wanted_ms else natural


class F5Model:
    """Loaded models. Use from any thread; one line computes at a time."""

    def __init__(self, loading: Loading) -> None:
        """Raises `Unavailable` (reason `engine_failed`)."""
        self._steps = loading.steps
        self._lock = Lock()
        self._device, self._model, self._vocoder = _loaded(lambda: _load(loading))

    def speak(self, text: str, voice: Reference, seconds: float, given_up: Callable[[], bool]) -> Floats:
        """
        The line as samples of `SAMPLE_RATE`, -1 to 1, of exactly this length. Raises `Internal` (reason
        `engine_failed`), `InvalidInput` (`invalid_voice`), `Cancelled` where it is given up between two parts.
        """
        reference = _sound(voice)
        parts = _parts(text, voice)
        sizes = [len(part.encode()) for part in parts]
        total, done, found = round(seconds * SAMPLE_RATE), 0, []
        for place, part in enumerate(parts, start=1):
            if given_up():
                raise Cancelled("The line was given up.", reason="cancelled")
            end = round(total * sum(sizes[:place]) / sum(sizes))
            found.append(self._part(part, voice, reference, end - done))
            done = end
        return np.concatenate(found)

    def _part(self, text: str, voice: Reference, reference: Floats, samples: int) -> Floats:
        import torch
        from f5_tts.infer.utils_infer import infer_batch_process

        # The library counts the reference with it, in whole frames, and its vocoder drops the last of them.
        frames = len(reference) // HOP + -(-samples // HOP) + 1
        sound = torch.from_numpy(reference).unsqueeze(0)
        with self._lock:
            try:
                torch.manual_seed(_SEED)
                made, _rate, _spectrum = next(
                    infer_batch_process(
                        (sound, SAMPLE_RATE),
                        _closed(voice.text),
                        [text],
                        self._model,
                        self._vocoder,
                        progress=None,
                        nfe_step=self._steps,
                        # Half a frame more, so that rounding down gives the frames that are meant.
                        fix_duration=(frames + 0.5) * HOP / SAMPLE_RATE,
                        device=self._device,
                    )
                )
            except (RuntimeError, ValueError, AssertionError, StopIteration) as error:
                raise Internal("F5-TTS failed on a line.", reason="engine_failed") from error
        fitted = np.zeros(samples, np.float32)
        kept = np.asarray(made, np.float32)[:samples]
        fitted[: len(kept)] = kept
        return fitted


MODELS: SharedModels[Loading, F5Model] = SharedModels(F5Model)


def _load(loading: Loading) -> tuple[str, Any, Any]:
    from importlib.resources import files

    import torch
    from f5_tts.infer.utils_infer import load_model, load_vocoder
    from huggingface_hub import hf_hub_download
    from hydra.utils import get_class
    from omegaconf import OmegaConf

    device = loading.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    path = loading.model
    if not path.endswith(".yaml"):
        path = str(files("f5_tts").joinpath(f"configs/{loading.model}.yaml"))
    config = OmegaConf.load(path).model
    checkpoint = loading.checkpoint or hf_hub_download(_REPOSITORY, f"{loading.model}/{_STEP}")
    with contextlib.redirect_stdout(io.StringIO()):
        vocoder = load_vocoder("vocos", bool(loading.vocoder), loading.vocoder, device)
        backbone = get_class(f"f5_tts.model.{config.backbone}")
        model = load_model(backbone, config.arch, checkpoint, "vocos", loading.vocabulary, device=device)
    return device, model, vocoder


def _loaded(load: Callable[[], T]) -> T:
    # The library of experiments that it imports sends figures about its use to its makers unless this is set.
    os.environ["WANDB_MODE"] = "disabled"
    try:
        return load()
    except ModuleNotFoundError:
        raise
    except Exception as error:  # torch, transformers, omegaconf and the hub have no common class of errors
        raise Unavailable("The F5-TTS model could not be loaded.", reason="engine_failed") from error


def _parts(text: str, voice: Reference) -> Sequence[str]:
    """The text in parts that the model makes well with this reference."""
    from f5_tts.infer.utils_infer import chunk_text

    most = int(len(_closed(voice.text).encode()) / voice.seconds * max(1.0, _TOGETHER_S - voice.seconds))
    return chunk_text(text, max_chars=most) or [text]


def _closed(text: str) -> str:
    """The text of a reference as the library wants it: it ends a sentence, and a space follows."""
    text = text.strip()
    return text if text.endswith("。") else text.rstrip(".") + ". "


def _sound(voice: Reference) -> Floats:
    """The reference as samples of `SAMPLE_RATE`, mono."""
    try:
        samples, rate = soundfile.read(voice.sound, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InvalidInput("The sound of a reference voice cannot be read.", reason="invalid_voice") from error
    mono = samples.mean(axis=1)
    if rate == SAMPLE_RATE:
        return np.asarray(mono, np.float32)
    import torch
    import torchaudio

    resampled = torchaudio.functional.resample(torch.from_numpy(mono), rate, SAMPLE_RATE)
    return np.asarray(resampled.numpy(), np.float32)
