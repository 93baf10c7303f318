"""Names reservations by ids of their own, and labels them with the job they are for."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

# The release before reads and writes reservation_id under its former name, job_id (ADR 012).
SAME_ID = """
    CREATE FUNCTION billing.same_reservation_id() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.reservation_id := coalesce(NEW.reservation_id, NEW.job_id);
        NEW.job_id := NEW.reservation_id;
        RETURN NEW;
    END
    $$
    """


def upgrade() -> None:
    """Renames `job_id` with its constraints, and adds the label and a copy of the id under the former name."""
    op.execute(SAME_ID)
    op.execute("ALTER TABLE billing.entries DISABLE TRIGGER entries_append_only")
    for table in ("reservations", "entries"):
        op.execute(f"ALTER TABLE billing.{table} RENAME COLUMN job_id TO reservation_id")
        op.execute(f"ALTER TABLE billing.{table} ADD COLUMN job TEXT, ADD COLUMN job_id TEXT")
        op.execute(
            f"CREATE TRIGGER {table}_same_id BEFORE INSERT ON billing.{table}"
            " FOR EACH ROW EXECUTE FUNCTION billing.same_reservation_id()"
        )
    op.execute("UPDATE billing.reservations SET job_id = reservation_id")
    op.execute("UPDATE billing.entries SET job_id = reservation_id WHERE reservation_id IS NOT NULL")
    op.execute("ALTER TABLE billing.entries ENABLE TRIGGER entries_append_only")
    op.execute(
        "ALTER TABLE billing.entries RENAME CONSTRAINT entries_job_id_kind_key TO entries_reservation_id_kind_key"
    )
    op.execute("ALTER TABLE billing.entries RENAME CONSTRAINT entries_job_check TO entries_reservation_check")
