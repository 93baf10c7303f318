"""Engine `espeak`: the program espeak-ng, started for each line; it needs about 20 ms."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence

from onevoice_kit.errors import DeadlineExceeded, Unavailable
from services.tts.engines.base import Capabilities, EngineInfo, Voice
from services.tts.engines.espeak_voices import parse_voices
from services.tts.settings import TtsSettings

NAME = "espeak"
SAMPLE_RATE = 22_050
_WORDS_PER_MINUTE = 175
"""The program's own natural speaking rate."""
_PROGRAM = "espeak-ng"
_WAV_HEADER_BYTES = 44
_MAX_BYTES = 64 << 20
"""Of one line: 25 minutes."""
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
_MISSING = "The engine “espeak” needs the program espeak-ng; install the Debian package `espeak-ng`."


def create(settings: TtsSettings) -> Espeak:
    """The engine as the settings want it."""
    return Espeak(settings.espeak_timeout_s)


class Espeak:
    """The synthesis engine (see `base.SynthesisEngine`)."""

    def __init__(self, timeout_s: float, program: str = _PROGRAM) -> None:
        """A line that takes longer than `timeout_s` is given up. `program` is espeak-ng, by name or path."""
        self._timeout_s = timeout_s
        self._program = program
        self._names: dict[str, str] = {}
        """By voice id, what the program calls the voice."""
        self._described: Capabilities | None = None

    async def describe(self) -> Capabilities:
        if shutil.which(self._program) is None:
            return Capabilities(EngineInfo(NAME, "", ""), (), SAMPLE_RATE, available=False, missing=_MISSING)
        if self._described is None:
            version = (await self._run(["--version"])).decode(errors="replace")
            listed = parse_voices((await self._run(["--voices"])).decode(errors="replace"), NAME)
            self._names = {one.voice.id: one.name for one in listed}
            # The answer reads: eSpeak NG text-to-speech: 1.51  Data at: …
            info = EngineInfo(NAME, "", next(iter(version.partition(":")[2].split()), ""))
            self._described = Capabilities(info, tuple(one.voice for one in listed), SAMPLE_RATE, available=True)
        return self._described

    async def speak(self, text: str, voice: Voice, rate: float) -> bytes:
        options = [
            "-v",
            self._names[voice.id],
            "-s",
            str(round(_WORDS_PER_MINUTE * rate)),
            "-b",
            "1",
            "--stdin",
            "--stdout",
        ]
        return (await self._run(options, _without_phonemes(text).encode()))[_WAV_HEADER_BYTES:]

    async def close(self) -> None:
        """Nothing is kept running."""

    async def _run(self, options: Sequence[str], given: bytes = b"") -> bytes:
        try:
            program = await asyncio.create_subprocess_exec(
                self._program,
                *options,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=_ENVIRONMENT,
            )
        except OSError as error:
            raise Unavailable("The speech synthesizer did not start.", reason="engine_failed") from error
        try:
            async with asyncio.timeout(self._timeout_s):
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


def _without_phonemes(text: str) -> str:
    """The text without `[[`, behind which the program reads phonemes instead of words."""
    return text.replace("[", " [ ")
