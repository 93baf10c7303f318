"""Names of the metrics of this service."""

from __future__ import annotations

from onevoice_kit.telemetry.names import Metric

RECOGNISED_SECONDS = Metric(
    "asr_recognised_seconds_total", "Speech turned into words, by engine. Unit: seconds of audio.", ("engine",)
)
WORKERS_LOST = Metric("asr_workers_lost_total", "Times a recognition process died and its pool was started again.")
