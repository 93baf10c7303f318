"""One log line per served call."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from onevoice_kit.grpc.interceptors.base import ServedCall

_log = logging.getLogger(__name__)


@asynccontextmanager
async def access_log(call: ServedCall) -> AsyncIterator[None]:
    """Method, code, milliseconds, peer, and the reason where it failed."""
    peer = call.context.peer()  # Not known any more once the call is cancelled.
    try:
        yield
    finally:
        facts: dict[str, object] = {
            "rpc_method": call.method,
            "rpc_code": call.code.name,
            "duration_ms": round(call.seconds * 1000, 1),
            "peer": peer,
        }
        if call.error is not None:
            facts["reason"] = call.error.reason
        _log.info("%s/%s %s", call.service.rpartition(".")[2], call.name, call.code.name, extra=facts)
