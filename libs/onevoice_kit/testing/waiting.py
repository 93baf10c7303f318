"""Waiting for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(predicate: Callable[[], Awaitable[T]], timeout: float = 90.0, *, interval: float = 0.02) -> T: ...
@overload
async def eventually(predicate: Callable[[], T], timeout: float = 90.0, *, interval: float = 0.02) -> T: ...
async def eventually(predicate: Callable[[], Any], timeout: float = 90.0, *, interval: float = 0.02) -> Any:
    """
    The first truthy value that `predicate` (plain or async) gives; AssertionError after `timeout` seconds.
    An AssertionError inside the predicate counts as not yet, and is what is raised in the end.
    """
    deadline = time.monotonic() + timeout
    while True:
        failure: AssertionError | None = None
        try:
            value = predicate()
            result = await value if inspect.isawaitable(value) else value
            if result:
                return result
        except AssertionError as error:
            failure = error
        if time.monotonic() >= deadline:
            raise failure or AssertionError(f"did not become true within {timeout} s")
        await asyncio.sleep(interval)
