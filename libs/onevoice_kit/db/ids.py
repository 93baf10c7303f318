"""UUID version 7: ids that sort by the time they were made."""

from __future__ import annotations

import secrets
import threading
import time
from uuid import UUID


class Uuid7Source:
    """
    Makes UUIDv7s that strictly increase within one source, also when the clock stands still or goes back.

    RFC 9562, section 6.2, method 3: the 12 bits after the milliseconds hold the fraction of the millisecond;
    where that does not increase, the last value plus one is taken.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> UUID:
        ticks = time.time_ns() * 4096 // 1_000_000
        with self._lock:
            self._last = ticks = max(ticks, self._last + 1)
        milliseconds, fraction = ticks >> 12, ticks & 0xFFF
        return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(62))


uuid7 = Uuid7Source()
"""Makes the next id of this process."""
