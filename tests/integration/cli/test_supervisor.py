"""Children of the launcher: started, watched, brought back, and ended with all they started."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from onevoice_cli.launcher.process import ServiceSpec
from onevoice_cli.launcher.supervisor import Change, RestartPolicy, State, Supervisor
from onevoice_kit.errors import Unavailable

FAST = RestartPolicy(budget=2, first_delay_s=0.01, max_delay_s=0.02, ready_timeout_s=20.0)


class Registry:
    """Remembers which groups exist."""

    def __init__(self) -> None:
        self.groups: set[int] = set()

    def started(self, group: int) -> None:
        self.groups.add(group)

    def ended(self, group: int) -> None:
        self.groups.discard(group)


class Lab:
    """A supervisor of shell scripts."""

    def __init__(self, folder: Path, policy: RestartPolicy = FAST) -> None:
        self.folder = folder
        self.registry = Registry()
        self.changes: list[Change] = []
        self.changed = asyncio.Event()
        self.supervisor = Supervisor(folder, self.registry, self._note, policy)

    def _note(self, change: Change) -> None:
        self.changes.append(change)
        self.changed.set()

    def spec(self, name: str, script: str, **options) -> ServiceSpec:
        """A script that is ready once it has written its process number to `NAME.pid`."""
        pid_file = self.folder / f"{name}.pid"
        full = f'echo $$ > "{pid_file}.new"; mv "{pid_file}.new" "{pid_file}"; {script}'

        async def ready() -> bool:
            return pid_file.exists() and _alive(int(pid_file.read_text()))

        return ServiceSpec(name, ("/bin/sh", "-c", full), dict(os.environ), ready, **options)

    def pid(self, name: str) -> int:
        return int((self.folder / f"{name}.pid").read_text())

    async def until_log(self, name: str, text: str) -> None:
        """Waits until the script has said this."""
        while text not in (self.folder / f"{name}.log").read_text():  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.01)

    async def until(self, name: str, state: State, count: int = 1) -> Change:
        """Waits until this happened so many times."""
        while True:
            self.changed.clear()
            found = [change for change in self.changes if (change.name, change.state) == (name, state)]
            if len(found) >= count:
                return found[-1]
            await self.changed.wait()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int) -> None:
    """Waits until the process has ended; the test's own timeout is the limit."""
    ended = asyncio.Event()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    asyncio.get_running_loop().add_reader(descriptor, ended.set)
    await ended.wait()
    asyncio.get_running_loop().remove_reader(descriptor)
    os.close(descriptor)


@pytest.fixture
async def lab(tmp_path):
    one = Lab(tmp_path)
    yield one
    await one.supervisor.stop()
    assert one.registry.groups == set()


async def test_all_are_healthy_when_start_returns_and_none_is_left_after_stop(lab):
    await lab.supervisor.start([lab.spec("a", "sleep 1000"), lab.spec("b", "sleep 1000")])
    pids = [lab.pid("a"), lab.pid("b")]
    assert all(map(_alive, pids))
    assert lab.registry.groups == set(lab.supervisor.pids().values())
    await lab.supervisor.stop()
    assert not any(map(_alive, pids))


async def test_a_killed_service_is_reported_with_its_last_words_and_comes_back(lab):
    await lab.supervisor.start([lab.spec("tts", 'echo \'{"level": "info", "message": "ready"}\'; exec sleep 1000')])
    await lab.until_log("tts", "ready")
    first = lab.pid("tts")
    os.kill(first, signal.SIGKILL)
    change = await lab.until("tts", State.RESTARTING)
    assert change.detail == "was ended by signal SIGKILL"
    assert change.log_lines == ["info ready"]
    await lab.until("tts", State.HEALTHY, 2)
    assert lab.pid("tts") != first


async def test_a_service_that_keeps_dying_is_given_up_with_its_name_and_log(lab):
    await lab.supervisor.start([lab.spec("tts", "exec sleep 1000")])
    failed = asyncio.create_task(lab.supervisor.failed())
    for number in range(1, 4):
        os.kill(lab.pid("tts"), signal.SIGKILL)
        if number < 3:
            await lab.until("tts", State.HEALTHY, number + 1)
    error = await failed
    assert error.reason == "service_lost"
    assert error.message.startswith("tts was ended by signal SIGKILL (3 times within 120 s)")
    assert str(lab.folder / "tts.log") in error.message


async def test_a_service_whose_state_is_lost_with_it_is_not_brought_back(lab):
    await lab.supervisor.start([lab.spec("aws", "exec sleep 1000", restart=False)])
    os.kill(lab.pid("aws"), signal.SIGKILL)
    assert (await lab.supervisor.failed()).message.startswith("aws was ended by signal SIGKILL.")


async def test_a_service_that_cannot_start_is_reported_with_its_cause(lab):
    with pytest.raises(
        Unavailable, match=r"tts ended with exit code 7 while starting: no model\. Its log is"
    ) as caught:
        await lab.supervisor.start([lab.spec("tts", "echo no model; exit 7"), lab.spec("asr", "sleep 1000")])
    assert caught.value.reason == "start_failed"


async def test_a_service_that_never_gets_healthy_is_reported(tmp_path):
    lab = Lab(tmp_path, RestartPolicy(ready_timeout_s=0.2))

    async def never() -> bool:
        return False

    spec = ServiceSpec("tts", ("/bin/sleep", "1000"), {}, never)
    with pytest.raises(Unavailable, match="tts was not healthy after 0 s"):
        await lab.supervisor.start([spec])
    await lab.supervisor.stop()
    assert lab.registry.groups == set()


async def test_lower_stop_orders_end_first(lab):
    await lab.supervisor.start(
        [lab.spec("last", "exec sleep 1000", stop_order=3), lab.spec("first", "exec sleep 1000", stop_order=0)]
    )
    await lab.supervisor.stop()
    ended = [(change.name, change.state) for change in lab.changes if change.state in (State.STOPPING, State.STOPPED)]
    assert ended == [
        ("first", State.STOPPING),
        ("first", State.STOPPED),
        ("last", State.STOPPING),
        ("last", State.STOPPED),
    ]


async def test_a_process_that_does_not_end_in_time_is_killed_and_reported(lab):
    await lab.supervisor.start([lab.spec("deaf", "trap '' TERM; while :; do sleep 0.1; done", grace_s=0.2)])
    pid = lab.pid("deaf")
    await lab.supervisor.stop()
    assert not _alive(pid)
    assert (await lab.until("deaf", State.STOPPED)).detail == "did not end within 0 s and was killed"


async def test_workers_of_a_killed_service_do_not_outlive_it(lab):
    worker_file = lab.folder / "worker"
    await lab.supervisor.start([lab.spec("asr", f'sleep 1000 & echo $! > "{worker_file}"; echo said; wait')])
    await lab.until_log("asr", "said")
    worker = int(worker_file.read_text())
    assert _alive(worker)
    os.kill(lab.pid("asr"), signal.SIGKILL)
    await gone(worker)
    await lab.until("asr", State.HEALTHY, 2)


async def test_each_run_has_its_own_log(lab):
    await lab.supervisor.start([lab.spec("tts", "echo hello; exec sleep 1000")])
    await lab.until_log("tts", "hello")
    os.kill(lab.pid("tts"), signal.SIGKILL)
    await lab.until("tts", State.HEALTHY, 2)
    assert (lab.folder / "tts.log.1").read_text() == "hello\n"
