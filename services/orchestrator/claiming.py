"""Claiming jobs and giving them back where the answer may be lost: asked again, for a repetition changes nothing."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from onevoice_jobs.leases import Claim, Lease, Refused
from onevoice_jobs.service import Jobs
from onevoice_kit.errors import OneVoiceError

from .pipeline.graph import RetryPolicy
from .settings import OrchestratorSettings

_log = logging.getLogger(__name__)

T = TypeVar("T")
_AGAIN = RetryPolicy(attempts=4, base_s=0.5, cap_s=5.0)


class Claims:
    """What one worker claims."""

    def __init__(
        self, jobs: Jobs, settings: OrchestratorSettings, worker_id: str, rng: random.Random | None = None
    ) -> None:
        """`rng` gives the jitter of retries."""
        self._jobs = jobs
        self._settings = settings
        self._worker_id = worker_id
        self._rng = rng or random.Random()

    async def claim(self, job_id: UUID) -> Claim | Refused:
        """
        Claims a job in the name of the worker and of this call alone: so it finds the lease that it was granted where
        the answer was lost, and another delivery of the same message does not.
        """
        owner = f"{self._worker_id}/{secrets.token_hex(4)}"
        ttl_s, max_attempts = self._settings.worker_lease_s, self._settings.worker_max_attempts
        return await self._surely(lambda: self._jobs.claim(job_id, owner, ttl_s=ttl_s, max_attempts=max_attempts))

    async def give_back(self, lease: Lease, *, count_attempt: bool) -> None:
        """Lets another worker claim the job at once."""
        await self._surely(lambda: self._jobs.give_back(lease, count_attempt=count_attempt))

    async def _surely(self, call: Callable[[], Awaitable[T]]) -> T:
        attempt = 1
        while True:
            try:
                return await call()
            except OneVoiceError as error:
                if not error.retryable or attempt >= _AGAIN.attempts:
                    raise
                _log.warning("Whether a lease was granted or ended is not known: %s", error)
                await asyncio.sleep(_AGAIN.delay_s(attempt, error.retry_after, self._rng))
                attempt += 1
