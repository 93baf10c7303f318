"""`onevoice dlq`: lists messages that were given up, puts them back into the queue, or drops them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from onevoice_kit.errors import InvalidInput
from onevoice_kit.queue.base import DeadLetter, DeadLetters
from onevoice_kit.settings import DatabaseSettings, QueueSettings


class Action(StrEnum):
    """Actions on dead letters."""

    REDRIVE = "redrive"
    DROP = "drop"


async def show(console: Console, limit: int) -> None:
    """Prints a table of dead letters."""
    async with _opened() as letters:
        found = await letters.peek(limit=limit)
    console.print(letters_table(found) if found else "There are no dead letters.")


async def act(action: Action, ids: Sequence[str], *, every: bool) -> int:
    """
    Redrives or drops these, or `every` one; returns how many. Raises `InvalidInput` (reasons `nothing_chosen`,
    `unknown_letter` where none of the ids is there).
    """
    if bool(ids) == every:
        raise InvalidInput("Name the messages, or say --all.", reason="nothing_chosen")
    async with _opened() as letters:
        chosen = None if every else set(ids)
        done = await (letters.redrive(chosen) if action is Action.REDRIVE else letters.drop(chosen))
    if ids and not done:
        raise InvalidInput("There is no such dead letter.", reason="unknown_letter")
    return done


def letters_table(letters: Sequence[DeadLetter]) -> Table:
    """One row a letter."""
    table = Table(show_edge=False)
    for column in ("id", "since", "reason", "received", "job", "body"):
        table.add_column(column, overflow="fold" if column in ("id", "job") else "ellipsis", no_wrap=column == "body")
    for letter in letters:
        since = letter.dead_at.strftime("%Y-%m-%d %H:%M:%S") if letter.dead_at else ""
        cells = (letter.id, since, letter.reason, str(letter.receive_count), letter.attributes.get("jobId", ""))
        table.add_row(*map(escape, (*cells, letter.body)))
    return table


@asynccontextmanager
async def _opened() -> AsyncIterator[DeadLetters]:
    """The dead letters that the environment names, as the services' own settings do."""
    settings = QueueSettings()
    if settings.use_sqs_task_queue:
        from onevoice_kit.queue.dead_letters import SqsDeadLetters

        if not settings.sqs_queue_url or not settings.sqs_dlq_url:
            raise InvalidInput("SQS_QUEUE_URL and SQS_DLQ_URL are not both set.", reason="not_configured")
        on_sqs = SqsDeadLetters(settings)
        try:
            yield on_sqs
        finally:
            await on_sqs.close()
        return
    async with _on_outbox() as on_outbox:
        yield on_outbox


@asynccontextmanager
async def _on_outbox() -> AsyncIterator[DeadLetters]:
    from onevoice_jobs.models import outbox
    from onevoice_kit.db import create_engine
    from onevoice_kit.queue.dead_letters import OutboxDeadLetters

    try:
        engine = create_engine(DatabaseSettings())
    except ValidationError as error:
        raise InvalidInput("DATABASE_URL is not set.", reason="not_configured") from error
    try:
        yield OutboxDeadLetters(engine, outbox)
    finally:
        await engine.dispose()
