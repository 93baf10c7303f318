"""The conditions at the end: nothing lost, nothing doubled, not a credit too many or too few."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg


@dataclass(frozen=True, slots=True)
class Finding:
    """A count that should be zero."""

    name: str
    count: int


_COUNTS = {
    "jobs that failed or were cancelled": "SELECT count(*) FROM jobs.jobs WHERE status IN ('failed', 'cancelled')",
    "jobs with another number of terminal events than one": """
        SELECT count(*) FROM jobs.jobs WHERE 1 <> (
            SELECT count(*) FROM jobs.job_events
            WHERE job_id = jobs.id AND type IN ('job.completed', 'job.failed', 'job.cancelled'))""",
    "events whose numbers have gaps": """
        SELECT count(*) FROM jobs.jobs WHERE last_event <> (
            SELECT count(*) FROM jobs.job_events WHERE job_id = jobs.id)""",
    "completed jobs with other files than the rest": """
        WITH files AS (
            SELECT jobs.id, (SELECT string_agg(kind || ':' || COALESCE(language, ''), ' ' ORDER BY kind, language)
                             FROM jobs.artifacts WHERE job_id = jobs.id) AS names
            FROM jobs.jobs WHERE status = 'completed')
        SELECT count(*) FROM files WHERE names IS DISTINCT FROM (SELECT mode() WITHIN GROUP (ORDER BY names) FROM files)
    """,
    "completed jobs without a stored settlement": """
        SELECT count(*) FROM jobs.jobs WHERE status = 'completed' AND NOT EXISTS (
            SELECT FROM jobs.steps WHERE job_id = jobs.id AND step_key = 'settle' AND payment)""",
    "completed jobs with languages that have not ended": """
        SELECT count(DISTINCT job_id) FROM jobs.language_tasks JOIN jobs.jobs ON jobs.id = job_id
        WHERE jobs.status = 'completed' AND language_tasks.completed_at IS NULL""",
    "completed jobs whose run has not": """
        SELECT count(*) FROM jobs.jobs JOIN jobs.runs ON job_id = jobs.id AND number = resumes + 1
        WHERE jobs.status = 'completed' AND runs.status <> 'completed'""",
    "dead letters": "SELECT count(*) FROM jobs.outbox WHERE dead_at IS NOT NULL",
    "completed jobs not reserved once, spent once": """
        SELECT count(*) FROM jobs.jobs WHERE status = 'completed' AND NOT EXISTS (
            SELECT FROM billing.entries WHERE job = CAST(jobs.id AS text) GROUP BY job
            HAVING count(*) FILTER (WHERE kind = 'reserve') = 1 AND count(*) FILTER (WHERE kind = 'settle') = 1
               AND sum(credits) FILTER (WHERE kind = 'settle') = jobs.spent_credits
               AND sum(CASE kind WHEN 'reserve' THEN credits ELSE -credits END) = 0)""",
    "reservations left open": "SELECT count(*) FROM billing.reservations WHERE state = 'open'",
    "credits spent for jobs that do not exist": """
        SELECT COALESCE(sum(credits), 0) FROM billing.entries
        WHERE kind = 'settle' AND NOT EXISTS (SELECT FROM jobs.jobs WHERE CAST(id AS text) = entries.job_id)""",
    "ledger drift: issued less available, reserved and revenue": """
        SELECT abs((SELECT COALESCE(sum(credits), 0) FROM billing.entries WHERE kind = 'grant')
             - (SELECT COALESCE(sum(available + reserved), 0) FROM billing.accounts)
             - (SELECT COALESCE(sum(credits), 0) FROM billing.entries WHERE kind = 'settle'))""",
    "accounts whose balances are not the sum of their entries": """
        SELECT count(*) FROM billing.accounts WHERE (available, reserved) <> (
            SELECT sum(CASE kind WHEN 'reserve' THEN -credits WHEN 'settle' THEN 0 ELSE credits END),
                   sum(CASE kind WHEN 'reserve' THEN credits WHEN 'grant' THEN 0 ELSE -credits END)
            FROM billing.entries WHERE entries.user_id = accounts.user_id)""",
}


async def findings(database: asyncpg.Connection, accepted: Collection[UUID]) -> Sequence[Finding]:
    """Everything that was checked."""
    known = {row["id"]: row["completed_at"] for row in await database.fetch("SELECT id, completed_at FROM jobs.jobs")}
    found = [
        Finding("lost: accepted jobs that do not exist", len(set(accepted) - known.keys())),
        Finding("lost: accepted jobs that have not ended", sum(known.get(job) is None for job in accepted)),
        Finding("doubled: jobs that no request was told of", len(known.keys() - set(accepted))),
    ]
    return found + [Finding(name, int(await database.fetchval(query))) for name, query in _COUNTS.items()]


async def open_work(database: asyncpg.Connection) -> int:
    """Jobs that have not ended, messages that wait and reservations that are open."""
    query = """
        SELECT (SELECT count(*) FROM jobs.jobs WHERE completed_at IS NULL)
             + (SELECT count(*) FROM jobs.outbox WHERE sent_at IS NULL AND dead_at IS NULL)
             + (SELECT count(*) FROM billing.reservations WHERE state = 'open')"""
    return int(await database.fetchval(query))


async def waiting(database: asyncpg.Connection) -> str:
    """A sentence about the jobs that wait for tts, and about those that a worker holds."""
    row = await database.fetchrow("""
        SELECT count(*) FILTER (WHERE stage = 'waiting for tts') AS waiting,
               count(*) FILTER (WHERE lease_until > now()) AS held,
               max(attempts) AS attempts,
               (SELECT max(parked) FROM (SELECT lease_epoch / 2 AS parked FROM jobs.jobs) AS counts) AS deliveries
        FROM jobs.jobs WHERE status IN ('pending', 'processing')""")
    return (
        f"{row['waiting']} jobs wait for tts, {row['held']} of the open ones are held, "
        f"{row['attempts']} attempts and {row['deliveries']} deliveries at most"
    )
