"""The attempts of a step: what is retried, how often, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Final

from onevoice_kit.errors import DeadlineExceeded, OneVoiceError
from onevoice_kit.retry import Backoff, OnRetry, Retry
from onevoice_kit.telemetry.trace import span

from ..steps.graph import Inputs, Json, Result, Step

STEP_RETRY: Final = Retry(Backoff(first_s=0.5, longest_s=5.0), budget_s=10.0)
"""For steps without a rule of their own. A server may ask for longer waits than the backoff's."""
MAX_TIMEOUTS: Final = 2
"""A step that has met its own deadline so often in one run has failed for good: another attempt would take as long."""
LONG_S: Final = 120.0
"""An attempt that ran for so long before its deadline has too much to do; a shorter one may have met a slow stage."""
ENGINE_TIMEOUT: Final = "engine_timeout"
"""Reason with which a stage reports that its engine took too long over this input, however short that was."""


class StepAttempts:
    """The attempts of one step in one run."""

    def __init__(self, step: Step, inputs: Inputs, bound: asyncio.Semaphore | None) -> None:
        """`bound`: limits the steps of the stage that run at once."""
        self.step = step
        self._inputs = inputs
        self._bound = bound
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._in_flight = self._last = False
        self.count = 0
        """Executions so far."""

    def finish(self) -> bool:
        """Lets no attempt follow the present one. False where there is none: a cancellation then loses nothing."""
        self._last = True
        return self._in_flight

    async def run(self, rule: Retry, on_retry: OnRetry) -> Json | Result[Json]:
        """
        Retries transient errors within the budget of `rule`, and once more a deadline of the step's own, whatever is
        left. `on_retry` is called before each retry.
        """
        rule, timeouts = replace(rule, transient=self._transient, on_retry=on_retry), 0
        while True:
            try:
                return await rule.call(self._attempt)
            except DeadlineExceeded as error:
                if self._last or not self._too_slow(error):
                    raise
                timeouts += 1
                if timeouts == MAX_TIMEOUTS:
                    raise DeadlineExceeded(reason="step_timeout", retryable=False, details=error.details) from error
                await on_retry(error, self.count, 0.0)

    async def _attempt(self) -> Json | Result[Json]:
        self.count += 1
        async with self._bound or contextlib.nullcontext():
            self._began, self._in_flight = self._now(), True
            try:
                with span(f"step {self.step.stage}", step=self.step.key, attempt=self.count):
                    return await self.step.run(self._inputs)
            except BaseException:
                self._in_flight = False  # and after a result it stays, until that is stored
                raise

    def _transient(self, error: OneVoiceError) -> bool:
        return error.retryable and not self._last and not self._too_slow(error)

    def _too_slow(self, error: OneVoiceError) -> bool:
        long = self._now() - self._began >= LONG_S
        return isinstance(error, DeadlineExceeded) and (long or error.reason == ENGINE_TIMEOUT)
