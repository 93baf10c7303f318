"""The program espeak-ng, started for each text: its sound for one engine, its phonemes for another."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence

from onevoice_kit.errors import DeadlineExceeded, Unavailable

PROGRAM = "espeak-ng"
_MAX_BYTES = 64 << 20
"""Of one line: 25 minutes."""
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


class EspeakProgram:
    """Starts the program."""

    def __init__(self, timeout_s: float, program: str = PROGRAM) -> None:
        """A text that takes longer than `timeout_s` is given up. `program` is espeak-ng, by name or path."""
        self.timeout_s = timeout_s
        self._program = program

    def missing(self, engine: str) -> str:
        """A sentence about the program where it is not installed; else empty."""
        if shutil.which(self._program):
            return ""
        return f"The engine “{engine}” needs the program espeak-ng; install the Debian package `espeak-ng`."

    async def start(self, options: Sequence[str]) -> asyncio.subprocess.Process:
        """A running program with pipes for its input and output; raises `Unavailable` (reason `engine_failed`)."""
        try:
            return await asyncio.create_subprocess_exec(
                self._program,
                *options,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=_ENVIRONMENT,
            )
        except OSError as error:
            raise Unavailable("The speech synthesizer did not start.", reason="engine_failed") from error

    async def run(self, options: Sequence[str], given: bytes = b"") -> bytes:
        """
        The output. Raises `Unavailable` (reason `engine_failed`), `DeadlineExceeded` (reason `engine_timeout`).
        """
        program = await self.start(options)
        try:
            async with asyncio.timeout(self.timeout_s):
                output, _ = await program.communicate(given)
        except TimeoutError as error:
            raise DeadlineExceeded("The speech synthesizer took too long.", reason="engine_timeout") from error
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
        if program.returncode != 0 or len(output) > _MAX_BYTES:
            raise Unavailable("The speech synthesizer failed on a line.", reason="engine_failed")
        return output


def without_phonemes(text: str) -> str:
    """The text without `[[`, behind which the program reads phonemes instead of words."""
    return text.replace("[", " [ ")
