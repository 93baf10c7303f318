"""Claiming jobs and giving them back where the answer may be lost: asked again, for a repetition changes nothing."""

from __future__ import annotations

import logging
import random
import secrets
from datetime import datetime
from functools import partial
from uuid import UUID

from onevoice_jobs.leases import Claim, Lease, Refused
from onevoice_jobs.parking import Wait
from onevoice_jobs.service import Jobs
from onevoice_kit.errors import OneVoiceError
from onevoice_kit.retry import Backoff, Retry

from .settings import OrchestratorSettings

_log = logging.getLogger(__name__)


class Claims:
    """The claims of one worker."""

    def __init__(
        self, jobs: Jobs, settings: OrchestratorSettings, worker_id: str, rng: random.Random | None = None
    ) -> None:
        """`rng` gives the jitter of retries."""
        self._jobs = jobs
        self._settings = settings
        self._worker_id = worker_id
        self._retry = Retry(Backoff(0.5, 5.0), budget_s=10.0, rng=rng or random.Random(), on_retry=_log_lost)

    async def claim(self, job_id: UUID, sent_at: datetime | None = None) -> Claim | Refused:
        """
        Claims a job in the name of the worker and of this call alone: so it finds the lease that it was granted where
        the reply was lost, and another delivery of the same message does not. `sent_at`: see `leases.claim`.
        """
        owner = f"{self._worker_id}/{secrets.token_hex(4)}"
        ttl_s, max_attempts = self._settings.worker_lease_s, self._settings.worker_max_attempts
        claim = partial(self._jobs.claim, job_id, owner, ttl_s=ttl_s, max_attempts=max_attempts, sent_at=sent_at)
        return await self._retry.call(claim)

    async def give_back(self, lease: Lease, *, count_attempt: bool) -> None:
        """Lets another worker claim the job at once."""
        await self._retry.call(lambda: self._jobs.give_back(lease, count_attempt=count_attempt))

    async def park(self, lease: Lease, wait: Wait) -> None:
        """Gives the job back without counting an attempt, to be delivered again after the wait."""
        await self._retry.call(lambda: self._jobs.park(lease, wait))


async def _log_lost(error: OneVoiceError, _attempt: int, _delay_s: float) -> None:
    _log.warning("It is not known whether a lease was granted or ended: %s", error)
