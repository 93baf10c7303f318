"""The tables of the schema `jobs`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from onevoice_jobs.states import JobStatus, LanguageStatus, RunReason
from onevoice_kit.queue.outbox import outbox_table

SCHEMA = "jobs"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)


def _one_of(column: str, values: type[JobStatus | LanguageStatus | RunReason]) -> CheckConstraint:
    allowed = ", ".join(f"'{value.value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


def _time(name: str, *, now: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=not now, server_default=func.now() if now else None)


def _job_id() -> Column[object]:
    return Column("job_id", Uuid, ForeignKey("jobs.jobs.id", ondelete="CASCADE"), primary_key=True)


jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("video_id", Uuid, nullable=False),
    Column("batch_id", Uuid),
    Column("status", Text, nullable=False, server_default=JobStatus.PENDING),
    Column("stage", Text),
    Column("progress", Double, nullable=False, server_default="0"),
    Column("priority", SmallInteger, nullable=False, server_default="0"),
    Column("source", JSONB, nullable=False),
    Column("filename", Text, nullable=False),
    Column("source_language", Text),
    Column("target_languages", ARRAY(Text), nullable=False),
    Column("options", JSONB, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("quoted_credits", BigInteger, nullable=False),
    Column("spent_credits", BigInteger),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    Column("lease_epoch", BigInteger, nullable=False, server_default="0"),
    _time("lease_until"),
    # The number of the job's newest event: events are numbered under the lock of this row.
    Column("last_event", BigInteger, nullable=False, server_default="0"),
    _time("cancel_requested_at"),
    Column("error", JSONB),
    Column("metrics", JSONB, nullable=False, server_default=text("'{}'")),
    Column("traceparent", Text, nullable=False, server_default=""),
    _time("created_at", now=True),
    # When a message for the job was last put into the outbox.
    _time("enqueued_at", now=True),
    _time("started_at"),
    _time("completed_at"),
    _time("updated_at", now=True),
    Column("deadline_at", DateTime(timezone=True), nullable=False),
    _time("estimated_completion"),
    # Since when the job waits for a service that is away; kept until it makes progress again.
    _time("waiting_since"),
    # Of the present run, which has number `resumes` + 1; NULL: the job's own id.
    Column("reservation_id", Text),
    Column("resumes", Integer, nullable=False, server_default="0"),
    # Grows with each run that applies edits.
    Column("revision", Integer, nullable=False, server_default="1"),
    # The epoch of the last claim by a worker that applies edits; any other worker's claim breaks the check below.
    Column("edits_epoch", BigInteger),
    # Address of the mail about the end; NULL: no mail.
    Column("notify_email", Text),
    _one_of("status", JobStatus),
    CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
    CheckConstraint("spent_credits BETWEEN 0 AND quoted_credits", name="spent_credits"),
    CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="lease"),
    CheckConstraint("status IN ('pending', 'processing') OR lease_owner IS NULL", name="ended_without_lease"),
    CheckConstraint(
        "revision = 1 OR lease_owner IS NULL OR COALESCE(edits_epoch, 0) = lease_epoch", name="edits_epoch"
    ),
    Index("jobs_user_idx", "user_id", text("created_at DESC"), text("id DESC")),
    Index("jobs_batch_idx", "batch_id", postgresql_where=text("batch_id IS NOT NULL")),
    Index("jobs_open_idx", "enqueued_at", postgresql_where=text("status IN ('pending', 'processing')")),
    # Progress and leases change these rows often: room on the page keeps the updates off the indexes.
    postgresql_with={"fillfactor": "70"},
)

# A trigger on `jobs` keeps the row of the present run as the job's (migration 0004).
runs = Table(
    "runs",
    metadata,
    _job_id(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", Uuid, nullable=False),
    Column("reservation_id", Text, nullable=False),
    Column("quoted_credits", BigInteger, nullable=False),
    Column("spent_credits", BigInteger),
    # By language: milliseconds of edited lines, the price of the run; NULL: the whole job.
    Column("changed_ms", JSONB(none_as_null=True)),
    Column("status", Text, nullable=False),
    Column("error", JSONB),
    _time("created_at", now=True),
    _time("started_at"),
    _time("completed_at"),
    _one_of("reason", RunReason),
    _one_of("status", JobStatus),
)

edits = Table(
    "edits",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("job_id", Uuid, ForeignKey("jobs.jobs.id", ondelete="CASCADE"), nullable=False),
    # The first revision that contains it; above the job's own revision while it waits for a run.
    Column("revision", Integer, nullable=False),
    Column("language", Text, nullable=False),
    Column("index", Integer, nullable=False),
    # The line's id in the pipeline.
    Column("line", Text, nullable=False),
    Column("text", Text, nullable=False),
    # A run that was settled has completed its language.
    Column("paid", Boolean, nullable=False, server_default=false()),
    _time("created_at", now=True),
    UniqueConstraint("job_id", "revision", "language", "index"),
)

language_tasks = Table(
    "language_tasks",
    metadata,
    _job_id(),
    Column("language", Text, primary_key=True),
    Column("status", Text, nullable=False, server_default=LanguageStatus.PENDING),
    Column("stage", Text),
    Column("progress", Double, nullable=False, server_default="0"),
    Column("error", JSONB),
    Column("metrics", JSONB, nullable=False, server_default=text("'{}'")),
    _time("started_at"),
    _time("completed_at"),
    _one_of("status", LanguageStatus),
    CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
)

steps = Table(
    "steps",
    metadata,
    _job_id(),
    Column("step_key", Text, primary_key=True),
    Column("input_hash", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="1"),
    Column("output", JSONB),
    # The lease that wrote the row last.
    Column("lease_epoch", BigInteger, nullable=False),
    # Once it is stored, the credits of the run may be spent.
    Column("payment", Boolean, nullable=False, server_default=false()),
    _time("completed_at"),
)

segments = Table(
    "segments",
    metadata,
    _job_id(),
    Column("index", Integer, primary_key=True),
    Column("chunk", Integer, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("speaker", Text, nullable=False),
    Column("source_text", Text, nullable=False),
    Column("words", JSONB, nullable=False, server_default=text("'[]'")),
    CheckConstraint("start_ms >= 0 AND end_ms >= start_ms", name="range"),
)

translations = Table(
    "translations",
    metadata,
    _job_id(),
    Column("language", Text, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("audio", JSONB),
    Column("natural_ms", BigInteger),
    Column("start_ms", BigInteger),
    Column("end_ms", BigInteger),
    Column("speed", Double),
    Column("onset_error_ms", BigInteger),
    Column("flags", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("revision", Integer, nullable=False, server_default="1"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("job_id", Uuid, ForeignKey("jobs.jobs.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("language", Text),
    Column("filename", Text, nullable=False),
    Column("object", JSONB, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content_type", Text, nullable=False),
    _time("created_at", now=True),
    # One of each kind and language, however often a step is repeated; None counts as a language here.
    UniqueConstraint("job_id", "kind", "language", postgresql_nulls_not_distinct=True),
)

# The results of the revisions before the present one.
past_artifacts = Table(
    "past_artifacts",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.jobs.id", ondelete="CASCADE"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("language", Text),
    Column("filename", Text, nullable=False),
    Column("object", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("job_id", "revision", "kind", "language", postgresql_nulls_not_distinct=True),
)

job_events = Table(
    "job_events",
    metadata,
    _job_id(),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    _time("created_at", now=True),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("service", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("busy", Integer, nullable=False),
    _time("started_at", now=True),
    _time("seen_at", now=True),
)

# Mails and alerts, written with the change they report. No foreign key to a job: some alerts concern none.
notifications = Table(
    "notifications",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("recipient", Text, nullable=False, server_default=""),
    Column("data", JSONB, nullable=False),
    _time("created_at", now=True),
    _time("available_at", now=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _time("sent_at"),
    _time("dropped_at"),
    Column("error", Text),
    CheckConstraint("kind IN ('mail', 'alert')", name="kind"),
    Index("notifications_due", "available_at", postgresql_where=text("sent_at IS NULL AND dropped_at IS NULL")),
)

outbox = outbox_table(metadata, SCHEMA)
