"""Turns what a servicer raises into a status; unknown errors leave only an id outside."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import grpc

from onevoice_kit.errors import Cancelled, Internal, OneVoiceError
from onevoice_kit.grpc.errors import code_of, to_status, to_trailers
from onevoice_kit.grpc.interceptors.base import ServedCall
from onevoice_kit.telemetry.names import ERROR_ID

_log = logging.getLogger(__name__)


@asynccontextmanager
async def errors(call: ServedCall) -> AsyncIterator[None]:
    """Answers a kit error with its status, any other with INTERNAL and an id; a cancelled call stays cancelled."""
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            call.code = _why_cancelled(call)
            raise
        # Not the call was cancelled but something it awaited; without a status the client would wait on.
        await _abort(call, Cancelled("The work was cancelled.", reason="work_cancelled"))
    except grpc.aio.AbortError:
        call.code = _aborted_with(call)
        raise
    except OneVoiceError as error:
        await _abort(call, error)
    except Exception as error:  # noqa: BLE001 - logged, and told as an id
        hidden = _hide(call, error)
        await _abort(call, hidden)


def _why_cancelled(call: ServedCall) -> grpc.StatusCode:
    left: float | None = call.context.time_remaining()
    timed_out = left is not None and left <= 0
    return grpc.StatusCode.DEADLINE_EXCEEDED if timed_out else grpc.StatusCode.CANCELLED


def _aborted_with(call: ServedCall) -> grpc.StatusCode:
    number = int(call.context.code())  # type: ignore[call-overload]  # a number, whatever its type says
    return code_of(number)


def _hide(call: ServedCall, error: Exception) -> Internal:
    error_id = uuid.uuid4().hex
    _log.error("%s failed", call.method, exc_info=error, extra={ERROR_ID: error_id, "rpc_method": call.method})
    return Internal(details={ERROR_ID: error_id})


async def _abort(call: ServedCall, error: OneVoiceError) -> NoReturn:
    if error.__cause__ is not None and isinstance(error, Internal):
        _log.error("%s failed: %s", call.method, error.message, exc_info=error, extra={"rpc_method": call.method})
    status = to_status(error)
    call.code, call.error = code_of(status.code), error
    await call.context.abort(call.code, status.message, to_trailers(error, status))
    raise error  # Never reached: abort raises.
