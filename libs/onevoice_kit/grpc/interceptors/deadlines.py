"""Makes the caller's deadline the deadline of everything the call does."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from onevoice_kit.grpc.context import deadline
from onevoice_kit.grpc.interceptors.base import ServedCall


@asynccontextmanager
async def deadlines(call: ServedCall) -> AsyncIterator[None]:
    """Sets `context.remaining()` for the call; a caller without a deadline (a person with a tool) sets none."""
    left: float | None = call.context.time_remaining()
    with deadline(left if left is not None and math.isfinite(left) else None):
        yield
