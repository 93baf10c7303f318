"""Processes that start in milliseconds: a parent imports everything once and forks a child for each request."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from onevoice_kit.testing.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 120.0


def serve(run: Callable[[Mapping[str, Any]], None]) -> None:
    """
    The parent: for each line of JSON on the standard input forks a child that does `run(request)`, and answers its
    process id. Call it before any event loop, thread or gRPC connection exists: none of these survives a fork.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the requester watches the child; here it leaves no zombie
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        _refuse_threads()
        pid = os.fork()
        if not pid:
            _child(run, json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _refuse_threads() -> None:
    """Every thread but this one would be missing in the copy, with whatever lock it holds."""
    task_folder = Path("/proc/self/task")
    threads = len(list(task_folder.iterdir())) if task_folder.exists() else threading.active_count()
    if threads != 1:
        raise RuntimeError(f"This process has {threads} threads and cannot be forked.")


def _child(run: Callable[[Mapping[str, Any]], None], request: Mapping[str, Any]) -> None:
    """Never returns: the child must not go on in its parent's loop."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing, log = (
            os.open(os.devnull, os.O_RDONLY),
            os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        )
        for target, source in ((0, nothing), (1, log), (2, log)):
            os.dup2(source, target)
        os.environ.update(request["environment"])
        run(request)
        code = 0
    except BaseException:  # noqa: BLE001 - whatever ended it belongs into its log, and it must exit here
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


class Child:
    """A forked process, watched by a file descriptor: its number cannot come to mean another process."""

    def __init__(self, pid: int, output: Path) -> None:
        self.output = output
        self._fd: int | None = None
        with suppress(ProcessLookupError):  # it has ended already
            self._fd = os.pidfd_open(pid)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, without effect on a process that has ended."""
        if self._fd is not None:
            with suppress(ProcessLookupError):  # it ended in this moment
                signal.pidfd_send_signal(self._fd, number)

    async def ended(self, timeout_s: float = _PATIENCE_S) -> None:
        """Waits until the process is gone; `TimeoutError` with what it wrote."""
        if self._fd is None:
            return
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._fd, gone.set)
        try:
            await asyncio.wait_for(gone.wait(), timeout_s)
        except TimeoutError as error:
            raise TimeoutError(f"The process does not end:\n{self.output.read_text()[-4000:]}") from error
        finally:
            loop.remove_reader(self._fd)
        self._close()

    async def kill(self) -> None:
        """Ends it at once."""
        self.signal(signal.SIGKILL)
        await self.ended()

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class Zygote:
    """The other end of `serve`: starts `python -m MODULE` once, and children from it."""

    def __init__(self, module: str) -> None:
        path = os.pathsep.join(str(ROOT / folder) for folder in (".", "libs", "gen", "cli"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            # numpy, which the services' modules import, would start a pool of threads, which a fork cannot copy.
            env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answers: queue.Queue[str] = queue.Queue()
        self._ready = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._answers.put(line.strip())
        self._answers.put("")

    async def start(self, output: Path, environment: Mapping[str, str], **request: Any) -> Child:
        """A child with these environment variables besides its parent's; what it prints goes to `output`."""
        if not self._ready:  # it is, once it has imported everything
            self._ready = await self._answer() == "ready"
        line = json.dumps({"output": str(output), "environment": dict(environment), **request})
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return Child(int(await self._answer()), output)

    def close(self) -> None:
        """Ends the parent; children are their users' to end."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(_PATIENCE_S)

    async def _answer(self) -> str:
        return await eventually(self._poll, _PATIENCE_S, interval=0.002)

    def _poll(self) -> str:
        try:
            answer = self._answers.get_nowait()
        except queue.Empty:
            return ""
        if not answer:
            raise RuntimeError(f"The parent process has ended with {self._process.poll()}.")
        return answer
