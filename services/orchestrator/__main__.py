"""Starts the orchestrator: `python -m services.orchestrator`."""

from __future__ import annotations

import asyncio

from onevoice_jobs.models import outbox
from onevoice_jobs.notifications import PostgresAlerts
from onevoice_jobs.service import PostgresJobs
from onevoice_kit.db import create_engine
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.server import serve
from onevoice_kit.notify import open_alerts, open_mail
from onevoice_kit.queue import open_queue
from onevoice_kit.storage import open_storage
from onevoice_kit.telemetry.setup import setup

from .clients import AsrClient, BillingClient, Clients, MixerClient, TranslateClient, TtsClient
from .endings import Endings
from .notifications import NotificationSender
from .settings import OrchestratorSettings
from .sweeper import Sweeper
from .worker import Worker

_NAME = "orchestrator"


async def main() -> None:
    """Works on jobs until a signal stops it."""
    settings = OrchestratorSettings()
    setup(settings, _NAME)
    engine = create_engine(settings)
    storage = open_storage(settings)
    queue = open_queue(settings, engine, outbox, visibility_s=settings.receipt_visibility_s)
    clients = Clients(
        AsrClient(connect(settings.asr_address, caller=_NAME)),
        TranslateClient(connect(settings.translate_address, caller=_NAME)),
        TtsClient(connect(settings.tts_address, caller=_NAME)),
        MixerClient(connect(settings.mixer_address, caller=_NAME)),
        BillingClient(connect(settings.billing_address, caller=_NAME)),
    )
    jobs, mail, alerts = PostgresJobs(engine), open_mail(settings), open_alerts(settings)
    worker = Worker(jobs, queue, storage, clients, settings, alerts=PostgresAlerts(engine))
    sweeper = Sweeper(engine, jobs, Endings(clients, storage), clients.billing, settings, owner=worker.id)
    sender = NotificationSender(engine, mail, alerts, poll_s=settings.notify_poll_s)
    closing = (engine.dispose, storage.close, queue.close, mail.close, alerts.close)
    await serve(
        settings,
        _NAME,
        lambda _: None,
        services={"onevoice.orchestrator": {}},
        background=(worker.run, sweeper.run, sender.run),
        on_close=closing,
    )


if __name__ == "__main__":
    asyncio.run(main())
