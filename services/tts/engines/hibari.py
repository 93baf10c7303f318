"""Engine `hibari`: one English voice, made from one of Kokoro's, fifty times as fast."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.sharing import SharedModels
from onevoice_kit.engines.weights import WeightFile, Weights
from onevoice_kit.errors import Internal, PreconditionFailed, Unavailable
from services.tts.engines.base import Capabilities, Gender, Line, Voice
from services.tts.settings import TtsSettings

NAME = "hibari"
SAMPLE_RATE = 24_000
VOICES = (Voice(f"{NAME}:heart", "Heart, female", "en-US", Gender.FEMALE, NAME),)
HIBARI = Weights(
    engine=NAME,
    extra="tts",
    modules=("onnxruntime", NAME),
    files=tuple(
        WeightFile(name, ((NAME, f"assets/{name}"),), sha256)
        for name, sha256 in {
            "hibari.onnx": "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
            "oov.onnx": "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
            "vocab.json": "70abefbe8a1c8865e43e0a43bbdc25b91a33e4aa053479d443ccf23e20a59e5d",
            "tagger.json.gz": "d2da7502284bbbe45d49e0b7ce3ce67bdab82254150f4317f1b8559b4d38d0eb",
            "lexicon_us_gold.json.gz": "63ae94f8ef0e906d5b24fe9b59ffcbd1529aca5686a774610e43973cbaa86ad2",
            "lexicon_us_silver.json.gz": "c4c2546ebf1eb07010331e7ef785a431aa17ba8e7bfb6b4af8d654ee96a71fd3",
        }.items()
    ),
)
"""The voice of the package, of 8 MB (Apache-2.0), its readings of words, the network for words that it lacks."""
_SEED = 0
"""Of the noise in the voice: the same line has the same samples."""

Floats = NDArray[np.float32]


class HibariModel:
    """The package's own model with its dictionaries; safe to use from many threads."""

    def __init__(self, _voice: str) -> None:
        """Raises `PreconditionFailed` (reason `engine_unavailable`), `Unavailable` (reason `engine_failed`)."""
        if missing := HIBARI.missing():
            raise PreconditionFailed(missing, reason="engine_unavailable", details={"engine": NAME})
        from hibari import Hibari

        try:
            self._hibari: Any = Hibari()
            # The dictionaries are read with the first text; threads that came first together would read them twice.
            self._hibari.phonemize("Ready.")
        except (OSError, ValueError, RuntimeError) as error:
            raise Unavailable("The hibari model could not be loaded.", reason="engine_failed") from error

    def speak(self, text: str, rate: float) -> bytes:
        """Mono 16-bit samples of `SAMPLE_RATE`; empty without a word."""
        try:
            samples: Floats = self._hibari(text, rate, _SEED)
        except Exception as error:  # the package and the runtime have no common class of errors
            raise Internal("The speech synthesizer failed on a line.", reason="engine_failed") from error
        return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


MODELS: SharedModels[str, HibariModel] = SharedModels(HibariModel)


class HibariEngine:
    """The synthesis engine (see `base.SynthesisEngine`); the model is loaded when first needed and shared."""

    def __init__(self) -> None:
        self._model: HibariModel | None = None

    async def describe(self) -> Capabilities:
        missing = await asyncio.to_thread(HIBARI.missing)
        info = EngineInfo(NAME, "heart", "0.2.1")
        return Capabilities(info=info, voices=VOICES, sample_rate=SAMPLE_RATE, missing=missing, normalises=True)

    async def warm(self) -> None:
        """Loads the model and the dictionaries."""
        await asyncio.to_thread(self._loaded)

    async def speak(self, line: Line) -> bytes:
        # A cancelled line is computed to its end: the longest one takes about a second.
        return await asyncio.to_thread(lambda: self._loaded().speak(line.text, line.rate))

    async def close(self) -> None:
        """Lets go of the model."""
        self._model = None

    def _loaded(self) -> HibariModel:
        model = self._model
        if model is None:
            model = self._model = MODELS.get(NAME)
        return model


def create(_settings: TtsSettings) -> HibariEngine:
    """The engine; it has no settings."""
    return HibariEngine()
