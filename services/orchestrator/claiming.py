"""Claiming jobs and giving them back where the answer may be lost: asked again, for a repetition changes nothing."""

from __future__ import annotations

import logging
import random
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

from onevoice_jobs.leases import Claim, Lease, Refused, Wait
from onevoice_jobs.service import Jobs
from onevoice_kit.errors import OneVoiceError

from .retrying import RetryPolicy, with_retries
from .settings import OrchestratorSettings

_log = logging.getLogger(__name__)

T = TypeVar("T")
_RETRY = RetryPolicy(budget_s=10.0, base_s=0.5, cap_s=5.0)


class Claims:
    """The claims of one worker."""

    def __init__(
        self, jobs: Jobs, settings: OrchestratorSettings, worker_id: str, rng: random.Random | None = None
    ) -> None:
        """`rng` gives the jitter of retries."""
        self._jobs = jobs
        self._settings = settings
        self._worker_id = worker_id
        self._rng = rng or random.Random()

    async def claim(self, job_id: UUID, sent_at: datetime | None = None) -> Claim | Refused:
        """
        Claims a job in the name of the worker and of this call alone: so it finds the lease that it was granted where
        the reply was lost, and another delivery of the same message does not. `sent_at`: see `leases.claim`.
        """
        owner = f"{self._worker_id}/{secrets.token_hex(4)}"
        ttl_s, max_attempts = self._settings.worker_lease_s, self._settings.worker_max_attempts
        claim = partial(self._jobs.claim, job_id, owner, ttl_s=ttl_s, max_attempts=max_attempts, sent_at=sent_at)
        return await self._with_retries(claim)

    async def give_back(self, lease: Lease, *, count_attempt: bool) -> None:
        """Lets another worker claim the job at once."""
        await self._with_retries(lambda: self._jobs.give_back(lease, count_attempt=count_attempt))

    async def park(self, lease: Lease, wait: Wait) -> None:
        """Gives the job back without counting an attempt, to be delivered again after the wait."""
        await self._with_retries(lambda: self._jobs.park(lease, wait))

    async def _with_retries(self, call: Callable[[], Awaitable[T]]) -> T:
        async def log(error: OneVoiceError, _attempt: int, _delay_s: float) -> None:
            _log.warning("It is not known whether a lease was granted or ended: %s", error)

        return await with_retries(lambda _: call(), _RETRY, self._rng, on_retry=log)
