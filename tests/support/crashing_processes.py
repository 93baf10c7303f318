"""
Our processes with crash points: `python -m tests.support.crashing_processes` forks one per request.

Each is the production program, started by its own `main`; only the constructors of what it reaches the world by are
wrapped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import services.billing.__main__ as billing
import services.orchestrator.__main__ as orchestrator
from onevoice_jobs.models import outbox
from onevoice_kit.db import create_engine
from onevoice_kit.queue.relay import OutboxRelay
from onevoice_kit.queue.sqs import SqsQueue
from services.orchestrator import sweeper
from services.orchestrator.settings import OrchestratorSettings

from . import zygote
from .crash_points import CrashPoints, watch_function, watched
from .storing_stages import run_stages

_ORCHESTRATOR = {
    "PostgresJobs": "jobs",
    "open_queue": "queue",
    "open_storage": "storage",
    "AsrClient": "asr",
    "TranslateClient": "translate",
    "TtsClient": "tts",
    "MixerClient": "mixer",
    "BillingClient": "billing",
    "open_mail": "mail",
    "open_alerts": "alerts",
}
"""The factories of the orchestrator's ports, and the names of their points."""
_SWEEPER = ("requeue_stuck", "forget_dead")
"""The sweeper's own statements: after the first its transaction is open, before the second it is committed."""


def _watch(module: ModuleType, constructors: Mapping[str, str], points: CrashPoints) -> None:
    for constructor, name in constructors.items():
        setattr(module, constructor, _watching(getattr(module, constructor), name, points))


def _watching(make: Callable[..., Any], name: str, points: CrashPoints) -> Callable[..., Any]:
    return lambda *args, **kwargs: watched(make(*args, **kwargs), name, points)


def _points(request: Mapping[str, Any]) -> CrashPoints:
    return CrashPoints(Path(request["log"]), request["die_at"], request["occurrence"], request["hold"])


def _run_orchestrator(request: Mapping[str, Any]) -> None:
    points = _points(request)
    _watch(orchestrator, _ORCHESTRATOR, points)
    for function in _SWEEPER:
        watch_function(sweeper, function, f"sweep.{function}", points)
    asyncio.run(orchestrator.main())


def _run_stages(request: Mapping[str, Any]) -> None:
    asyncio.run(run_stages(_points(request), request["segments"]))


def _run_billing(request: Mapping[str, Any]) -> None:
    _watch(billing, {"Ledger": "ledger"}, _points(request))
    asyncio.run(billing.main())


def _run_relay(request: Mapping[str, Any]) -> None:
    """The relay of the outbox within the gateway, alone."""
    asyncio.run(_relay(_points(request)))


async def _relay(points: CrashPoints) -> None:
    settings = OrchestratorSettings()
    sender = watched(SqsQueue(settings), "sqs", points)
    await OutboxRelay(create_engine(settings), outbox, sender).run()


_ROLES = {
    "orchestrator": _run_orchestrator,
    "stages": _run_stages,
    "billing": _run_billing,
    "relay": _run_relay,
}

if __name__ == "__main__":
    zygote.serve(lambda request: _ROLES[request["role"]](request))
