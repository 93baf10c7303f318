"""The program espeak-ng kept running for phonemes: a line starts no process, which would hold up the whole service."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from onevoice_kit.errors import DeadlineExceeded, Unavailable
from services.tts.engines.espeak_program import EspeakProgram

_LONGEST = 900
"""Bytes of a line that the program reads at once; it cuts longer ones."""
_MARK_SIGNS, _MARK_LENGTH = "kp", 16


class KeptEspeak:
    """
    Runs as `EspeakProgram` does, with the option `--ipa`, in one process for each set of options.

    A process is started without giving up the interpreter, so a start among busy cores holds up every other task.
    """

    def __init__(self, program: EspeakProgram) -> None:
        self._program = program
        self._kept: dict[tuple[str, ...], asyncio.subprocess.Process] = {}
        self._locks: dict[tuple[str, ...], asyncio.Lock] = {}
        self._closed = False

    def missing(self, engine: str) -> str:
        """As `EspeakProgram.missing`."""
        return self._program.missing(engine)

    async def run(self, options: Sequence[str], given: bytes = b"") -> bytes:
        """The phonemes of one line; raises as `EspeakProgram.run` does."""
        if len(given) > _LONGEST or b"\n" in given:
            return await self._program.run(options, given)
        key = tuple(option for option in options if option != "--stdin")
        async with self._locks.setdefault(key, asyncio.Lock()):
            process = self._kept.pop(key, None)
            if process is None or process.returncode is not None:
                process = await self._program.start(key)
            try:
                async with asyncio.timeout(self._program.timeout_s):
                    found = await _answer(process, given)
            except TimeoutError as error:
                await _end(process)
                raise DeadlineExceeded("The speech synthesizer took too long.", reason="engine_timeout") from error
            except (asyncio.CancelledError, OSError, ValueError, Unavailable):
                # Its next answer would be that to another line.
                await _end(process)
                raise
            if self._closed:
                await _end(process)
            else:
                self._kept[key] = process
            return found

    async def close(self) -> None:
        """Ends the processes; one that reads a line now, behind that line."""
        self._closed = True
        kept, self._kept = self._kept, {}
        for process in kept.values():
            await _end(process)


async def _answer(process: asyncio.subprocess.Process, given: bytes) -> bytes:
    """The program answers a line by one or more; the mark, phonemes that no text is read as, comes back behind them."""
    mark = "".join(random.choices(_MARK_SIGNS, k=_MARK_LENGTH))
    asked, answers = process.stdin, process.stdout
    failed = Unavailable("The speech synthesizer failed on a line.", reason="engine_failed")
    if asked is None or answers is None:
        raise failed
    asked.write(given + f"\n[[{mark}]]\n".encode())
    await asked.drain()
    found = []
    while mark not in (line := await answers.readline()).decode(errors="replace"):
        if not line:
            raise failed
        found.append(line)
    return b"".join(found)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
