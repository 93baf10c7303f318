"""Finds reservations that are still open."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the index; only few of all reservations are in it."""
    op.execute("CREATE INDEX reservations_open_idx ON billing.reservations (job_id) WHERE state = 'open'")
