"""Accounts, reservations and the append-only ledger."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE billing.accounts (
        user_id TEXT NOT NULL,
        available BIGINT DEFAULT '0' NOT NULL,
        reserved BIGINT DEFAULT '0' NOT NULL,
        opened_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        CONSTRAINT accounts_pkey PRIMARY KEY (user_id),
        CONSTRAINT accounts_balances_check CHECK (available >= 0 AND reserved >= 0)
    )
    """,
    """
    CREATE TABLE billing.reservations (
        job_id TEXT NOT NULL,
        user_id TEXT,
        credits BIGINT NOT NULL,
        state TEXT NOT NULL,
        spent BIGINT DEFAULT '0' NOT NULL,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        closed_at TIMESTAMPTZ,
        CONSTRAINT reservations_pkey PRIMARY KEY (job_id),
        CONSTRAINT reservations_user_id_fkey FOREIGN KEY(user_id) REFERENCES billing.accounts (user_id),
        CONSTRAINT reservations_state_check CHECK (state IN ('open', 'settled', 'released')),
        CONSTRAINT reservations_closed_check CHECK ((state = 'open') = (closed_at IS NULL)),
        CONSTRAINT reservations_spent_check
            CHECK (spent BETWEEN 0 AND CASE state WHEN 'settled' THEN credits ELSE 0 END),
        CONSTRAINT reservations_credits_check
            CHECK (credits > 0 OR credits = 0 AND user_id IS NULL AND state = 'released')
    )
    """,
    """
    CREATE TABLE billing.entries (
        number BIGINT GENERATED ALWAYS AS IDENTITY,
        id UUID NOT NULL,
        user_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        job_id TEXT,
        credits BIGINT NOT NULL,
        debit_account TEXT NOT NULL,
        credit_account TEXT NOT NULL,
        created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
        CONSTRAINT entries_pkey PRIMARY KEY (number),
        CONSTRAINT entries_id_key UNIQUE (id),
        CONSTRAINT entries_job_id_kind_key UNIQUE (job_id, kind),
        CONSTRAINT entries_user_id_fkey FOREIGN KEY(user_id) REFERENCES billing.accounts (user_id),
        CONSTRAINT entries_credits_check CHECK (credits > 0),
        CONSTRAINT entries_job_check CHECK ((kind = 'grant') = (job_id IS NULL)),
        CONSTRAINT entries_movement_check CHECK ((kind, debit_account, credit_account) IN (
            ('grant', 'issued', 'available'),
            ('reserve', 'available', 'reserved'),
            ('settle', 'reserved', 'revenue'),
            ('release', 'reserved', 'available')
        ))
    )
    """,
    "CREATE INDEX entries_user_idx ON billing.entries (user_id, number DESC)",
    """
    CREATE FUNCTION billing.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'entries of the ledger are never changed' USING ERRCODE = 'restrict_violation';
    END
    $$
    """,
    """
    CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.entries
        FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change()
    """,
)


def upgrade() -> None:
    """Makes the tables, and the trigger that keeps the ledger append-only."""
    for statement in STATEMENTS:
        op.execute(statement)
