"""Transitions between the states of a job."""

from __future__ import annotations

import pickle
from itertools import product
from uuid import UUID

import pytest

from onevoice_jobs.leases import LeaseLost
from onevoice_jobs.states import JobStatus, LanguageStatus, check_transition, sources
from onevoice_kit.errors import Conflict, Kind

ALLOWED = {
    ("pending", "processing"),
    ("pending", "failed"),
    ("pending", "cancelled"),
    ("completed", "pending"),  # another run, for edited lines
    ("processing", "completed"),
    ("processing", "failed"),
    ("processing", "cancelled"),
    ("failed", "pending"),
    ("cancelled", "pending"),
}


@pytest.mark.parametrize(("old", "new"), list(product(JobStatus, JobStatus)))
def test_only_these_transitions_are_allowed(old, new):
    if (old.value, new.value) in ALLOWED:
        check_transition(old, new)
        assert old in sources(new)
        return
    assert old not in sources(new)
    with pytest.raises(Conflict) as error:
        check_transition(old, new)
    assert error.value.reason == "invalid_transition"
    assert error.value.details == {"from": old.value, "to": new.value}


def test_a_job_ends_in_one_of_three_states():
    assert [status.value for status in JobStatus if status.terminal] == ["completed", "failed", "cancelled"]


def test_languages_know_the_same_states_as_jobs():
    assert {status.value: status.terminal for status in LanguageStatus} == {
        status.value: status.terminal for status in JobStatus
    }


def test_a_lost_lease_is_a_conflict_that_is_not_retried_and_crosses_processes():
    lost = LeaseLost(UUID(int=7))
    assert (lost.kind, lost.reason, lost.retryable) == (Kind.CONFLICT, "lease_lost", False)
    again = pickle.loads(pickle.dumps(lost))
    assert (type(again), again.message, again.details) == (LeaseLost, lost.message, {"job_id": str(UUID(int=7))})
