"""Keeps fetched audio for a while, because many calls in a row read the same object."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from onevoice_kit.storage.base import ObjectRef, Storage

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Copy:
    context: AbstractAsyncContextManager[Path]
    path: asyncio.Task[Path]
    users: int = 0
    expiry: asyncio.TimerHandle | None = None


class AudioCache:
    """
    Local copies of stored objects, shared by the calls that read them at the same time or soon after.

    The chunks of one job arrive one after another and all read the same object; without this each would fetch
    (and checksum) the whole of it. At most `max_idle` unused copies are kept, each for `idle_s` seconds.
    """

    def __init__(self, storage: Storage, *, max_idle: int = 4, idle_s: float = 60.0) -> None:
        self._storage = storage
        self._max_idle = max_idle
        self._idle_s = idle_s
        self._copies: dict[ObjectRef, _Copy] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self, ref: ObjectRef) -> AsyncIterator[Path]:
        """The object as a local file for the length of the context; errors are those of `Storage.open_local`."""
        copy = self._take(ref)
        try:
            # Shielded: a caller that is cancelled does not take the fetch away from the others.
            yield await asyncio.shield(copy.path)
        finally:
            self._release(ref, copy)

    def _take(self, ref: ObjectRef) -> _Copy:
        copy = self._copies.pop(ref, None)
        if copy is None or _failed(copy):
            context = self._storage.open_local(ref)
            copy = _Copy(context, asyncio.ensure_future(context.__aenter__()))
        if copy.expiry:
            copy.expiry.cancel()
            copy.expiry = None
        copy.users += 1
        self._copies[ref] = copy  # last in the order: the most recently used
        return copy

    def _release(self, ref: ObjectRef, copy: _Copy) -> None:
        copy.users -= 1
        if copy.users:
            return
        if _failed(copy):
            self._forget(ref, copy)
            return
        copy.expiry = asyncio.get_running_loop().call_later(self._idle_s, self._drop, ref, copy)
        idle = [(old, held) for old, held in self._copies.items() if not held.users]
        for old, held in idle[: max(0, len(idle) - self._max_idle)]:
            self._drop(old, held)

    def _drop(self, ref: ObjectRef, copy: _Copy) -> None:
        if copy.expiry:
            copy.expiry.cancel()
        self._forget(ref, copy)
        task = asyncio.ensure_future(self._close(copy))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _forget(self, ref: ObjectRef, copy: _Copy) -> None:
        if self._copies.get(ref) is copy:
            del self._copies[ref]

    async def _close(self, copy: _Copy) -> None:
        try:
            await copy.path
        except Exception:  # noqa: BLE001 - the fetch failed after its last user had gone: nothing to give back
            _log.info("gave up an audio copy that could not be fetched", exc_info=True)
            return
        await copy.context.__aexit__(None, None, None)

    async def close(self) -> None:
        """Deletes all copies."""
        for ref, copy in list(self._copies.items()):
            self._drop(ref, copy)
        await asyncio.gather(*self._closing)


def _failed(copy: _Copy) -> bool:
    return copy.path.done() and (copy.path.cancelled() or copy.path.exception() is not None)
