"""Writes samples into a pipe from a thread of its own, so that the encoder never waits while a block is mixed."""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import BinaryIO

from services.mixer.mixing.blocks import Samples

_WAITING = 4


class PipeWriter:
    """A bounded queue before a blocking pipe. Leaving the context closes the pipe, which ends the reader's input."""

    def __init__(self, out: BinaryIO | None) -> None:
        """`out` None: everything is dropped."""
        self._out = out
        self._queue: queue.Queue[Samples | None] = queue.Queue(_WAITING)
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="pipe-writer", daemon=True)

    def write(self, samples: Samples) -> None:
        """Hands samples over; raises what the pipe raised before, `BrokenPipeError` when the reader is gone."""
        if self._error is not None:
            raise self._error
        self._queue.put(samples)

    def __enter__(self) -> PipeWriter:
        """Starts the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits until all is written."""
        self._queue.put(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (samples := self._queue.get()) is not None:
            self._put(samples)
        if self._out is not None and self._error is None:
            try:
                self._out.close()
            except OSError as error:
                self._error = error

    def _put(self, samples: Samples) -> None:
        # After an error the queue is still emptied, so that no writer waits for a place in it.
        if self._out is None or self._error is not None:
            return
        try:
            self._out.write(samples.data if samples.flags.c_contiguous else samples.tobytes())
        except OSError as error:
            self._error = error
