"""Run as `python -m tests.support.forks CASE FOLDER`: prints how many forks a case made of this process.

A fork copies a process with all that its threads hold at that moment. Libraries register handlers for it (gRPC does),
which then run in the copy. `vfork` and `posix_spawn` run none of them, and the handlers registered here count no call.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

_count = 0


def _before_fork() -> None:
    global _count
    _count += 1


_HANDLER = ctypes.CFUNCTYPE(None)(_before_fork)
"""Kept, so that the C library's pointer to it stays valid."""


async def _fork(_: Path) -> None:
    """The control: a fork is counted."""
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)  # noqa: ASYNC222 - nothing else runs in this loop


async def _postgres(folder: Path) -> None:
    from onevoice_local.postgres import EmbeddedPostgres

    with EmbeddedPostgres(folder / "postgres"):
        pass


async def _media_tool(folder: Path) -> None:
    from onevoice_kit.media_exec import process

    budget = process.Budget(seconds=20, memory_bytes=1 << 30, output_bytes=1 << 20)
    async with process.start(["/bin/true"], folder, budget) as running:
        await running.wait()


async def _synthesis(_: Path) -> None:
    from services.tts.engines.espeak import Espeak

    assert (await Espeak(20).describe()).available


async def _translation(_: Path) -> None:
    from services.translate.engines.apertium_pool import Pipeline

    pipeline = Pipeline([["/bin/cat"], ["/bin/cat"]], 20)
    await pipeline.start()
    await pipeline.close()


async def _recognition_pool(_: Path) -> None:
    from services.asr.engines.worker_pool import WorkerPool

    pool = WorkerPool(1, os.getpid)
    await pool.warm()
    await pool.close()


async def _launched_service(folder: Path) -> None:
    from onevoice_cli.launcher.process import Child, ServiceSpec

    async def ready() -> bool:
        return True

    child = await Child.start(ServiceSpec("sleep", ("/bin/sleep", "60"), dict(os.environ), ready), folder / "log")
    await child.stop()


async def _launched_database(folder: Path) -> None:
    from onevoice_cli.launcher.database import Database

    (folder / "logs").mkdir()
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
    database = Database(folder, lock_descriptor=lock, env=os.environ)
    await database.start()
    await database.stop()


async def _zygote(folder: Path) -> None:
    from tests.support.zygote import Zygote

    zygote = Zygote("tests.support.crashing_processes")
    zygote.close()


CASES: dict[str, Callable[[Path], Coroutine[object, object, None]]] = {
    "fork": _fork,
    "postgres": _postgres,
    "media tool": _media_tool,
    "synthesis": _synthesis,
    "translation": _translation,
    "recognition pool": _recognition_pool,
    "launched service": _launched_service,
    "launched database": _launched_database,
    "zygote": _zygote,
}


def main() -> None:
    """Runs the case, then prints the number of forks."""
    # The C library exports its `pthread_atfork` under this name; a macro hides it from programs in C.
    ctypes.CDLL(None).__getattr__("__register_atfork")(_HANDLER, None, None, None)
    asyncio.run(CASES[sys.argv[1]](Path(sys.argv[2])))
    sys.stdout.write(f"{_count}\n")


if __name__ == "__main__":
    main()
