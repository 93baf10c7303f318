"""The program behind the engine: missing, failing, hanging, cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from onevoice_kit.errors import DeadlineExceeded, PreconditionFailed, Unavailable
from onevoice_kit.testing.waiting import eventually
from services.tts.engines.base import Line
from services.tts.engines.espeak import Espeak
from services.tts.engines.registry import choose, synthesis_engines
from services.tts.settings import TtsSettings

LISTING = "Pty Language Age/Gender VoiceName File\n 5 es --/M Spanish roa/es\n"


def stand_in(folder: Path, speaking: str) -> str:
    """A program that lists one voice as espeak-ng does and speaks as the script does."""
    program = folder / "espeak-stand-in"
    program.write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        "  --version) echo 'eSpeak NG text-to-speech: 9.9  Data at: /x' ;;\n"
        f"  --voices) printf '{LISTING}' ;;\n"
        f"  *) {speaking} ;;\n"
        "esac\n"
    )
    program.chmod(0o755)
    return str(program)


async def spoken_by(engine: Espeak) -> bytes:
    voice = (await engine.describe()).voices[0]
    return await engine.speak(Line("hola", voice))


def is_running(pid_file: Path) -> bool:
    return Path(f"/proc/{pid_file.read_text().strip()}").exists()


async def test_a_missing_program_makes_the_engine_unavailable_and_names_the_package(tmp_path):
    engines = synthesis_engines(TtsSettings())
    engines._made["espeak"] = Espeak(5, program="no-such-program-here")
    [described] = await engines.describe()
    assert not described.available
    with pytest.raises(PreconditionFailed, match="`espeak-ng`") as caught:
        await choose(engines, "", "", "es")
    assert caught.value.reason == "engine_unavailable"


async def test_the_program_gets_the_text_on_its_input_and_nothing_of_it_as_argument(tmp_path):
    engine = Espeak(5, stand_in(tmp_path, f'printf %44s; echo "$@"; cat; exit 0; : {tmp_path}'))
    assert await spoken_by(engine) == b"-v roa/es -s 175 -b 1 --stdin --stdout\nhola"


async def test_a_failing_program_is_a_retryable_error(tmp_path):
    with pytest.raises(Unavailable) as caught:
        await spoken_by(Espeak(5, stand_in(tmp_path, "exit 3")))
    assert caught.value.reason == "engine_failed"


async def test_a_hanging_program_is_killed(tmp_path):
    pid = tmp_path / "pid"
    with pytest.raises(DeadlineExceeded) as caught:
        await spoken_by(Espeak(0.5, stand_in(tmp_path, f"echo $$ > {pid}; exec sleep 60")))
    assert caught.value.reason == "engine_timeout"
    assert not is_running(pid)


async def test_a_cancelled_call_kills_the_program(tmp_path):
    pid = tmp_path / "pid"
    script = f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 60"
    call = asyncio.create_task(spoken_by(Espeak(60, stand_in(tmp_path, script))))
    await eventually(pid.exists)
    assert is_running(pid)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not is_running(pid)
