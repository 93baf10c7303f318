"""Errors to HTTP: one table for every kind, nothing internal outside."""

from __future__ import annotations

import json

import pytest

from onevoice_kit.errors import (
    BY_KIND,
    Busy,
    Internal,
    InvalidInput,
    Kind,
    NotFound,
    QuotaExceeded,
    Unauthenticated,
    Unavailable,
)
from services.gateway.errors import STATUS_BY_KIND, problem_response, problems, status_of, unexpected


def body_of(error):
    return json.loads(bytes(problem_response(error).body))


def test_every_kind_has_a_status():
    assert set(STATUS_BY_KIND) == set(Kind) == set(BY_KIND)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Kind.INVALID_INPUT, 422),
        (Kind.UNAUTHENTICATED, 401),
        (Kind.FORBIDDEN, 403),
        (Kind.NOT_FOUND, 404),
        (Kind.CONFLICT, 409),
        (Kind.PRECONDITION, 422),
        (Kind.QUOTA_EXCEEDED, 429),
        (Kind.BUSY, 429),
        (Kind.UNAVAILABLE, 503),
        (Kind.DEADLINE, 504),
        (Kind.INTERNAL, 500),
    ],
)
def test_a_kind_has_the_status_of_the_contract(kind, status):
    assert status_of(BY_KIND[kind]()) == status


def test_too_few_credits_are_payment_required():
    assert status_of(QuotaExceeded(reason="insufficient_credits")) == 402


def test_a_problem_has_reason_detail_and_facts():
    body = body_of(NotFound("There is no such video.", reason="video_not_found", details={"video": "7"}))
    assert body == {
        "type": "urn:onevoice:problem:video_not_found",
        "title": "Video not found",
        "status": 404,
        "detail": "There is no such video.",
        "reason": "video_not_found",
        "video": "7",
    }


def test_facts_of_an_error_never_replace_what_a_problem_is():
    body = body_of(InvalidInput("No.", reason="wrong", details={"status": "200", "detail": "fine", "reason": "none"}))
    assert (body["status"], body["detail"], body["reason"]) == (422, "No.", "wrong")


@pytest.mark.parametrize("error", [Internal("the table jobs is gone"), unexpected(KeyError("secret"))])
def test_internal_errors_are_answered_by_an_id_only(error):
    body = body_of(error)
    assert (body["status"], body["reason"], body["detail"]) == (500, "internal", "Something went wrong inside.")
    assert len(body["error_id"]) == 32


def test_a_transient_refusal_states_when_to_retry():
    assert problem_response(Busy(retry_after=2.2)).headers["Retry-After"] == "3"
    assert problem_response(Unavailable()).headers["Retry-After"] == "5"
    assert "Retry-After" not in problem_response(NotFound()).headers


def test_a_missing_credential_is_answered_with_the_scheme_to_use():
    assert problem_response(Unauthenticated()).headers["WWW-Authenticate"] == 'Bearer realm="onevoice"'


def test_documented_problems_are_grouped_by_status():
    found = problems((404, "video_not_found"), (404, "job_not_found"))
    assert list(found) == [401, 404, 422, 503]
    assert list(found[404]["content"]["application/problem+json"]["examples"]) == ["video_not_found", "job_not_found"]
