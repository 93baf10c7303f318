"""Runs and edits as rows, results by revision, steps that may have spent credits (ADR 011)."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

_STATES = "'pending', 'processing', 'completed', 'failed', 'cancelled'"

STATEMENTS = (
    "ALTER TABLE jobs.jobs ADD COLUMN revision INTEGER DEFAULT '1' NOT NULL",
    # A worker of the last release would ignore the edits of a revision. It does not write this column, so the check
    # refuses its claim, and the message comes again until a worker of this release takes it.
    "ALTER TABLE jobs.jobs ADD COLUMN edits_epoch BIGINT",
    """
    ALTER TABLE jobs.jobs ADD CONSTRAINT jobs_edits_epoch_check
        CHECK (revision = 1 OR lease_owner IS NULL OR COALESCE(edits_epoch, 0) = lease_epoch)
    """,
    f"""
    CREATE TABLE jobs.runs (
        job_id UUID NOT NULL,
        number INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        reason TEXT NOT NULL,
        requested_by UUID NOT NULL,
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
        CONSTRAINT runs_reason_check CHECK (reason IN ('submit', 'resume', 'edit')),
        CONSTRAINT runs_status_check CHECK (status IN ({_STATES}))
    )
    """,
    """
    CREATE TABLE jobs.edits (
        id UUID NOT NULL,
        job_id UUID NOT NULL,
        revision INTEGER NOT NULL,
        language TEXT NOT NULL,
        index INTEGER NOT NULL,
        line TEXT NOT NULL,
        text TEXT NOT NULL,
        paid BOOLEAN DEFAULT false NOT NULL,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        CONSTRAINT edits_pkey PRIMARY KEY (id),
        CONSTRAINT edits_job_id_revision_language_index_key UNIQUE (job_id, revision, language, index),
        CONSTRAINT edits_job_id_fkey FOREIGN KEY(job_id) REFERENCES jobs.jobs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE jobs.past_artifacts (
        job_id UUID NOT NULL,
        revision INTEGER NOT NULL,
        kind TEXT NOT NULL,
        language TEXT,
        filename TEXT NOT NULL,
        object JSONB NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        CONSTRAINT past_artifacts_job_id_revision_kind_language_key
            UNIQUE NULLS NOT DISTINCT (job_id, revision, kind, language),
        CONSTRAINT past_artifacts_job_id_fkey FOREIGN KEY(job_id) REFERENCES jobs.jobs (id) ON DELETE CASCADE
    )
    """,
    # A job's row holds the state of its present run; the run's own row follows it, whichever release writes the job.
    """
    CREATE FUNCTION jobs.follow_run() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO jobs.runs (
            job_id, number, revision, reason, requested_by, reservation_id, quoted_credits, changed_ms, status)
        VALUES (
            NEW.id, NEW.resumes + 1, NEW.revision, CASE NEW.resumes WHEN 0 THEN 'submit' ELSE 'resume' END, NEW.user_id,
            COALESCE(NEW.reservation_id, CAST(NEW.id AS text)), NEW.quoted_credits,
            (SELECT changed_ms FROM jobs.runs WHERE job_id = NEW.id AND number = NEW.resumes), NEW.status)
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
    INSERT INTO jobs.runs (job_id, number, revision, reason, requested_by, reservation_id, quoted_credits,
                           spent_credits, status, error, created_at, started_at, completed_at)
    SELECT id, resumes + 1, 1, CASE resumes WHEN 0 THEN 'submit' ELSE 'resume' END, user_id,
           COALESCE(reservation_id, CAST(id AS text)), quoted_credits, spent_credits, status, error,
           created_at, started_at, completed_at
    FROM jobs.jobs
    """,
    # Which steps may have spent credits is the pipeline's to decide. The last release does not write it, so for one
    # release a trigger does, by the keys of that release's steps.
    "ALTER TABLE jobs.steps ADD COLUMN payment BOOLEAN DEFAULT false NOT NULL",
    "UPDATE jobs.steps SET payment = true WHERE step_key IN ('manifest', 'settle')",
    """
    CREATE FUNCTION jobs.mark_payment() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.payment := true;
        RETURN NEW;
    END
    $$
    """,
    """
    CREATE TRIGGER steps_mark_payment BEFORE INSERT ON jobs.steps FOR EACH ROW
        WHEN (NEW.step_key IN ('manifest', 'settle')) EXECUTE FUNCTION jobs.mark_payment()
    """,
    # Only finished steps are stored. The last release writes these columns; the next one drops them.
    "ALTER TABLE jobs.steps ALTER COLUMN status SET DEFAULT 'completed'",
)


def upgrade() -> None:
    """Adds to the tables. Jobs that exist get the run they are in; of the runs before it nothing is known."""
    for statement in STATEMENTS:
        op.execute(statement)
