"""Files that are to be removed; creating calls that are being undone."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
    CREATE TABLE gateway.removals (
        id UUID NOT NULL,
        prefix TEXT NOT NULL,
        key TEXT NOT NULL,
        multipart_id TEXT,
        due_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        final_at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_removals PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX ix_removals_due_at ON gateway.removals (due_at)",
    "CREATE INDEX ix_uploads_key ON gateway.uploads (key)",
    "ALTER TABLE gateway.idempotency_keys ADD COLUMN abandoned BOOLEAN DEFAULT false NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
