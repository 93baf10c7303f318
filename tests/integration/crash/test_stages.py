"""A stage or billing killed in the middle of a call comes back on the same port, and the job ends as if undisturbed."""

from __future__ import annotations

import os
import random
import socket

import pytest

from tests.integration.crash.conftest import LINES, World, Worlds
from tests.integration.crash.outcome import Outcome, outcome
from tests.integration.crash.runs import undisturbed

CALLS = (
    "Probe[probe]",
    "ExtractAudio[extract]",
    "DetectSpeech[detect]",
    "Diarize[diarize]",
    "Separate[separate]",
    "ListEngines[asr]",
    "Thumbnail[thumbnail]",
    "Transcribe[transcribe:1]",
    "ListEngines[tts]",
    "ListVoices[voices:es]",
    "Summarize[terms:es]",
    "Translate[translate:ca:0]",
    "Synthesize[speak:es:0.1]",
    "Mix[mix:ca]",
    "Mux[mux:es]",
    "Measure[measure:ca]",
)
"""Every kind of call, as a step makes it."""


def chosen_calls() -> list[str]:
    """Each call before its work or after it, chosen as in `points.py`; with `CRASH_MATRIX=full`, both."""
    sides = (":before", ":after")
    if os.environ.get("CRASH_MATRIX") == "full":
        return [call + side for call in CALLS for side in sides]
    rng = random.Random(os.environ.get("CRASH_MATRIX_SEED", "1"))
    return [call + rng.choice(sides) for call in CALLS]


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module")
def known() -> list[Outcome]:
    return []


@pytest.fixture
async def reference(worlds: Worlds, known: list[Outcome]) -> Outcome:
    """The outcome of the job when no process dies."""
    if not known:
        async with worlds() as world:
            known.append((await undisturbed(world, "dubbed")).outcome)
    return known[0]


async def killed_once(world: World, role: str, point: str) -> list[str]:
    """Runs the job while a service dies at a point and comes back; the points passed after that."""
    names = ("BILLING",) if role == "billing" else ("ASR", "TRANSLATE", "TTS", "MIXER")
    address = free_address()
    world.environment |= {f"{name}_ADDRESS": address for name in names}
    listening = {"GRPC_PORT": address.rpartition(":")[2]}
    await world.submit()
    doomed = await world.start(role, die_at=point, environment=listening, segments=LINES)
    await world.start()
    await doomed.child.ended()
    assert doomed.passed[-1] == point, doomed.child.output.read_text()
    stored = await world.completed_steps()
    survivor = await world.start(role, environment=listening, segments=LINES)
    await world.until_over()
    asked = [line.partition("[")[2].partition("]")[0] for line in survivor.passed if line.endswith(":before")]
    assert stored.isdisjoint(asked), "work whose result was stored was done again"
    return survivor.passed


@pytest.mark.parametrize("point", chosen_calls())
async def test_stages_that_die_in_a_call_are_called_again_and_nothing_is_doubled(
    reference: Outcome, worlds: Worlds, point: str
) -> None:
    async with worlds() as world:
        passed = await killed_once(world, "stages", point)
        assert f"{point.rpartition(':')[0]}:after" in passed
        assert await outcome(world) == reference


@pytest.mark.parametrize("point", ["ledger.settle:before", "ledger.settle:after"])
async def test_billing_that_dies_while_it_settles_charges_once(reference: Outcome, worlds: Worlds, point: str) -> None:
    async with worlds() as world:
        passed = await killed_once(world, "billing", point)
        assert "ledger.settle:after" in passed
        assert await outcome(world) == reference
