"""The table between kit errors and gRPC statuses."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from onevoice.common.v1 import error_pb2
from onevoice_kit.errors import BY_KIND, Busy, DeadlineExceeded, Internal, InvalidInput, Kind, Unavailable
from onevoice_kit.grpc.errors import (
    CODES,
    STATUS_KEY,
    error_from_proto,
    error_to_proto,
    from_rpc_error,
    to_status,
    to_trailers,
)

METHOD = "/onevoice.tts.v1.TtsService/Synthesize"


def rpc_error(code: grpc.StatusCode, details: str = "", *trailers: tuple[str, str | bytes]) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details=details, debug_error_string=None
    )


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind.INVALID_INPUT, "INVALID_ARGUMENT"),
        (Kind.UNAUTHENTICATED, "UNAUTHENTICATED"),
        (Kind.FORBIDDEN, "PERMISSION_DENIED"),
        (Kind.NOT_FOUND, "NOT_FOUND"),
        (Kind.CONFLICT, "ABORTED"),
        (Kind.PRECONDITION, "FAILED_PRECONDITION"),
        (Kind.QUOTA_EXCEEDED, "RESOURCE_EXHAUSTED"),
        (Kind.BUSY, "RESOURCE_EXHAUSTED"),
        (Kind.UNAVAILABLE, "UNAVAILABLE"),
        (Kind.DEADLINE, "DEADLINE_EXCEEDED"),
        (Kind.CANCELLED, "CANCELLED"),
        (Kind.INTERNAL, "INTERNAL"),
    ],
)
def test_each_kind_has_its_code(kind, code):
    assert CODES[kind].name == code


def test_no_kind_is_without_a_code():
    assert set(CODES) == set(Kind)


def test_a_status_carries_error_info_and_retry_info_others_can_read():
    status = to_status(Busy("Full.", reason="engine_full", retry_after=1.5, details={"engine": "espeak"}))
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.reason, info.domain, info.metadata["engine"]) == ("engine_full", "onevoice", "espeak")
    assert retry.retry_delay.ToMilliseconds() == 1500


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        ("INVALID_ARGUMENT", Kind.INVALID_INPUT, False),
        ("OUT_OF_RANGE", Kind.INVALID_INPUT, False),
        ("UNAUTHENTICATED", Kind.UNAUTHENTICATED, False),
        ("PERMISSION_DENIED", Kind.FORBIDDEN, False),
        ("NOT_FOUND", Kind.NOT_FOUND, False),
        ("ALREADY_EXISTS", Kind.CONFLICT, False),
        ("ABORTED", Kind.CONFLICT, False),
        ("FAILED_PRECONDITION", Kind.PRECONDITION, False),
        ("RESOURCE_EXHAUSTED", Kind.BUSY, True),
        ("UNAVAILABLE", Kind.UNAVAILABLE, True),
        ("DEADLINE_EXCEEDED", Kind.DEADLINE, True),
        ("CANCELLED", Kind.CANCELLED, False),
        ("UNIMPLEMENTED", Kind.INTERNAL, False),
        ("UNKNOWN", Kind.INTERNAL, False),
        ("INTERNAL", Kind.INTERNAL, False),
        ("DATA_LOSS", Kind.INTERNAL, False),
    ],
)
def test_an_error_of_the_transport_is_understood_by_its_code(code, kind, retryable):
    error = from_rpc_error(rpc_error(grpc.StatusCode[code], "ipv4:10.0.0.7:50051: secret detail"), METHOD)
    assert (error.kind, error.retryable) == (kind, retryable)
    assert "TtsService" in error.message
    assert "10.0.0.7" not in error.message


def test_a_message_that_is_too_large_is_not_busy():
    error = from_rpc_error(rpc_error(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max"), METHOD)
    assert (error.reason, error.retryable) == ("message_too_large", False)


@pytest.mark.parametrize(
    "trailer",
    [
        b"\xff\xff not a status",
        status_pb2.Status(code=14, message="from elsewhere").SerializeToString(),
        b"",
    ],
)
def test_details_of_another_make_are_ignored(trailer):
    error = from_rpc_error(rpc_error(grpc.StatusCode.UNAVAILABLE, "", (STATUS_KEY, trailer)))
    assert (error.kind, error.reason) == (Kind.UNAVAILABLE, "service_unreachable")


def test_a_kind_this_version_does_not_know_falls_back_to_the_code():
    status = to_status(Unavailable())
    info = error_details_pb2.ErrorInfo(domain="onevoice", reason="x", metadata={"onevoice-kind": "from_the_future"})
    status.details[0].Pack(info)
    trailer = (STATUS_KEY, status.SerializeToString())
    assert from_rpc_error(rpc_error(grpc.StatusCode.NOT_FOUND, "", trailer)).kind is Kind.NOT_FOUND


@pytest.mark.parametrize("kind", list(Kind))
def test_an_error_survives_the_table_both_ways(kind):
    error = BY_KIND[kind]("Why.", reason="because", retry_after=0.25, details={"a": "b"})
    trailers = to_trailers(to_status(error))
    again = from_rpc_error(rpc_error(CODES[kind], "Why.", *trailers))
    assert type(again) is type(error)
    assert vars(again) == vars(error) | {"retryable": error.retryable}


@pytest.mark.parametrize(
    "error",
    [
        Busy("The service is full.", reason="queue_full", retry_after=1.5, details={"stage": "tts"}),
        InvalidInput("Nothing.", reason="nothing_to_speak"),
        DeadlineExceeded(reason="step_timeout", retryable=False),
        Internal("A defect.", retryable=True),
    ],
)
def test_an_error_of_one_part_of_a_call_arrives_whole(error):
    found = error_from_proto(error_pb2.Error.FromString(error_to_proto(error).SerializeToString()))
    assert type(found) is type(error)
    facts = ("message", "reason", "retry_after", "retryable", "details")
    assert [getattr(found, fact) for fact in facts] == [getattr(error, fact) for fact in facts]


def test_an_error_of_a_kind_from_the_future_is_internal():
    found = error_from_proto(error_pb2.Error(kind="melted", reason="too_hot", message="It melted.", retryable=True))
    assert (type(found), found.reason, found.retryable) == (Internal, "too_hot", True)
