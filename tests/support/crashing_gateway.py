"""The gateway with crash points around what makes a job: `python -m tests.support.crashing_gateway` forks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import services.gateway.__main__ as gateway
from services.gateway import services
from services.gateway.jobs import submission

from . import zygote
from .crash_points import CrashPoints, watch_function, watched


def _watching(make: Callable[..., Any], name: str, points: CrashPoints) -> Callable[..., Any]:
    return lambda *args: watched(make(*args), name, points)


def _run(request: Mapping[str, Any]) -> None:
    points = CrashPoints(Path(request["log"]), request["die_at"])
    for constructor, name in (("BillingClient", "billing"), ("Submission", "submission")):
        setattr(services, constructor, _watching(getattr(services, constructor), name, points))
    watch_function(submission, "insert_job", "insert_job", points)
    gateway.main()


if __name__ == "__main__":
    zygote.serve(_run)
