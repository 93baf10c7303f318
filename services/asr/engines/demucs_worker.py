"""The part of the engine `demucs` that runs in a worker process: one loaded model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onevoice_kit.errors import Internal, PreconditionFailed
from services.asr.engines.separation_pieces import Cutting, Piece, compute, give_way
from services.asr.stereo import RATE, Stereo

CUTTING = Cutting(length=30 * RATE, before=4 * RATE, after=4 * RATE)
"""The models take some 8 s at a time, so half of that around a piece."""
VOICE = "vocals"


@dataclass(frozen=True, slots=True)
class Loading:
    """The model and the place where it computes."""

    model: str
    """A `.safetensors` file of Demucs, or a name on the hub such as `htdemucs`."""
    device: str
    """`auto`, `cpu` or `cuda`."""
    threads: int
    """Of a CPU."""


_loading: Loading | None = None
_model: Any = None


def load(loading: Loading) -> None:
    """Takes the settings; the model is loaded by the first piece, whose error reaches the caller."""
    global _loading, _model
    give_way()
    _loading, _model = loading, None


def separate(piece: Piece) -> None:
    """
    Computes the voice of a piece: all that is not in the other stems. Raises what `Programme` raises,
    `PreconditionFailed` (reason `engine_unavailable`), `Internal` (reason `engine_failed`).
    """
    compute(piece, _voice)


def _voice(sound: Stereo) -> Stereo:
    model = _loaded()
    try:
        return sound - _others(model, sound)
    except RuntimeError as error:  # PyTorch's, out of memory among them
        raise Internal("Demucs failed on a piece of the audio.", reason="engine_failed") from error


def _others(model: Any, sound: Stereo) -> Stereo:
    """The sum of the stems without the voice, computed at the model's rate and level."""
    import torch
    from demucs.apply import apply_model
    from julius import resample_frac

    taken = resample_frac(torch.from_numpy(np.ascontiguousarray(sound.T)), RATE, model.samplerate)
    middle, spread = taken.mean(), taken.std() + 1e-8
    with torch.no_grad():
        # Without shifts, which are drawn by lot.
        stems = apply_model(model, ((taken - middle) / spread)[None], shifts=0, split=True, device=_device())[0]
    kept = sum(stem for name, stem in zip(model.sources, stems, strict=True) if name != VOICE)
    whole = resample_frac(kept * spread + middle, model.samplerate, RATE, output_length=len(sound))
    others: Stereo = whole.T.contiguous().numpy()
    return others


def _loaded() -> Any:
    global _model
    if _model is None:
        _model = _load()
    return _model


def _load() -> Any:
    assert _loading is not None  # noqa: S101 - `load` has run before any piece
    try:
        model = _read(_loading)
    except Exception as error:
        message = f"The engine “demucs” cannot load the model {_loading.model}."
        raise PreconditionFailed(message, reason="engine_unavailable", details={"engine": "demucs"}) from error
    if VOICE not in model.sources:
        message = f"The model {_loading.model} has no stem for the voice."
        raise PreconditionFailed(message, reason="engine_unavailable", details={"engine": "demucs"})
    return model.eval()


def _read(loading: Loading) -> Any:
    import torch
    from demucs.hf import get_hf_model, load_safetensors_model

    torch.set_num_threads(loading.threads)
    # Safetensors alone: the library's older files are pickles, which run what is in them.
    file = Path(loading.model).suffix == ".safetensors"
    return load_safetensors_model(loading.model) if file else get_hf_model(loading.model)


def _device() -> str:
    import torch

    assert _loading is not None  # noqa: S101
    if _loading.device != "auto":
        return _loading.device
    return "cuda" if torch.cuda.is_available() else "cpu"
