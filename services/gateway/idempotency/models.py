"""Table of answers to creating calls."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, DateTime, Index, Integer, Table, Text, Uuid, false, func
from sqlalchemy.dialects.postgresql import JSONB

from services.gateway.database import metadata

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("operation", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("resource_id", Uuid, nullable=False),
    Column("response_status", Integer),
    Column("response_body", JSONB),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("running_until", DateTime(timezone=True), nullable=False),
    Column("abandoned", Boolean, nullable=False, server_default=false()),
    Index(None, "created_at"),
)
"""
One row per creating call: written before the work starts, answered in the transaction that creates the resource.
`resource_id` is chosen first, so that a repeated call after a crash makes the same resource, and so that what a
dead call left behind elsewhere (a reservation) can be found.
"""
