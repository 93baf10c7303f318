"""Since when a job waits for a service that is away."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds a column that the last release leaves out."""
    op.execute("ALTER TABLE jobs.jobs ADD COLUMN waiting_since TIMESTAMPTZ")
