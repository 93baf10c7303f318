"""Credits and creating calls."""

from __future__ import annotations

from .mutation import Mutation

_LEDGER, _TEST_LEDGER = "services/billing/ledger.py", "tests/integration/billing/test_ledger.py::"
_IDEMPOTENCY, _KEYS = "services/gateway/idempotency/service.py", "services/gateway/idempotency/repository.py"
_TEST_IDEMPOTENCY, _TEST_JOBS = (
    "tests/integration/gateway/test_idempotency.py::",
    "tests/integration/gateway/test_jobs.py::",
)
_TEST_RESUME = "tests/integration/gateway/test_resume.py::"
_TEST_WORKER = "tests/integration/orchestrator/test_worker.py::"

MONEY = (
    Mutation(
        "settle takes more than was reserved",
        _LEDGER,
        "spent = min(used, reservation.credits)",
        "spent = used",
        (f"{_TEST_LEDGER}test_a_job_costs_between_nothing_and_what_it_reserved",),
    ),
    Mutation(
        "settling again moves credits again",
        _LEDGER,
        "if reservation.state is ReservationState.OPEN:",
        "if reservation.state is not ReservationState.RELEASED:",
        (f"{_TEST_LEDGER}test_settling_again_gives_the_first_answer",),
    ),
    Mutation(
        "releasing again moves credits again",
        _LEDGER,
        "if reservation is None or reservation.state is not ReservationState.OPEN:",
        "if reservation is None:",
        (
            f"{_TEST_LEDGER}test_releasing_gives_everything_back_once",
            f"{_TEST_LEDGER}test_after_a_settlement_there_is_nothing_to_release",
        ),
    ),
    Mutation(
        "a release that overtakes its reservation is forgotten",
        _LEDGER,
        "            if await repository.insert_void(connection, reservation_id):\n                return 0\n",
        "",
        (f"{_TEST_LEDGER}test_a_release_that_overtakes_its_reservation_prevents_it",),
    ),
    Mutation(
        "reserving reads the account without locking it",
        _LEDGER,
        "        account = await repository.find_account(connection, user_id, lock=True)\n        return account or",
        "        account = await repository.find_account(connection, user_id)\n        return account or",
        (f"{_TEST_LEDGER}test_fifty_reservations_at_once_never_overspend",),
    ),
    Mutation(
        "settling reads the reservation without locking it",
        _LEDGER,
        "            reservation = await repository.find_reservation(connection, reservation_id, lock=True)\n"
        "            if reservation is None:",
        "            reservation = await repository.find_reservation(connection, reservation_id)\n"
        "            if reservation is None:",
        (f"{_TEST_LEDGER}test_settle_and_release_at_once_end_in_one_of_both",),
    ),
    Mutation(
        "a cancelled job keeps its credits: the worker's end",
        "services/orchestrator/job_run.py",
        "not await self._endings.give_credits_back(self._job):",
        "True:",
        (f"{_TEST_WORKER}test_a_cancelled_job_stops_its_calls_and_gives_its_credits_back",),
    ),
    Mutation(
        "a job that is paid for is cancelled all the same",
        "services/orchestrator/job_run.py",
        "return await self._graph() if self._job.attempts <= self._settings.worker_max_attempts else _EXHAUSTED",
        "return ending",
        (f"{_TEST_WORKER}test_a_job_settled_before_it_was_cancelled_is_delivered",),
    ),
    Mutation(
        "a job that may be paid for is cancelled at once",
        "libs/onevoice_jobs/control.py",
        "if not row.held and not await may_be_paid(connection, job_id):",
        "if not row.held:",
        (
            "tests/integration/jobs/test_concurrency.py::test_a_cancel_waits_for_a_checkpoint_that_is_being_written",
            f"{_TEST_RESUME}test_a_job_whose_worker_settled_and_died_is_not_cancelled_any_more",
        ),
    ),
    Mutation(
        "a cancelled job keeps its credits: the gateway's end",
        "services/gateway/jobs/runs.py",
        "await billing.release(job.reservation)",
        "pass",
        (f"{_TEST_JOBS}test_a_waiting_job_is_cancelled_at_once_and_its_credits_come_back",),
    ),
    Mutation(
        "a submission that fails keeps its credits",
        _IDEMPOTENCY,
        "undo=attempt.leaves_traces))",
        "undo=False))",
        (f"{_TEST_JOBS}test_a_submission_that_fails_in_the_database_gives_the_credits_back",),
    ),
    Mutation(
        "an idempotency key stands for any request",
        _IDEMPOTENCY,
        "if known is not None and known.request_hash != record.request_hash:",
        "if False:",
        (f"{_TEST_IDEMPOTENCY}test_a_repeated_call_gets_the_first_answer_and_another_body_is_refused",),
    ),
    Mutation(
        "the idempotency record is not checked",
        _KEYS,
        "    return (await connection.execute(_CLAIM, row)).one_or_none() is not None",
        "    return (await connection.execute(_CLAIM, row)).one_or_none() is not None or True",
        (
            f"{_TEST_IDEMPOTENCY}test_a_repeated_call_gets_the_first_answer_and_another_body_is_refused",
            f"{_TEST_IDEMPOTENCY}test_calls_at_the_same_time_happen_once",
        ),
    ),
    Mutation(
        "what a dead gateway reserved stays reserved",
        _IDEMPOTENCY,
        "            if not await self._abandon(record, undo=True):",
        "            if not await self._abandon(record, undo=False):",
        (f"{_TEST_IDEMPOTENCY}test_housekeeping_gives_back_what_a_dead_process_had_reserved",),
    ),
)
