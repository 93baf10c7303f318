"""The first thing that every worker process of a pool runs; imports little, because each worker pays for it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import wait


def start(initialize: Callable[[], object]) -> None:
    """Ties the process to its parent, then loads what its tasks need."""
    # Ctrl-C and a SIGTERM to the whole group are the parent's to answer: it drains, then ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    initialize()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(0)
