"""Fair turns in the outbox; resumed jobs with reservations of their own; notifications of a job's end."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

# Every new column may be left out: services of the last release run on this schema while they are replaced.
STATEMENTS = (
    "CREATE INDEX outbox_turns ON jobs.outbox (group_id, priority DESC, id) WHERE sent_at IS NULL AND dead_at IS NULL",
    "DROP INDEX jobs.outbox_waiting",
    "CREATE INDEX outbox_dead ON jobs.outbox (dead_at) WHERE dead_at IS NOT NULL",
    "ALTER TABLE jobs.jobs ADD COLUMN reservation_id TEXT",
    "ALTER TABLE jobs.jobs ADD COLUMN resumes INTEGER DEFAULT '0' NOT NULL",
    "ALTER TABLE jobs.jobs ADD COLUMN notify_email TEXT",
    """
    CREATE TABLE jobs.notifications (
        key TEXT NOT NULL,
        kind TEXT NOT NULL,
        recipient TEXT DEFAULT '' NOT NULL,
        data JSONB NOT NULL,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        available_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        attempts INTEGER DEFAULT '0' NOT NULL,
        sent_at TIMESTAMPTZ,
        dropped_at TIMESTAMPTZ,
        error TEXT,
        CONSTRAINT notifications_pkey PRIMARY KEY (key),
        CONSTRAINT notifications_kind_check CHECK (kind IN ('mail', 'alert'))
    )
    """,
    """
    CREATE INDEX notifications_due ON jobs.notifications (available_at) WHERE sent_at IS NULL AND dropped_at IS NULL
    """,
)


def upgrade() -> None:
    """Adds to the tables; nothing that the last release needs is removed."""
    for statement in STATEMENTS:
        op.execute(statement)
