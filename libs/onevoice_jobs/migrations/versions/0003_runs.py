"""Runs and edits of a job as rows; lines count their revisions."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_STATES = "'pending', 'processing', 'completed', 'failed', 'cancelled'"

STATEMENTS = (
    f"""
    CREATE TABLE jobs.runs (
        job_id UUID NOT NULL,
        number INTEGER NOT NULL,
        kind TEXT NOT NULL,
        reservation_id TEXT NOT NULL,
        quoted_credits BIGINT NOT NULL,
        spent_credits BIGINT,
        changed_ms JSONB,
        status TEXT NOT NULL,
        error JSONB,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        started_at TIMESTAMPTZ,
        completed_at TIMESTAMPTZ,
        CONSTRAINT runs_pkey PRIMARY KEY (job_id, number),
        CONSTRAINT runs_job_id_fkey FOREIGN KEY(job_id) REFERENCES jobs.jobs (id) ON DELETE CASCADE,
        CONSTRAINT runs_kind_check CHECK (kind IN ('initial', 'resume', 'edit')),
        CONSTRAINT runs_status_check CHECK (status IN ({_STATES})),
        CONSTRAINT runs_number_check CHECK ((kind = 'initial') = (number = 1))
    )
    """,
    """
    CREATE TABLE jobs.edits (
        id UUID NOT NULL,
        job_id UUID NOT NULL,
        run INTEGER,
        language TEXT,
        index INTEGER NOT NULL,
        chunk INTEGER NOT NULL,
        position INTEGER NOT NULL,
        field TEXT NOT NULL,
        value JSONB NOT NULL,
        revision INTEGER NOT NULL,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        CONSTRAINT edits_pkey PRIMARY KEY (id),
        CONSTRAINT edits_job_id_fkey FOREIGN KEY(job_id) REFERENCES jobs.jobs (id) ON DELETE CASCADE,
        CONSTRAINT edits_job_id_run_language_index_field_key
            UNIQUE NULLS NOT DISTINCT (job_id, run, language, index, field),
        CONSTRAINT edits_field_check CHECK (field IN ('text', 'voice') AND language IS NOT NULL
            OR field IN ('text', 'start_ms', 'end_ms', 'speaker') AND language IS NULL)
    )
    """,
    "ALTER TABLE jobs.segments ADD COLUMN revision INTEGER DEFAULT '1' NOT NULL",
    # A job's row holds the state of its present run; the run's own row follows it, whichever release writes the job.
    """
    CREATE FUNCTION jobs.follow_run() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO jobs.runs (job_id, number, kind, reservation_id, quoted_credits, status, created_at)
        VALUES (NEW.id, NEW.resumes + 1, CASE NEW.resumes WHEN 0 THEN 'initial' ELSE 'resume' END,
                COALESCE(NEW.reservation_id, CAST(NEW.id AS text)), NEW.quoted_credits, NEW.status, now())
        ON CONFLICT (job_id, number) DO UPDATE SET
            status = NEW.status, error = NEW.error, spent_credits = NEW.spent_credits,
            started_at = NEW.started_at, completed_at = NEW.completed_at;
        RETURN NULL;
    END
    $$
    """,
    "CREATE TRIGGER jobs_new_run AFTER INSERT ON jobs.jobs FOR EACH ROW EXECUTE FUNCTION jobs.follow_run()",
    """
    CREATE TRIGGER jobs_follow_run AFTER UPDATE OF status ON jobs.jobs FOR EACH ROW
        WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION jobs.follow_run()
    """,
    """
    INSERT INTO jobs.runs (job_id, number, kind, reservation_id, quoted_credits, spent_credits, status, error,
                           created_at, started_at, completed_at)
    SELECT id, resumes + 1, CASE resumes WHEN 0 THEN 'initial' ELSE 'resume' END,
           COALESCE(reservation_id, CAST(id AS text)), quoted_credits, spent_credits, status, error,
           created_at, started_at, completed_at
    FROM jobs.jobs
    """,
)


def upgrade() -> None:
    """Adds to the tables. Jobs that exist get the run they are in; of those before it nothing is known."""
    for statement in STATEMENTS:
        op.execute(statement)
