"""Rights of accounts, and their share of the storage."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    "ALTER TABLE gateway.users ADD COLUMN rights TEXT[] DEFAULT '{}' NOT NULL",
    "ALTER TABLE gateway.users ADD COLUMN storage_quota_bytes BIGINT",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
