"""An edit of a completed job and the run that applies it, as the gateway starts it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import runs
from onevoice_kit.db import transaction, uuid7
from services.billing.ledger import Ledger, quote


async def edit(engine: AsyncEngine, user_id: UUID, job_id: UUID, language: str, index: int, text: str) -> None:
    """Stores the user's text of a line."""
    async with transaction(engine) as connection:
        await runs.edit_translation(connection, user_id, job_id, language, index, text)


async def regenerate(engine: AsyncEngine, ledger: Ledger, user_id: UUID, job_id: UUID) -> UUID:
    """Reserves the price of the changes and starts the run; returns the reservation."""
    reservation = uuid7()
    async with transaction(engine) as connection:
        changed = await runs.unpaid_changes(connection, user_id, job_id)
    price = quote(sum(changed.values()), 1).credits
    await ledger.reserve(str(user_id), str(reservation), price, job_id=str(job_id))
    async with transaction(engine) as connection:
        await runs.start_edit_run(
            connection,
            user_id,
            job_id,
            reservation_id=str(reservation),
            quoted_credits=price,
            changed_ms=changed,
        )
    return reservation
