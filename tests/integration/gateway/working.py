"""Works on jobs in place of an orchestrator, through the same leases and fenced writes."""

from __future__ import annotations

import json
from uuid import UUID

from onevoice_jobs.keys import artifact_key
from onevoice_jobs.leases import Claim, claim
from onevoice_jobs.postgres_store import PostgresJobStore
from onevoice_jobs.records import Artifact, JobError, Published, Segment, Translation
from onevoice_jobs.store import JobStore
from onevoice_jobs.testing import completed, finish_step
from tests.integration.gateway.conftest import Gateway, User

SRT = "1\n00:00:01,000 --> 00:00:02,000\nHola.\n"


async def take(gateway: Gateway, job_id: str) -> JobStore:
    """Claims a job as a worker does."""
    claimed = await claim(gateway.database, UUID(job_id), "worker-1")
    assert isinstance(claimed, Claim)
    return PostgresJobStore(gateway.database, claimed.lease)


async def finish(gateway: Gateway, user: User, job_id: str, *, spent: int = 62) -> None:
    """A whole job from claim to settlement, into Spanish."""
    store = await take(gateway, job_id)
    await store.set_progress("transcribe", 20)
    lines = [Segment(0, 0, 1000, 2000, "speaker_1", "hello"), Segment(1, 0, 3000, 4000, "speaker_1", "world")]
    await finish_step(store, "cut", "h", {}, Published(segments=tuple(lines)))
    await finish_step(
        store, "fit", "h", {}, Published(translations=(Translation("es", 0, "Hola."), Translation("es", 1, "Mundo.")))
    )
    files = [
        ("captions_srt", "es", "talk.es.srt", SRT.encode(), "application/x-subrip"),
        ("captions_srt", "en", "talk.en.srt", b"1\n", "application/x-subrip"),
        ("captions_vtt", "es", "talk.es.vtt", b"WEBVTT\n", "text/vtt"),
        ("video", "es", "talk.es.mp4", b"a film", "video/mp4"),
        ("thumbnail", None, "thumbnail.jpg", b"a picture", "image/jpeg"),
        ("report", None, "report.json", json.dumps({"job_id": job_id}).encode(), "application/json"),
    ]
    for kind, language, filename, content, content_type in files:
        key = artifact_key(user.id, UUID(job_id), filename)
        ref = await gateway.storage.put_bytes(key, content, content_type)
        await finish_step(store, "done", "h", {}, Published(artifacts=(Artifact(kind, language, filename, ref),)))
    await finish_step(store, "done:es", "h", {}, completed("es", {}))
    await gateway.ledger.settle(job_id, spent)
    await store.job_completed(spent_credits=spent, metrics={})


async def fail(gateway: Gateway, job_id: str, reason: str) -> None:
    """A job that a worker fails, with its credits released."""
    store = await take(gateway, job_id)
    await gateway.ledger.release(job_id)
    await store.job_failed(JobError(reason, "There is no speech in the video."))
