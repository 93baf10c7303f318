"""Jobs, their languages, checkpoints, lines, results and events; workers; the outbox."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

# PostgreSQL 15 or later: a result without a language is unique too (NULLS NOT DISTINCT).
STATEMENTS = (
    """
    CREATE TABLE jobs.jobs (
        id UUID NOT NULL,
        user_id UUID NOT NULL,
        video_id UUID NOT NULL,
        batch_id UUID,
        status TEXT DEFAULT 'pending' NOT NULL,
        stage TEXT,
        progress FLOAT8 DEFAULT '0' NOT NULL,
        priority SMALLINT DEFAULT '0' NOT NULL,
        source JSONB NOT NULL,
        filename TEXT NOT NULL,
        source_language TEXT,
        target_languages TEXT[] NOT NULL,
        options JSONB NOT NULL,
        duration_ms BIGINT NOT NULL,
        quoted_credits BIGINT NOT NULL,
        spent_credits BIGINT,
        attempts INTEGER DEFAULT '0' NOT NULL,
        lease_owner TEXT,
        lease_epoch BIGINT DEFAULT '0' NOT NULL,
        lease_until TIMESTAMPTZ,
        last_event BIGINT DEFAULT '0' NOT NULL,
        cancel_requested_at TIMESTAMPTZ,
        error JSONB,
        metrics JSONB DEFAULT '{}' NOT NULL,
        traceparent TEXT DEFAULT '' NOT NULL,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        enqueued_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        started_at TIMESTAMPTZ,
        completed_at TIMESTAMPTZ,
        updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        deadline_at TIMESTAMPTZ NOT NULL,
        estimated_completion TIMESTAMPTZ,
        CONSTRAINT jobs_pkey PRIMARY KEY (id),
        CONSTRAINT jobs_status_check CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
        CONSTRAINT jobs_progress_check CHECK (progress BETWEEN 0 AND 100),
        CONSTRAINT jobs_spent_credits_check CHECK (spent_credits BETWEEN 0 AND quoted_credits),
        CONSTRAINT jobs_lease_check CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
        CONSTRAINT jobs_ended_without_lease_check CHECK (status IN ('pending', 'processing') OR lease_owner IS NULL)
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX jobs_batch_idx ON jobs.jobs (batch_id) WHERE batch_id IS NOT NULL",
    "CREATE INDEX jobs_open_idx ON jobs.jobs (enqueued_at) WHERE status IN ('pending', 'processing')",
    "CREATE INDEX jobs_user_idx ON jobs.jobs (user_id, created_at DESC, id DESC)",
    """
    CREATE TABLE jobs.language_tasks (
        job_id UUID NOT NULL,
        language TEXT NOT NULL,
        status TEXT DEFAULT 'pending' NOT NULL,
        stage TEXT,
        progress FLOAT8 DEFAULT '0' NOT NULL,
        error JSONB,
        metrics JSONB DEFAULT '{}' NOT NULL,
        started_at TIMESTAMPTZ,
        completed_at TIMESTAMPTZ,
        CONSTRAINT language_tasks_pkey PRIMARY KEY (job_id, language),
        CONSTRAINT language_tasks_status_check
            CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
        CONSTRAINT language_tasks_progress_check CHECK (progress BETWEEN 0 AND 100),
        CONSTRAINT language_tasks_job_id_fkey FOREIGN KEY(job_id) REFERENCES jobs.jobs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE jobs.steps (
        job_id UUID NOT NULL,
        step_key TEXT NOT NULL,
        input_hash TEXT NOT NULL,
        status TEXT NOT NULL,
        attempt INTEGER DEFAULT '1' NOT NULL,
        output JSONB,
        error JSONB,
        lease_epoch BIGINT NOT NULL,
        started_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        completed_at TIMESTAMPTZ,
        CONSTRAINT steps_pkey PRIMARY KEY (job_id, step_key),
        CONSTRAINT steps_status_check CHECK (status IN ('running', 'completed', 'failed')),
        CONSTRAINT steps_output_check CHECK ((status = 'completed') = (output IS NOT NULL)),
        CONSTRAINT steps_job_id_fkey FOREIGN KEY(job_id) REFERENCES jobs.jobs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE jobs.segments (
        job_id UUID NOT NULL,
        index INTEGER NOT NULL,
        chunk INTEGER NOT NULL,
        start_ms BIGINT NOT NULL,
        end_ms BIGINT NOT NULL,
        speaker TEXT NOT NULL,
        source_text TEXT NOT NULL,
        words JSONB DEFAULT '[]' NOT NULL,
        CONSTRAINT segments_pkey PRIMARY KEY (job_id, index),
        CONSTRAINT segments_range_check CHECK (start_ms >= 0 AND end_ms >= start_ms),
        CONSTRAINT segments_job_id_fkey FOREIGN KEY(job_id) REFERENCES jobs.jobs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE jobs.translations (
        job_id UUID NOT NULL,
        language TEXT NOT NULL,
        index INTEGER NOT NULL,
        text TEXT NOT NULL,
        audio JSONB,
        natural_ms BIGINT,
        start_ms BIGINT,
        end_ms BIGINT,
        speed FLOAT8,
        onset_error_ms BIGINT,
        flags TEXT[] DEFAULT '{}' NOT NULL,
        revision INTEGER DEFAULT '1' NOT NULL,
        CONSTRAINT translations_pkey PRIMARY KEY (job_id, language, index),
        CONSTRAINT translations_job_id_fkey FOREIGN KEY(job_id) REFERENCES jobs.jobs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE jobs.artifacts (
        id UUID NOT NULL,
        job_id UUID NOT NULL,
        kind TEXT NOT NULL,
        language TEXT,
        filename TEXT NOT NULL,
        object JSONB NOT NULL,
        sha256 TEXT NOT NULL,
        size BIGINT NOT NULL,
        content_type TEXT NOT NULL,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        CONSTRAINT artifacts_pkey PRIMARY KEY (id),
        CONSTRAINT artifacts_job_id_kind_language_key UNIQUE NULLS NOT DISTINCT (job_id, kind, language),
        CONSTRAINT artifacts_job_id_fkey FOREIGN KEY(job_id) REFERENCES jobs.jobs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE jobs.job_events (
        job_id UUID NOT NULL,
        id BIGINT NOT NULL,
        type TEXT NOT NULL,
        data JSONB NOT NULL,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        CONSTRAINT job_events_pkey PRIMARY KEY (job_id, id),
        CONSTRAINT job_events_job_id_fkey FOREIGN KEY(job_id) REFERENCES jobs.jobs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE jobs.workers (
        id TEXT NOT NULL,
        service TEXT NOT NULL,
        version TEXT NOT NULL,
        slots INTEGER NOT NULL,
        busy INTEGER NOT NULL,
        started_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        seen_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        CONSTRAINT workers_pkey PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE jobs.outbox (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        body TEXT NOT NULL,
        attributes JSONB DEFAULT '{}'::jsonb NOT NULL,
        group_id TEXT DEFAULT '' NOT NULL,
        priority SMALLINT DEFAULT '0' NOT NULL,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        available_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        claimed_until TIMESTAMPTZ,
        receive_count BIGINT DEFAULT '0' NOT NULL,
        handle UUID,
        sent_at TIMESTAMPTZ,
        dead_at TIMESTAMPTZ,
        dead_reason TEXT,
        CONSTRAINT outbox_pkey PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX outbox_waiting ON jobs.outbox (priority DESC, id) WHERE sent_at IS NULL AND dead_at IS NULL",
)


def upgrade() -> None:
    """Makes the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
