"""Mixes spoken clips over the ducked programme: streaming, in two passes, at a measured loudness."""

from __future__ import annotations

import os

# Read when numpy loads. More threads for products of small matrices would take the encoder's core and gain nothing.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
