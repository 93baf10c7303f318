"""Jobs, results and writes that the cases of the job engine's contract share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from onevoice_jobs.leases import Claim, Refused
from onevoice_jobs.records import Artifact, Event, JobError, Published, Segment, Translation, Word
from onevoice_jobs.store import JobStore
from onevoice_jobs.testing import completed, finish_step
from onevoice_kit.storage.base import ObjectRef

REF = ObjectRef("file:///users/u/jobs/j/a.flac", "b" * 64, 99, "audio/flac")
SEGMENT = Segment(0, 0, 100, 900, "speaker_1", "hello world", (Word("hello", 100, 400, 0.9), Word("world", 450, 900)))
TRANSLATION = Translation("es", 0, "hola mundo", REF, 880, 100, 980, 1.0, 0, ("borrowed_after",))
VIDEO = Artifact("video", "es", "talk.es.mp4", REF)
FAILURE = JobError("engine_failed", "The engine failed.")

WRITES: dict[str, Callable[[JobStore], Awaitable[Any]]] = {
    "finish_step": lambda store: finish_step(store, "s", "h", {}),
    "finish_step_with_event": lambda store: finish_step(store, "s", "h", {}, Published(events=(Event("x"),))),
    "finish_step_with_segments": lambda store: finish_step(store, "cut", "h", {}, Published(segments=(SEGMENT,))),
    "finish_step_with_translations": lambda store: finish_step(
        store, "fit", "h", {}, Published(translations=(TRANSLATION,))
    ),
    "finish_step_with_artifact": lambda store: finish_step(store, "done", "h", {}, Published(artifacts=(VIDEO,))),
    "finish_step_with_source_language": lambda store: finish_step(
        store, "language", "h", {}, Published(source_language="de")
    ),
    "forget_results": lambda store: store.forget_results(),
    "set_progress": lambda store: store.set_progress("asr", 10),
    "set_language_progress": lambda store: store.set_progress("tts", 10, language="es"),
    "finish_step_with_language": lambda store: finish_step(store, "done:es", "h", {}, completed("es", {})),
    "language_failed": lambda store: store.language_failed("es", FAILURE),
    "event": lambda store: store.record(Event("line.ready", {})),
    "cancel_requested": lambda store: store.cancel_requested(),
    "job_completed": lambda store: store.job_completed(spent_credits=1, metrics={}),
    "job_failed": lambda store: store.job_failed(FAILURE),
    "job_cancelled": lambda store: store.job_cancelled(),
}
"""Each write of a lease holder."""


async def claim(under_test, job_id, owner="worker-1", *, ttl_s=120.0, max_attempts=5, sent_at=None) -> Claim | Refused:
    answer: Claim | Refused = await under_test.jobs.claim(
        job_id, owner, ttl_s=ttl_s, max_attempts=max_attempts, sent_at=sent_at
    )
    return answer


async def claimed(under_test, job_id, owner="worker-1", *, ttl_s=120.0) -> Claim:
    answer = await claim(under_test, job_id, owner, ttl_s=ttl_s)
    assert isinstance(answer, Claim)
    return answer


async def types(under_test, job_id) -> list[str]:
    return [event.type for event in await under_test.events(job_id)]
