"""Ways in which a job can go, each as what is arranged before, done while it runs, and changed after the kill."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

from onevoice_kit.errors import Busy, InvalidInput, PreconditionFailed
from onevoice_kit.testing.waiting import eventually
from tests.integration.crash.conftest import PATIENCE_S, Orchestrator, World
from tests.support.instant_stages import fails, only, speaker_of


@dataclass(frozen=True)
class Scenario:
    """A job that goes well."""

    environment: Mapping[str, str] = field(default_factory=dict)
    hold: tuple[str, ...] = ()
    last: str = "queue.delete:after"
    """The last that the first process does for an undisturbed job."""
    again: tuple[str, ...] = ()
    """Steps that the scenario itself makes anew, though their result is stored."""

    def arrange(self, world: World) -> None:
        """Before the job is submitted."""

    async def befall(self, world: World) -> None:
        """Between its submission and the start of the first process."""

    async def act(self, world: World, orchestrator: Orchestrator) -> None:
        """While the first process works on the job."""

    def relieve(self, world: World) -> None:
        """Before another process goes on."""


class Halved(Scenario):
    """One language cannot be had."""

    def arrange(self, world: World) -> None:
        error = InvalidInput("No engine.", reason="unsupported_language_pair")
        world.script.faults["Translate"] = fails(error, only(target_language="ca"))


class Refused(Scenario):
    """The source cannot be dubbed."""

    def arrange(self, world: World) -> None:
        world.script.faults["DetectSpeech"] = fails(PreconditionFailed("No speech.", reason="no_speech"))


class Exhausted(Scenario):
    """Every attempt has ended with the death of its worker."""

    async def befall(self, world: World) -> None:
        await world.execute("UPDATE jobs.jobs SET attempts = 1")


class Waiting(Scenario):
    """A stage is full for longer than a step is retried; then it has room."""

    def arrange(self, world: World) -> None:
        error = Busy("The translator is full.", reason="translator_full")
        world.script.faults["Translate"] = fails(error, only(target_language="es"))

    def relieve(self, world: World) -> None:
        world.script.faults.clear()


class Recast(Scenario):
    """The engine that is to speak one language refuses its key once the voices are chosen; another one takes over."""

    def arrange(self, world: World) -> None:
        world.script.engines = ("first", "instant")
        world.script.gates["Translate"] = asyncio.Event()
        error = PreconditionFailed(reason="engine_key_refused", details={"failed_engine": "first"})
        world.script.faults["Synthesize"] = fails(
            error, lambda request: only(language="es")(request) and speaker_of(request).name == "first"
        )

    async def act(self, world: World, orchestrator: Orchestrator) -> None:
        def chosen() -> bool:
            written = [
                orchestrator.passed.count(f"store.finish_steps[{step}:*]:after") for step in ("recast", "voices")
            ]
            return written == [2, 2]

        await eventually(chosen, PATIENCE_S)
        self.relieve(world)

    def relieve(self, world: World) -> None:
        world.script.gates["Translate"].set()


class Halted(Scenario):
    """The mixer takes its time."""

    def arrange(self, world: World) -> None:
        world.script.gates["Mix"] = asyncio.Event()

    def relieve(self, world: World) -> None:
        world.script.gates["Mix"].set()


class Cancelled(Halted):
    """The user cancels the job."""

    async def act(self, world: World, orchestrator: Orchestrator) -> None:
        await eventually(lambda: world.script.count("Mix") == 2, PATIENCE_S)
        await world.cancel()


class Stopped(Halted):
    """A signal stops the process."""

    async def act(self, world: World, orchestrator: Orchestrator) -> None:
        await eventually(lambda: world.script.count("Mix") == 2, PATIENCE_S)
        orchestrator.child.signal(signal.SIGTERM)


class Lost(Scenario):
    """The message is lost; only the sweeper finds the job."""

    async def befall(self, world: World) -> None:
        await world.execute("DELETE FROM jobs.outbox")


class Overdue(Lost):
    """The job has lost its message and is past its deadline."""

    async def befall(self, world: World) -> None:
        await super().befall(world)
        await world.execute("UPDATE jobs.jobs SET deadline_at = now()")


class Abandoned(Overdue):
    """The user has cancelled, the worker died before it could end the job, and the message is lost."""

    async def befall(self, world: World) -> None:
        await super().befall(world)
        await world.execute("UPDATE jobs.jobs SET cancel_requested_at = now()")


class CancelledByOneThatDies(Lost):
    """The gateway cancels the job and dies before it releases the credits."""

    async def befall(self, world: World) -> None:
        await super().befall(world)
        await world.cancel()


class Left(CancelledByOneThatDies):
    """Nor does any worker meet the message that was sent with the cancel."""

    async def befall(self, world: World) -> None:
        await super().befall(world)
        await world.execute("DELETE FROM jobs.outbox")


_AT_ONCE = {"SWEEP_RESERVATIONS_AFTER_S": "0"}
_SWEEPING = {"SWEEP_INTERVAL_S": "0.1"}

SCENARIOS: Mapping[str, Scenario] = {
    "dubbed": Scenario(),
    "one language fails": Halved(),
    "refused": Refused(),
    "exhausted": Exhausted({"WORKER_MAX_ATTEMPTS": "1"}, last="queue.dead_letter:after"),
    "waiting": Waiting({"WORKER_RETRY_BUDGET_S": "1", "WORKER_WAIT_MIN_S": "0", "WORKER_WAIT_MAX_S": "0"}),
    "recast": Recast(again=("voices:es",)),
    "cancelled": Cancelled(),
    "stopped": Stopped(last="jobs.deregister:after"),
    "renewed": Halted({"WORKER_RENEW_S": "1.5"}, last="jobs.renew:after"),
    "lost": Lost({**_SWEEPING, **_AT_ONCE, "SWEEP_STUCK_AFTER_S": "0"}),
    "overdue": Overdue(_SWEEPING, last="alerts.send:after"),
    "abandoned": Abandoned(_SWEEPING, last="store.job_cancelled:after"),
    "cancelled by one that dies": CancelledByOneThatDies(),
    "left": Left({**_SWEEPING, **_AT_ONCE}, last="billing.release:after"),
}
