"""Engine `demucs`: Demucs by PyTorch, on a GPU or a CPU of one's own; its model is named by a setting."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.weights import Weights
from services.asr.engines import demucs_worker, separation_pieces
from services.asr.engines.base import Capabilities, Stems
from services.asr.engines.demucs_worker import Loading
from services.asr.settings import AsrSettings

NAME = "demucs"
RUNTIME = Weights(engine=NAME, extra="demucs", modules=("demucs", "torch"))
_NO_MODEL = (
    "The engine “demucs” needs DEMUCS_MODEL: a .safetensors file, or the name of a model to fetch, such as htdemucs."
)


class Demucs:
    """The engine `demucs`. Its process lives as long as one call, so the memory of a GPU is free between jobs."""

    separates = True

    def __init__(self, loading: Loading) -> None:
        self._loading = loading

    async def describe(self) -> Capabilities:
        missing = RUNTIME.missing() or self._problem()
        name = "" if missing else await asyncio.to_thread(_identity, self._loading.model)
        return Capabilities(info=EngineInfo(NAME, name or self._loading.model, _version()), missing=missing)

    def _problem(self) -> str:
        model = self._loading.model
        if not model:
            return _NO_MODEL
        if _is_file(model) and not Path(model).is_file():
            return f"The engine “demucs” does not find its model {model}."
        return ""

    async def warm(self) -> None:
        """Holds nothing between calls."""

    async def separate(self, programme: Path, stems: Stems, report: Callable[[float], None]) -> None:
        """As the protocol has it."""
        # One process: PyTorch's own threads, or a GPU, share out the work of a piece.
        processes = separation_pieces.Processes(
            1, partial(demucs_worker.load, self._loading), demucs_worker.separate, demucs_worker.CUTTING
        )
        await separation_pieces.separate(processes, programme, stems, report)

    async def close(self) -> None:
        """Holds nothing between calls."""


def create(settings: AsrSettings) -> Demucs:
    """The engine as the settings want it."""
    return Demucs(Loading(settings.demucs_model, settings.demucs_device, settings.workers))


def _is_file(model: str) -> bool:
    return Path(model).suffix == ".safetensors"


@cache
def _identity(model: str) -> str:
    """The name of a model; of a file with the start of its hash, since another one may take its place."""
    if not _is_file(model):
        return model
    with Path(model).open("rb") as file:
        return f"{Path(model).stem} {hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"


@cache
def _version() -> str:
    try:
        return version("demucs")
    except PackageNotFoundError:
        return "4"
