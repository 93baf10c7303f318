"""
The writes of a lease holder: each is one SQL statement, so one round trip, and each checks the lease first.

`fence` yields the job's row only while the caller's epoch is the present one; everything else reads from it, so a
stale writer changes nothing and gets no row back. Without events the fence takes a shared lock: checkpoints of one job
commit side by side, while a claim has to wait for them. With events it updates the row, because events are
numbered under its lock.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import TextClause, text

from onevoice_jobs.states import JobStatus, sources

_SHARED = """
WITH fence AS MATERIALIZED (
    SELECT id FROM jobs.jobs WHERE id = :job_id AND lease_epoch = :epoch FOR SHARE
)"""

_EXCLUSIVE = """
WITH news AS MATERIALIZED (
    SELECT {events} AS items
), fence AS (
    UPDATE jobs.jobs SET
        last_event = last_event + (SELECT jsonb_array_length(items) FROM news), updated_at = now(){changes}
    WHERE id = :job_id AND lease_epoch = :epoch{condition}
    RETURNING id, last_event - (SELECT jsonb_array_length(items) FROM news) AS base{returned}
), recorded AS (
    INSERT INTO jobs.job_events (job_id, id, type, data)
    SELECT fence.id, fence.base + event.number, event.value ->> 'type', event.value -> 'data'
    FROM fence, news, jsonb_array_elements(news.items) WITH ORDINALITY AS event (value, number)
)"""

_EVENTS = "CAST(:events AS jsonb)"

# A language that has ended gets no more events, so that a repeated write sends none twice.
_WHILE_OPEN = """CASE WHEN EXISTS (
        SELECT FROM jobs.language_tasks
        WHERE job_id = :job_id AND language = :language AND status IN ('pending', 'processing')
    ) THEN {events} ELSE '[]' END"""

# Progress in events does not go back either where a job goes on under another worker, which has yet to catch up.
_PROGRESS = """jsonb_set(CAST(:events AS jsonb), '{{0,data,percent}}', to_jsonb(CAST(floor(GREATEST(
        CAST(:percent AS float8), (SELECT progress FROM {table})
    )) AS int)))"""

_NOTIFY = "(SELECT CAST(pg_notify('job_events', CAST(fence.id AS text)) AS text) FROM news WHERE items <> '[]') AS told"


@dataclass(frozen=True, slots=True)
class Fenced:
    """A fenced write; each execution returns one row with `result`, or none when the lease is lost."""

    quiet: TextClause
    """Takes `job_id`, `epoch` and the parameters of the body."""
    announcing: TextClause
    """Takes `events` besides."""


def _fenced(body: str, result: str = "NULL", events: str = _EVENTS) -> Fenced:
    announcing = _EXCLUSIVE.format(events=events, changes="", condition="", returned="")
    return Fenced(
        text(f"{_SHARED}{body} SELECT id, {result} AS result FROM fence"),  # noqa: S608 - constants of this file
        text(f"{announcing}{body} SELECT id, {result} AS result, {_NOTIFY} FROM fence"),  # noqa: S608
    )


def _from(target: JobStatus) -> str:
    allowed = ", ".join(f"'{status.value}'" for status in sources(target))
    return f" AND status IN ({allowed})"


def _job(changes: str, body: str = "", condition: str = "", returned: str = "", events: str = _EVENTS) -> TextClause:
    fence = _EXCLUSIVE.format(events=events, changes=f", {changes}", condition=condition, returned=returned)
    return text(f"{fence}{body} SELECT id, NULL AS result, {_NOTIFY} FROM fence")  # noqa: S608 - constants of this file


# A step that is written again, because the reply to the first write was lost, sends its events once.
_NEWS_OF_STEPS = """COALESCE((
        SELECT jsonb_agg(item ORDER BY number)
        FROM jsonb_array_elements({events}) WITH ORDINALITY AS told (item, number)
        WHERE NOT EXISTS (
            SELECT FROM jobs.steps
            WHERE job_id = :job_id AND step_key = item ->> 'step' AND input_hash = item ->> 'input_hash'
        )
    ), '[]')"""

_STEPS = """, wrote_steps AS (
        INSERT INTO jobs.steps (job_id, step_key, input_hash, attempt, output, lease_epoch, payment, completed_at)
        SELECT fence.id, new.key, new.input_hash, new.attempt, new.output, :epoch, new.payment, now()
        FROM fence, jsonb_to_recordset(CAST(:steps AS jsonb)) AS new (
            key text, input_hash text, attempt int, output jsonb, payment boolean)
        ON CONFLICT (job_id, step_key) DO UPDATE SET
            input_hash = excluded.input_hash, attempt = excluded.attempt, output = excluded.output,
            lease_epoch = excluded.lease_epoch, payment = excluded.payment, completed_at = now()
    )"""

_SEGMENTS = """, wrote_segments AS (
        INSERT INTO jobs.segments (job_id, index, chunk, start_ms, end_ms, speaker, source_text, words)
        SELECT fence.id, new.index, new.chunk, new.start_ms, new.end_ms, new.speaker, new.source_text, new.words
        FROM fence, jsonb_to_recordset(CAST(:segments AS jsonb)) AS new (
            index int, chunk int, start_ms bigint, end_ms bigint, speaker text, source_text text, words jsonb)
        ON CONFLICT (job_id, index) DO UPDATE SET
            chunk = excluded.chunk, start_ms = excluded.start_ms, end_ms = excluded.end_ms,
            speaker = excluded.speaker, source_text = excluded.source_text, words = excluded.words
    )"""

_TRANSLATIONS = """, wrote_translations AS (
        INSERT INTO jobs.translations (job_id, language, index, text, audio, natural_ms, start_ms, end_ms, speed,
                                       onset_error_ms, flags)
        SELECT fence.id, new.language, new.index, new.text, new.audio, new.natural_ms, new.start_ms, new.end_ms,
               new.speed, new.onset_error_ms, new.flags
        FROM fence, jsonb_to_recordset(CAST(:translations AS jsonb)) AS new (
            language text, index int, text text, audio jsonb, natural_ms bigint, start_ms bigint, end_ms bigint,
            speed float8, onset_error_ms bigint, flags text[])
        ON CONFLICT (job_id, language, index) DO UPDATE SET
            text = excluded.text, audio = excluded.audio, natural_ms = excluded.natural_ms,
            start_ms = excluded.start_ms, end_ms = excluded.end_ms, speed = excluded.speed,
            onset_error_ms = excluded.onset_error_ms, flags = excluded.flags,
            revision = translations.revision + CAST(
                (translations.text, translations.audio ->> 'uri')
                IS DISTINCT FROM (excluded.text, excluded.audio ->> 'uri') AS int)
    )"""

_ARTIFACTS = """, wrote_artifacts AS (
        INSERT INTO jobs.artifacts (id, job_id, kind, language, filename, object, sha256, size, content_type)
        SELECT new.id, fence.id, new.kind, new.language, new.filename, new.object, new.object ->> 'sha256',
               CAST(new.object ->> 'size' AS bigint), new.object ->> 'content_type'
        FROM fence, jsonb_to_recordset(CAST(:artifacts AS jsonb)) AS new (
            id uuid, kind text, language text, filename text, object jsonb)
        ON CONFLICT (job_id, kind, language) DO UPDATE SET
            filename = excluded.filename, object = excluded.object, sha256 = excluded.sha256,
            size = excluded.size, content_type = excluded.content_type
    )"""

_COMPLETED = """, completed_languages AS (
        UPDATE jobs.language_tasks AS task SET
            status = 'completed', error = NULL, metrics = new.metrics, progress = 100,
            started_at = COALESCE(task.started_at, now()), completed_at = now()
        FROM fence, jsonb_to_recordset(CAST(:completed AS jsonb)) AS new (language text, metrics jsonb)
        WHERE task.job_id = fence.id AND task.language = new.language AND task.status IN ('pending', 'processing')
    )"""

_NEWS = _NEWS_OF_STEPS.format(events=_EVENTS)
_RESULTS = _SEGMENTS + _TRANSLATIONS + _ARTIFACTS + _COMPLETED

FINISH_STEPS = _fenced(_STEPS, events=_NEWS)
"""Takes `steps`; an event names the `step` and the `input_hash` it belongs to."""

FINISH_STEPS_WITH_RESULTS = _fenced(_STEPS + _RESULTS, events=_NEWS)
"""Takes `segments`, `translations`, `artifacts` and `completed` (languages) besides."""

FINISH_STEPS_WITH_LANGUAGE = _job("source_language = CAST(:source_language AS text)", _STEPS + _RESULTS, events=_NEWS)
"""Takes `source_language` besides; it has an event, so the row of the job is written once."""

LOCK = text("SELECT id, NULL AS result FROM jobs.jobs WHERE id = :job_id AND lease_epoch = :epoch FOR UPDATE")
"""Waits for whatever is being written to the job."""

CANCEL_REQUESTED = text("""
    SELECT id, cancel_requested_at IS NOT NULL AS result FROM jobs.jobs WHERE id = :job_id AND lease_epoch = :epoch
""")
"""Returns whether the user has cancelled."""

FORGET_RESULTS = _fenced(
    "".join(
        f", no_{table} AS (DELETE FROM jobs.{table} USING fence WHERE {table}.job_id = fence.id)"  # noqa: S608
        for table in ("steps", "segments", "translations", "artifacts")
    )
)

ANNOUNCE = _fenced("").announcing

SET_JOB_PROGRESS = _job(
    """stage = CAST(:stage AS text), progress = GREATEST(progress, CAST(:percent AS float8)),
        estimated_completion = CASE WHEN CAST(:percent AS float8) >= 1
            THEN now() + (now() - started_at) * ((100 - CAST(:percent AS float8)) / CAST(:percent AS float8)) END""",
    events=_PROGRESS.format(table="jobs.jobs WHERE id = :job_id"),
)

SET_LANGUAGE_PROGRESS = _fenced(
    """, written AS (
        UPDATE jobs.language_tasks SET
            stage = CAST(:stage AS text), progress = GREATEST(progress, CAST(:percent AS float8)),
            status = 'processing', started_at = COALESCE(started_at, now())
        FROM fence
        WHERE job_id = fence.id AND language = :language AND status IN ('pending', 'processing')
    )""",
    events=_WHILE_OPEN.format(
        events=_PROGRESS.format(table="jobs.language_tasks WHERE job_id = :job_id AND language = :language")
    ),
)

FAIL_LANGUAGE = _fenced(
    """, written AS (
        UPDATE jobs.language_tasks SET
            status = 'failed', error = CAST(:error AS jsonb),
            started_at = COALESCE(started_at, now()), completed_at = now()
        FROM fence
        WHERE job_id = fence.id AND language = :language AND status IN ('pending', 'processing')
    )""",
    events=_WHILE_OPEN.format(events=_EVENTS),
)

# The epoch grows at the end too: a task of the same worker that is still running cannot write any more.
_ENDED = """status = CAST(:status AS text), completed_at = now(), lease_owner = NULL, lease_until = NULL,
        lease_epoch = lease_epoch + 1, estimated_completion = NULL"""

_OF_THE_END = ", user_id, filename, target_languages, resumes, notify_email"

# Notifications of the end: written with it or not at all, and once for each outcome of each run, by the key.
_TELL_PEOPLE = """, told_people AS (
        INSERT INTO jobs.notifications (key, kind, recipient, data)
        SELECT concat_ws(':', who.kind, fence.id, CAST(:status AS text), NULLIF(fence.resumes, 0)),
               who.kind, who.recipient, jsonb_build_object(
                   'event', 'job_' || CAST(:status AS text), 'job_id', fence.id, 'user_id', fence.user_id,
                   'filename', fence.filename, 'languages', fence.target_languages, 'error', {error})
        FROM fence CROSS JOIN LATERAL (
            VALUES ('mail', COALESCE(fence.notify_email, '')), ('alert', '')
        ) AS who (kind, recipient)
        WHERE who.kind = 'mail' AND who.recipient <> '' AND CAST(:status AS text) IN ('completed', 'failed')
           OR who.kind = 'alert' AND CAST(:status AS text) = 'failed'
        ON CONFLICT (key) DO NOTHING
    )"""

COMPLETE_JOB = _job(
    _ENDED + ", progress = 100, spent_credits = CAST(:spent_credits AS bigint), metrics = CAST(:metrics AS jsonb)",
    body=_TELL_PEOPLE.format(error="NULL"),
    condition=_from(JobStatus.COMPLETED),
    returned=_OF_THE_END,
)

END_JOB = _job(
    _ENDED + ", error = CAST(:error AS jsonb), spent_credits = CAST(:spent_credits AS bigint)",
    body=""", ended AS (
        UPDATE jobs.language_tasks SET
            status = CAST(:status AS text), error = CAST(:error AS jsonb), completed_at = now()
        FROM fence
        WHERE job_id = fence.id AND status IN ('pending', 'processing')
    )"""
    + _TELL_PEOPLE.format(error="CAST(:error AS jsonb)"),
    condition=_from(JobStatus.FAILED),
    returned=_OF_THE_END,
)
"""Ends a job as failed or cancelled, with every language that is still open."""
