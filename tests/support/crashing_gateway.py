"""The gateway with crash points around what makes a job: `python -m tests.support.crashing_gateway` forks it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import services.gateway.__main__ as gateway
from services.gateway.clients.billing import BillingClient
from services.gateway.jobs import submission

from . import zygote
from .crash_points import CrashPoints, watch_function


def _run(request: Mapping[str, Any]) -> None:
    points = CrashPoints(Path(request["log"]), request["die_at"])
    for method in ("quote", "reserve", "release"):
        watch_function(BillingClient, method, f"billing.{method}", points)
    for method in ("submit", "submit_file"):
        watch_function(submission.Submission, method, f"submission.{method}", points)
    watch_function(submission, "insert_job", "insert_job", points)
    gateway.main()


if __name__ == "__main__":
    zygote.serve(_run)
