"""Leases, fences, checkpoints, events and the queue."""

from __future__ import annotations

from .mutation import Mutation

_LEASES, _STATEMENTS = "libs/onevoice_jobs/leases.py", "libs/onevoice_jobs/statements.py"
_OUTBOX, _EXECUTOR = "libs/onevoice_kit/queue/outbox.py", "services/orchestrator/pipeline/executor.py"
_TEST_LEASES, _TEST_STORE = "tests/contract/jobs/test_leases.py::", "tests/contract/jobs/test_store.py::"
_TEST_CONTROL, _TEST_RACES = "tests/contract/jobs/test_control.py::", "tests/integration/jobs/test_concurrency.py::"
_JOURNAL, _TEST_JOURNAL = "services/orchestrator/journal.py", "tests/unit/orchestrator/test_journal.py::"
_TEST_EXECUTOR = "tests/unit/orchestrator/test_executor.py::"
_TEST_WORKER = "tests/integration/orchestrator/test_worker.py::"
_TEST_OUTBOX, _TEST_QUEUE = "tests/integration/kit_data/test_outbox.py::", "tests/contract/queue/test_queue.py::"

_FENCES = (
    Mutation(
        "a checkpoint is written whatever the epoch of the lease",
        _STATEMENTS,
        "WHERE id = :job_id AND lease_epoch = :epoch FOR SHARE",
        "WHERE id = :job_id AND (lease_epoch = :epoch OR true) FOR SHARE",
        (f"{_TEST_STORE}test_a_stale_holder_changes_nothing[on_postgres-finish_step]",),
    ),
    Mutation(
        "an event is written whatever the epoch of the lease",
        _STATEMENTS,
        "WHERE id = :job_id AND lease_epoch = :epoch{condition}",
        "WHERE id = :job_id AND (lease_epoch = :epoch OR true){condition}",
        (
            f"{_TEST_STORE}test_a_stale_holder_changes_nothing[on_postgres-event]",
            f"{_TEST_STORE}test_a_stale_holder_changes_nothing[on_postgres-job_completed]",
        ),
    ),
    Mutation(
        "the fence looks at the lease without locking it",
        _STATEMENTS,
        "lease_epoch = :epoch FOR SHARE",
        "lease_epoch = :epoch",
        (f"{_TEST_RACES}test_a_checkpoint_waits_for_a_claim_that_is_being_made",),
    ),
    Mutation(
        "the epoch stays at the end of a job",
        _STATEMENTS,
        "        lease_epoch = lease_epoch + 1, estimated_completion = NULL",
        "        estimated_completion = NULL",
        (f"{_TEST_STORE}test_nothing_is_written_after_the_end[on_postgres-finish_step]",),
    ),
    Mutation(
        "a lease is renewed and given back whatever its epoch",
        _LEASES,
        "return (jobs.c.id == lease.job_id) & (jobs.c.lease_epoch == lease.epoch)",
        "return jobs.c.id == lease.job_id",
        (
            f"{_TEST_LEASES}test_an_expired_lease_is_taken_over_and_its_old_holder_fenced_off",
            f"{_TEST_LEASES}test_a_lease_given_back_is_free_at_once",
        ),
    ),
    Mutation(
        "the epoch stays when a job is cancelled behind a dead worker",
        "libs/onevoice_jobs/control.py",
        "lease_until=None,\n            lease_epoch=jobs.c.lease_epoch + 1,",
        "lease_until=None,",
        (f"{_TEST_CONTROL}test_a_job_without_a_live_worker_is_cancelled_at_once_and_its_old_worker_fenced_off",),
    ),
)

_CLAIMS = (
    Mutation(
        "a claim ignores the time left of another's lease",
        _LEASES,
        "if row.held_s > 0:",
        "if False:",
        (
            f"{_TEST_LEASES}test_claims_are_refused_with_the_reason",
            f"{_TEST_RACES}test_of_many_claims_at_once_one_wins",
        ),
    ),
    Mutation(
        "a claim takes another's lease for its own",
        _LEASES,
        "if row.lease_owner != owner:",
        "if False:",
        (
            f"{_TEST_LEASES}test_claims_are_refused_with_the_reason",
            f"{_TEST_LEASES}test_a_claim_made_again_by_the_same_owner_finds_its_own_lease",
        ),
    ),
    Mutation(
        "a claim made again does not find its lease",
        _LEASES,
        "if row.lease_owner != owner:",
        "if True:",
        (f"{_TEST_LEASES}test_a_claim_made_again_by_the_same_owner_finds_its_own_lease",),
    ),
    Mutation(
        "two deliveries to one worker are one claim",
        "services/orchestrator/claiming.py",
        'owner = f"{self._worker_id}/{secrets.token_hex(4)}"',
        "owner = self._worker_id",
        ("tests/unit/orchestrator/test_claiming.py::test_a_second_delivery_to_the_same_worker_is_refused",),
    ),
    Mutation(
        "a lease never runs out",
        _LEASES,
        "if row.held_s > 0:",
        "if row.held_s != 0:",
        (f"{_TEST_LEASES}test_an_expired_lease_is_taken_over_and_its_old_holder_fenced_off",),
    ),
    Mutation(
        "the epoch stays at a claim",
        _LEASES,
        "lease_epoch=jobs.c.lease_epoch + 1,\n        attempts=jobs.c.attempts + 1,",
        "attempts=jobs.c.attempts + 1,",
        (f"{_TEST_LEASES}test_an_expired_lease_is_taken_over_and_its_old_holder_fenced_off",),
    ),
    Mutation(
        "claims do not lock the job",
        _LEASES,
        "    .where(_ID)\n    .with_for_update()\n",
        "    .where(_ID)\n",
        (f"{_TEST_RACES}test_of_many_claims_at_once_one_wins",),
    ),
    Mutation(
        "a job is tried for ever",
        _LEASES,
        "return Verdict.EXHAUSTED if attempts_before >= max_attempts else Verdict.RUN",
        "return Verdict.RUN",
        (f"{_TEST_LEASES}test_the_sixth_attempt_is_not_run",),
    ),
)

_WAITS = (
    Mutation(
        "a wait counts as an attempt",
        "libs/onevoice_jobs/parking.py",
        "attempts=func.greatest(jobs.c.attempts - 1, 0),\n            stage=wait.stage",
        "attempts=jobs.c.attempts,\n            stage=wait.stage",
        (f"{_TEST_LEASES}test_a_parked_job_is_sent_again_later_and_has_used_no_attempt[on_postgres]",),
    ),
    Mutation(
        "a job is parked by a worker that has lost it",
        "libs/onevoice_jobs/parking.py",
        "        if held is None:\n            raise LeaseLost(lease.job_id)",
        "        if held is None:\n            return",
        (f"{_TEST_LEASES}test_a_job_is_parked_once_and_only_by_the_holder_of_its_lease[on_postgres]",),
    ),
    Mutation(
        "an older message of a parked job is taken as well",
        _LEASES,
        "sent_at < newest_at",
        "sent_at > newest_at",
        (f"{_TEST_LEASES}test_the_message_of_a_parked_job_is_refused_for_the_newer_one[on_postgres]",),
    ),
    Mutation(
        "a step's own deadline is retried for ever",
        "services/orchestrator/pipeline/attempts.py",
        "if timeouts == MAX_TIMEOUTS:",
        "if False:",
        (f"{_TEST_EXECUTOR}test_a_step_that_meets_its_own_deadline_twice_has_failed_for_good",),
    ),
)

_CHECKPOINTS = (
    Mutation(
        "a checkpoint is saved before the work",
        _EXECUTOR,
        "        made = await attempts.run(self._retry, on_retry)",
        "        await self._journal.save(step, Checkpoint(self._input_hash(step), None), NOTHING)\n"
        "        made = await attempts.run(self._retry, on_retry)",
        (f"{_TEST_EXECUTOR}test_a_step_that_was_broken_off_is_done_again",),
    ),
    Mutation(
        "a checkpoint is not saved",
        _EXECUTOR,
        "await self._record(partial(self._journal.save, step, checkpoint, result.published))",
        "pass",
        (
            f"{_TEST_EXECUTOR}test_a_second_run_does_nothing_again_but_still_finds_what_follows",
            f"{_TEST_WORKER}test_a_stopped_worker_gives_its_job_to_another_which_does_only_what_is_left",
        ),
    ),
    Mutation(
        "a result that stands for a payment waits for others",
        _JOURNAL,
        "if published.payment or self._unsure:",
        "if self._unsure:",
        (f"{_TEST_JOURNAL}test_a_result_that_stands_for_a_payment_is_stored_before_its_step_has_ended",),
    ),
    Mutation(
        "steps go on after results could not be stored",
        _JOURNAL,
        "if published.payment or self._unsure:",
        "if published.payment:",
        (f"{_TEST_JOURNAL}test_after_a_write_that_failed_the_next_step_meets_the_error",),
    ),
    Mutation(
        "a run that ends leaves its last results unstored",
        _JOURNAL,
        "                async with asyncio.timeout(_LAST_WRITE_S):\n                    await self._write_waiting()",
        "                pass",
        (f"{_TEST_JOURNAL}test_what_waits_is_written_however_the_run_ends",),
    ),
    Mutation(
        "a checkpoint of other inputs is taken",
        _EXECUTOR,
        "if stored and stored.input_hash == self._input_hash(step):",
        "if stored:",
        (
            f"{_TEST_EXECUTOR}test_a_changed_parameter_redoes_the_step_and_what_depends_on_it_only_if_its_output_changed",
        ),
    ),
    Mutation(
        "a step reads an output that its hash does not cover",
        "services/orchestrator/steps/graph.py",
        "if handle not in self.declared:",
        "if False:",
        ("tests/unit/orchestrator/test_tasks.py::test_a_task_gets_no_value_behind_a_handle_that_it_does_not_declare",),
    ),
    Mutation(
        "a new speech detector keeps the regions of the former one",
        "services/orchestrator/clients/asr.py",
        'DETECTION: candidates(listed.detection, ""),',
        "DETECTION: [],",
        (f"{_TEST_WORKER}test_a_job_resumed_after_an_engine_has_changed_does_over_only_what_depends_on_it",),
    ),
    Mutation(
        "the lag of the outbox counts rows that are put off",
        "libs/onevoice_kit/queue/relay.py",
        "select(age).where(due(table))",
        "select(age).where(waiting(table))",
        ("tests/integration/kit_data/test_relay.py::test_the_lag_counts_from_the_time_at_which_a_row_is_due",),
    ),
    Mutation(
        "a step goes on when its result cannot be stored",
        _EXECUTOR,
        "        except Exception as error:\n            raise JournalFailed from error",
        "        except Exception:\n            return None  # type: ignore[return-value]",
        (f"{_TEST_EXECUTOR}test_without_its_journal_a_job_does_not_go_on",),
    ),
)

_EVENTS = (
    Mutation(
        "events are numbered by what is there, not under the lock",
        _STATEMENTS,
        "SELECT fence.id, fence.base + event.number,",
        "SELECT fence.id, (SELECT max(id) FROM jobs.job_events WHERE job_id = :job_id) + event.number,",
        (f"{_TEST_RACES}test_events_of_writes_that_wait_for_each_other_are_numbered_without_gaps",),
    ),
    Mutation(
        "a language that has ended ends again",
        _STATEMENTS,
        ") THEN {events} ELSE '[]' END",
        ") OR true THEN {events} ELSE '[]' END",
        (f"{_TEST_STORE}test_a_language_that_has_ended_stays_as_it_ended_and_gets_no_more_events",),
    ),
)

_QUEUE = (
    Mutation(
        "a message is written outside of the transaction that decides about it",
        _OUTBOX,
        "    await connection.execute(statement, row)",
        "    async with connection.engine.begin() as other:\n        await other.execute(statement, row)",
        (
            f"{_TEST_OUTBOX}test_a_message_of_a_failed_transaction_is_never_seen",
            "tests/integration/jobs/test_submit.py::test_a_submission_that_fails_leaves_nothing",
        ),
    ),
    Mutation(
        "messages are claimed without a lock",
        _OUTBOX,
        '\n        .with_for_update(of=table, skip_locked=True)\n        .cte("chosen")',
        '\n        .cte("chosen")',
        (f"{_TEST_OUTBOX}test_a_message_is_received_once_by_many_processes",),
    ),
    Mutation(
        "a claim waits for messages that another is claiming",
        _OUTBOX,
        "with_for_update(of=table, skip_locked=True)",
        "with_for_update(of=table)",
        (f"{_TEST_OUTBOX}test_a_message_that_another_is_claiming_blocks_no_other",),
    ),
    Mutation(
        "an old receipt ends a message that another has received",
        _OUTBOX,
        'and_(table.c.id == bindparam("message"), table.c.handle == bindparam("receipt"))',
        'and_(table.c.id == bindparam("message"))',
        (f"{_TEST_OUTBOX}test_a_receipt_that_ran_out_ends_nothing_of_the_next_receivers",),
    ),
    Mutation(
        "a received message is not hidden",
        _OUTBOX,
        "return and_(waiting(table), row.available_at <= func.now(), free)",
        "return and_(waiting(table), row.available_at <= func.now())",
        (f"{_TEST_QUEUE}test_a_received_message_is_hidden_from_others",),
    ),
)

JOBS = (*_FENCES, *_CLAIMS, *_WAITS, *_CHECKPOINTS, *_EVENTS, *_QUEUE)
