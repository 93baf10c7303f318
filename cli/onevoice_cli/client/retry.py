"""The retry rules of the client's calls."""

from __future__ import annotations

from onevoice_kit.retry import Backoff, Retry

# `Retry-After` of the server counts, up to a minute: a person is waiting.
_BACKOFF = Backoff(0.5, 8.0, jitter=0.5, longest_asked_s=60.0)

RETRY = Retry(_BACKOFF, attempts=5)
PATIENT = Retry(_BACKOFF, attempts=8)
NO_RETRY = Retry(attempts=1)
