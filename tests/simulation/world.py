"""One simulated deployment: the database, the queue, the stores, the ledger, and the workers that come and go."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from onevoice_jobs.leases import Lease
from onevoice_jobs.testing import MemoryJobs
from onevoice_kit.testing.faulty_queue import Faults, FaultyQueue
from onevoice_kit.testing.memory_queue import MemoryQueue
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.worker import Worker

from .ledger import Ledger
from .loop import VirtualLoop
from .network import Network, Process
from .ports import Line, LineJobs, LineQueue, LineStorage
from .profile import Profile
from .scenario import Spec, Submission
from .stages import simulated_stages
from .storage import MemoryStorage
from .watch import Violation, Watch

VISIBILITY_S = 30.0
RESTART_S = 20.0
"""Most that passes until a dead worker is started again."""


def settings() -> OrchestratorSettings:
    """As deployed, whatever the environment of the tests is."""
    return OrchestratorSettings(
        worker_max_jobs=2,
        worker_lease_s=120.0,
        worker_renew_s=30.0,
        worker_cancel_poll_s=1.0,
        worker_grace_s=15.0,
        worker_max_attempts=5,
        max_concurrent_transcribe=2,
        max_concurrent_translate=4,
        max_concurrent_tts=4,
        max_concurrent_mixer=2,
        default_source_language="en",
        sqs_wait_time_seconds=20,
        storage_dir=Path("/nonexistent"),
        database_url=SecretStr("postgresql://nowhere"),
    )


class World:
    """Everything; made inside of its loop."""

    def __init__(self, seed: str, profile: Profile, loop: VirtualLoop) -> None:
        self.loop = loop
        self.profile = profile
        self.counts: Counter[str] = Counter()
        self.lines: list[str] = []
        self.over = False
        self.queue = MemoryQueue(VISIBILITY_S, max_receives=profile.max_receives)
        self.jobs = MemoryJobs(now=loop.now, send=self.queue.send)
        self.ledger = Ledger(self._settled)
        self.storage = MemoryStorage()
        self.watch = Watch(self.jobs, self.ledger, loop.now)
        self.submitted: dict[Any, Submission] = {}
        self.workers: dict[str, Process] = {}
        self.failure = loop.create_future()
        self.rng = random.Random(f"world {seed}")
        self._seed = seed
        self._settings = settings()
        self._incarnations = 0
        self._chores: set[asyncio.Task[None]] = set()
        self._mains: dict[str, asyncio.Task[None]] = {}
        faults = Faults(profile.duplicate, profile.delay, profile.reorder, profile.lose_delete)
        self._faulty = FaultyQueue(self.queue, self.rng.getrandbits(32), faults)
        self._network = Network(profile, seed, self.note, self.kill, self.pause, self.fail)

    # Trace

    def note(self, process: Process | None, what: str, detail: str = "", outcome: str = "") -> None:
        """Writes a line of the trace, until the story is over."""
        if self.over:
            return
        name = process.name if process else "-"
        self.counts[what] += 1
        self.lines.append(f"{self.loop.time():12.6f} {name:6} {what:22} {detail} {outcome}".rstrip())

    def digest(self) -> str:
        """A hash that is equal for equal runs."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()

    # Workers

    def start(self, name: str) -> None:
        """Starts a worker's process."""
        self._incarnations += 1
        process = Process(f"{name}.{self._incarnations}")
        self.note(process, "start")
        line = Line(process, self._network, self.watch, self._spec_of)
        worker = Worker(
            LineJobs(line, self.jobs),
            LineQueue(line, self._faulty if self.profile != Profile() else self.queue),
            LineStorage(line, self.storage),
            simulated_stages(line, self.ledger),
            self._settings,
            worker_id=process.name,
            rng=random.Random(f"{process.name} {self._seed}"),
        )
        self.workers[name] = process
        self._mains[name] = process.start(worker.run())
        self._mains[name].add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self.fail(error)

    def kill(self, process: Process) -> None:
        """SIGKILL; another process takes its place after a while."""
        if process.alive:
            self.note(process, "KILL")
            process.kill()
            self.chore(self._bury(process, RESTART_S * self.rng.random()))

    async def _bury(self, process: Process, restart_s: float) -> None:
        await process.reap()
        await asyncio.sleep(restart_s)
        name = process.name.partition(".")[0]
        if self.workers[name] is process:
            self.start(name)

    def pause(self, process: Process, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after some time."""
        self.note(process, "PAUSE", f"{seconds:.0f} s")
        process.pause()
        self.loop.call_later(seconds, self._resume, process)

    def _resume(self, process: Process) -> None:
        if process.alive:
            self.note(process, "CONTINUE")
        process.resume()

    async def stop(self, name: str, *, again: bool = True) -> None:
        """SIGTERM; with `again` another process takes its place when this one has ended."""
        process, main = self.workers[name], self._mains[name]
        if process.alive and not main.done():
            self.note(process, "STOP")
            main.cancel()
            await asyncio.wait([main], timeout=600)
        if process.alive:
            process.kill()
            self.note(process, "gone")
            await (self._bury(process, RESTART_S * self.rng.random()) if again else process.reap())

    def chore(self, work: Any) -> None:
        """Does something in the background of the world; its failure is the world's."""
        task = self.loop.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chore_done)

    def _chore_done(self, task: asyncio.Task[None]) -> None:
        self._chores.discard(task)
        self._ended(task)

    def fail(self, error: BaseException) -> None:
        """Ends the simulation."""
        if not self.failure.done():
            self.failure.set_exception(error)

    # Users

    def submit(self, submission: Submission) -> None:
        """Submits a job as the gateway does."""
        self.submitted[submission.job_id] = submission
        self.note(None, "submit", f"{submission.job_id.hex[:6]} {submission.spec}")
        self.ledger.reserve(str(submission.job_id), submission.job.quoted_credits)
        self.jobs.submit(submission.job, submission.job_id)
        self.watch.job_changed(submission.job_id)

    def cancel(self, submission: Submission) -> None:
        """Cancels a job as the gateway does for its user."""
        job_id = submission.job_id
        if self.jobs.jobs[job_id].record.status.terminal:
            return
        status = self.jobs.request_cancel(submission.job.user_id, job_id)
        self.note(None, "cancel", f"{job_id.hex[:6]} {status}")
        self.watch.job_changed(job_id)
        if status.terminal and not submission.gateway_dies:
            self.ledger.release(str(job_id))

    def _settled(self, reservation: str) -> None:
        submission = self.submitted[UUID(reservation)]
        if submission.too_late:
            self.note(None, "too late", submission.job_id.hex[:6])
            self.loop.call_soon(self.cancel, submission)

    def calm(self) -> None:
        """From now on nothing goes wrong any more."""
        self.note(None, "CALM")
        self._network.calm()
        self._faulty._faults = Faults()
        for process in self.workers.values():
            process.resume()

    def outage(self, port: str, seconds: float) -> None:
        """A port answers nothing for some time."""
        self.note(None, "DOWN", f"{port} {seconds:.0f} s")
        self._network.down.add(port)
        self.loop.call_later(seconds, self._network.down.discard, port)

    def open_jobs(self) -> list[str]:
        """The jobs that have not ended."""
        return [job_id.hex[:6] for job_id, job in self.jobs.jobs.items() if not job.record.status.terminal]

    def _spec_of(self, lease: Lease) -> Spec:
        spec: Spec = self.submitted[lease.job_id].spec
        return spec

    def check(self) -> None:
        """Raises what has gone wrong so far."""
        if self.failure.done():
            raise self.failure.exception() or Violation("ended without a reason")
