"""The running pipelines, one for each mode, at most so many; a lost one is replaced and its line translated again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from onevoice_kit.errors import Busy, Unavailable
from services.translate.engines.apertium_modes import Mode
from services.translate.engines.apertium_pipeline import Pipeline, PipelineLost

_log = logging.getLogger(__name__)

_RETRY_AFTER_S = 2.0


class _Slot:
    """The place of one mode's pipeline."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        """Callers that work or wait here; a slot without any may be given to another mode."""
        self.mode = ""
        """Name of the mode that the pipeline runs."""
        self.pipeline: Pipeline | None = None

    async def empty(self) -> None:
        """Ends the pipeline."""
        pipeline, self.pipeline = self.pipeline, None
        if pipeline is not None:
            await asyncio.shield(pipeline.close())


class Pool:
    """Pipelines by mode."""

    def __init__(self, max_pipelines: int, line_timeout_s: float) -> None:
        """A pipeline that gives no translation of a line within `line_timeout_s` counts as hung."""
        self._max = max_pipelines
        self._timeout_s = line_timeout_s
        self._slots: dict[str, _Slot] = {}
        """The least recently used first."""

    async def translate(self, mode: Mode, lines: Sequence[str]) -> list[str]:
        """
        The raw translation of each line.

        Raises `Unavailable` (reason `engine_failed`) for a line that ends two pipelines, `Busy` (reason
        `pipelines_busy`) where every pipeline works for another mode.
        """
        answers: list[str] = []
        failed_at = -1
        async with self._slot(mode) as slot:
            while len(answers) < len(lines):
                try:
                    await self._continue(slot, mode, lines, answers)
                except PipelineLost as error:
                    _log.warning("apertium pipeline lost", extra={"mode": mode.name, "cause": str(error)})
                    if failed_at == len(answers):
                        message = "The translator failed on a line."
                        raise Unavailable(message, reason="engine_failed", retry_after=_RETRY_AFTER_S) from error
                    failed_at = len(answers)
        return answers

    async def _continue(self, slot: _Slot, mode: Mode, lines: Sequence[str], answers: list[str]) -> None:
        """Appends the answers that are missing; a pipeline left in the middle of its lines does not stay."""
        whole = False
        try:
            if slot.pipeline is not None and slot.mode != mode.name:
                await slot.empty()
            slot.mode = mode.name
            slot.pipeline = slot.pipeline or await self._started(mode)
            async with aclosing(slot.pipeline.translate(lines[len(answers) :])) as stream:
                async for answer in stream:
                    answers.append(answer)  # noqa: PERF401 - those that came before a failure are kept
            whole = True
        finally:
            if not whole:
                await slot.empty()

    async def _started(self, mode: Mode) -> Pipeline:
        pipeline = Pipeline(mode.stages, self._timeout_s)
        try:
            await pipeline.start()
        except BaseException:
            await asyncio.shield(pipeline.close())
            raise
        return pipeline

    @asynccontextmanager
    async def _slot(self, mode: Mode) -> AsyncIterator[_Slot]:
        slot = self._slots.pop(mode.name, None) or self._new_slot()
        self._slots[mode.name] = slot
        slot.users += 1
        try:
            async with slot.lock:
                yield slot
        finally:
            slot.users -= 1

    def _new_slot(self) -> _Slot:
        """A slot taken from the mode that has been idle longest, where there are as many as may be."""
        if len(self._slots) < self._max:
            return _Slot()
        idle = next((name for name, slot in self._slots.items() if slot.users == 0), None)
        if idle is None:
            raise Busy("Every translator is at work.", reason="pipelines_busy", retry_after=_RETRY_AFTER_S)
        return self._slots.pop(idle)

    async def close(self) -> None:
        """Ends every pipeline."""
        for slot in self._slots.values():
            await slot.empty()
        self._slots.clear()
