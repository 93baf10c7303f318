"""Repairs what dead processes left: lost messages, jobs past their deadline, unused credits, dead workers."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import notifications
from onevoice_jobs.control import overdue_jobs, requeue_stuck
from onevoice_jobs.leases import Refused, Verdict
from onevoice_jobs.queries import reservations_in_use
from onevoice_jobs.service import Jobs
from onevoice_jobs.workers import forget_dead
from onevoice_kit.db import transaction
from onevoice_kit.errors import OneVoiceError

from .claiming import Claims
from .clients import BillingClient
from .endings import OVERDUE, Endings
from .settings import OrchestratorSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """The findings of one round."""

    requeued: tuple[UUID, ...]
    overdue: tuple[UUID, ...]
    released: tuple[str, ...]
    """Reservations under which no job runs."""
    forgotten_workers: int


class Sweeper:
    """Any number may run at once: each row is taken by one of them, and what is done twice does no harm."""

    def __init__(
        self,
        engine: AsyncEngine,
        jobs: Jobs,
        endings: Endings,
        billing: BillingClient,
        settings: OrchestratorSettings,
        *,
        owner: str,
    ) -> None:
        """`owner`: the worker in whose name jobs are claimed to end them."""
        self._engine = engine
        self._jobs = jobs
        self._endings = endings
        self._billing = billing
        self._settings = settings
        self._claims = Claims(jobs, settings, owner)

    async def run(self) -> None:
        """Sweeps until cancelled. The pauses are jittered, so that many sweepers do not come together."""
        while True:
            await asyncio.sleep(self._settings.sweep_interval_s * random.uniform(0.75, 1.25))
            try:
                swept = await self.sweep()
            except Exception:  # noqa: BLE001 - the next round tries again
                _log.exception("A sweep failed")
                continue
            if swept.requeued or swept.overdue or swept.released:
                facts = {"requeued": len(swept.requeued), "overdue": len(swept.overdue)}
                _log.warning("Jobs had got stuck", extra=facts | {"released": len(swept.released)})

    async def sweep(self) -> Swept:
        """One round."""
        overdue = [job_id for job_id in await self._overdue() if await self._end(job_id)]
        async with transaction(self._engine) as connection:
            older_than_s = self._settings.sweep_stuck_after_s
            requeued = await requeue_stuck(connection, older_than_s=older_than_s, spare_waiting=True)
        forgotten = await forget_dead(self._engine, older_than_s=self._settings.sweep_forget_workers_s)
        await notifications.forget_sent(self._engine)
        return Swept(tuple(requeued), tuple(overdue), tuple(await self._release_unused()), forgotten)

    async def _overdue(self) -> list[UUID]:
        async with transaction(self._engine) as connection:
            return await overdue_jobs(connection)

    async def _release_unused(self) -> list[str]:
        """
        Gives back the credits of jobs that have ended or never came to be. The process that ends a job does that
        itself; found here is what was left when it died and the message for the next worker became a dead letter, for
        instance because billing was away for long. A reservation of the age searched for here without an open job
        gets none any more: a submission or a resumption that takes longer is undone by the gateway, and fails.
        """
        released = []
        try:
            async for page in self._billing.open_reservations(self._settings.sweep_reservations_after_s):
                async with transaction(self._engine) as connection:
                    used = await reservations_in_use(connection, page)
                released += [unused for unused in page if unused not in used and await self._billing.release(unused)]
        except OneVoiceError:  # what is not given back now is found again
            _log.warning("Unused credits cannot be given back now", exc_info=True)
        return released

    async def _end(self, job_id: UUID) -> bool:
        """Ends a job past its deadline; its message, if there is one, finds it ended."""
        claimed = await self._claims.claim(job_id)
        if isinstance(claimed, Refused):
            return False  # another process was faster
        late = claimed.verdict in (Verdict.OVERDUE, Verdict.CANCEL)  # else it was resumed meanwhile
        if not late or await self._endings.give_credits_back(claimed.job):
            # Paid for: the worker that gets its message delivers it.
            await self._claims.give_back(claimed.lease, count_attempt=False)
            return False
        store = self._jobs.store(claimed.lease)
        await (store.job_cancelled() if claimed.verdict is Verdict.CANCEL else store.job_failed(OVERDUE))
        return True
