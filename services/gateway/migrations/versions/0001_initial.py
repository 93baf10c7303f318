"""Users, API keys, uploads, videos, answers to creating calls."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE gateway.users (
        id UUID NOT NULL,
        email TEXT NOT NULL,
        name TEXT DEFAULT '' NOT NULL,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        disabled_at TIMESTAMPTZ,
        CONSTRAINT pk_users PRIMARY KEY (id),
        CONSTRAINT uq_users_email UNIQUE (email)
    )
    """,
    """
    CREATE TABLE gateway.api_keys (
        id UUID NOT NULL,
        user_id UUID NOT NULL,
        name TEXT NOT NULL,
        prefix TEXT NOT NULL,
        key_hash TEXT NOT NULL,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        last_used_at TIMESTAMPTZ,
        revoked_at TIMESTAMPTZ,
        CONSTRAINT pk_api_keys PRIMARY KEY (id),
        CONSTRAINT uq_api_keys_key_hash UNIQUE (key_hash),
        CONSTRAINT fk_api_keys_user_id FOREIGN KEY (user_id) REFERENCES gateway.users (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_api_keys_user_id ON gateway.api_keys (user_id)",
    """
    CREATE TABLE gateway.uploads (
        id UUID NOT NULL,
        user_id UUID NOT NULL,
        kind TEXT NOT NULL,
        status TEXT NOT NULL,
        filename TEXT NOT NULL,
        content_type TEXT NOT NULL,
        size BIGINT NOT NULL,
        sha256 TEXT NOT NULL,
        key TEXT NOT NULL,
        multipart_id TEXT,
        part_size BIGINT,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL,
        completed_at TIMESTAMPTZ,
        CONSTRAINT pk_uploads PRIMARY KEY (id),
        CONSTRAINT fk_uploads_user_id FOREIGN KEY (user_id) REFERENCES gateway.users (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_uploads_user_id ON gateway.uploads (user_id)",
    "CREATE INDEX ix_uploads_pending_expires_at ON gateway.uploads (expires_at) WHERE status = 'pending'",
    """
    CREATE TABLE gateway.videos (
        id UUID NOT NULL,
        user_id UUID NOT NULL,
        title TEXT NOT NULL,
        filename TEXT NOT NULL,
        status TEXT NOT NULL,
        key TEXT NOT NULL,
        content_type TEXT NOT NULL,
        size BIGINT NOT NULL,
        sha256 TEXT NOT NULL,
        duration_ms BIGINT,
        width INTEGER,
        height INTEGER,
        has_audio BOOLEAN,
        source_language TEXT,
        rejection_reason TEXT,
        rejection_message TEXT,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        CONSTRAINT pk_videos PRIMARY KEY (id),
        CONSTRAINT fk_videos_user_id FOREIGN KEY (user_id) REFERENCES gateway.users (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_videos_user_id_id ON gateway.videos (user_id, id)",
    """
    CREATE TABLE gateway.idempotency_keys (
        user_id UUID NOT NULL,
        key TEXT NOT NULL,
        operation TEXT NOT NULL,
        request_hash TEXT NOT NULL,
        resource_id UUID NOT NULL,
        response_status INTEGER,
        response_body JSONB,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        running_until TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_idempotency_keys PRIMARY KEY (user_id, key)
    )
    """,
    "CREATE INDEX ix_idempotency_keys_created_at ON gateway.idempotency_keys (created_at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
