"""The program that stays for the phonemes of many lines: each line gets its own, whatever happened before."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from services.tts.engines.espeak_kept import KeptEspeak
from services.tts.engines.espeak_program import EspeakProgram

OPTIONS = ["-q", "--ipa", "--tie=^", "-b", "1", "-v", "es", "--stdin"]
LINES = ["hola mundo", "uno, dos. tres", "♪", "weekend", "palabra " * 300, "", "7"]


class Counting(EspeakProgram):
    """Counts what it starts."""

    started = 0

    async def start(self, options):
        self.started += 1
        return await super().start(options)


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if one.name() == "espeak-ng" and one.status() != "zombie"]


@pytest.fixture
async def kept():
    made = KeptEspeak(Counting(60.0))
    yield made
    await made.close()
    assert children() == []


async def alone(line: str) -> list[str]:
    return (await EspeakProgram(60.0).run(OPTIONS, line.encode())).decode().split()


async def phonemes(kept: KeptEspeak, line: str) -> list[str]:
    return (await kept.run(OPTIONS, line.encode())).decode().split()


async def test_lines_at_once_get_what_a_program_of_their_own_gives_by_one_process(kept):
    found = await asyncio.gather(*(phonemes(kept, line) for line in LINES if len(line) < 100))
    assert found == [await alone(line) for line in LINES if len(line) < 100]
    assert len(children()) == 1
    assert kept._program.started == 1


async def test_a_line_longer_than_the_program_reads_at_once_gets_a_process_of_its_own(kept):
    [long] = [line for line in LINES if len(line) > 900]
    assert await phonemes(kept, long) == await alone(long)
    assert children() == []


async def test_after_a_cancelled_line_the_next_gets_its_own_phonemes(kept):
    await phonemes(kept, "hola")
    task = asyncio.create_task(phonemes(kept, "hola mundo"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert await phonemes(kept, "uno") == ["ˈuno"]


async def test_a_program_that_died_is_started_again(kept):
    await phonemes(kept, "hola")
    [child] = children()
    child.kill()
    await kept._kept[tuple(OPTIONS[:-1])].wait()
    assert await phonemes(kept, "uno") == ["ˈuno"]
