"""The step that separates: it goes on without stems, but waits for a service that is away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from onevoice_kit.errors import (
    Cancelled,
    DeadlineExceeded,
    Internal,
    InvalidInput,
    NotFound,
    OneVoiceError,
    PreconditionFailed,
    Unavailable,
)
from onevoice_kit.storage.base import ObjectRef
from services.orchestrator.clients.asr import NOT_SEPARATED, Separated
from services.orchestrator.clients.mixer import Sound
from services.orchestrator.pipeline import handles
from services.orchestrator.policy.line import EngineUse
from services.orchestrator.steps.graph import Given, dump, item
from services.orchestrator.steps.separation import Separate

ENGINE = EngineUse("deepfilter", "DeepFilterNet3", "1")
REF = ObjectRef("file:///programme.flac", "a" * 64, 9, "audio/flac")
STEMS = Separated(ENGINE, REF, REF)
ENGINES = item(handles.ASR_ENGINES, "separation")
STEP = Separate(gives=handles.SEPARATE, sound=handles.EXTRACT, speech=handles.DETECT, engine="", engines=ENGINES)


class Asr:
    """Gives the stems, or fails."""

    def __init__(self, error: OneVoiceError | None = None) -> None:
        self.error = error
        self.calls: list[tuple[Any, ...]] = []

    async def separate(self, *arguments: Any) -> Separated:
        self.calls.append(arguments)
        if self.error:
            raise self.error
        return STEMS


async def run(asr: Asr, engines: tuple[EngineUse, ...] = (ENGINE,)) -> Separated:
    inputs = {
        "extract": dump(Sound, Sound(REF, REF, -20.0, 5_000)),
        "engines:asr": dump(dict[str, list[EngineUse]], {"separation": list(engines)}),
    }
    tools: Any = SimpleNamespace(clients=SimpleNamespace(asr=asr), prefix=lambda stage: f"users/u/jobs/j/{stage}")
    return await STEP.run(tools, Given(inputs, STEP.takes))


async def test_the_stems_lie_with_those_of_its_stage():
    asr = Asr()
    assert await run(asr) == STEMS
    assert asr.calls == [(REF, 5_000, "users/u/jobs/j/asr", "")]


@pytest.mark.parametrize("kind", [DeadlineExceeded, Internal, InvalidInput, NotFound, PreconditionFailed])
async def test_a_separation_that_fails_for_good_or_takes_too_long_leaves_the_programme_whole(kind):
    assert await run(Asr(kind("It failed."))) == Separated(NOT_SEPARATED, reason="It failed.")


@pytest.mark.parametrize("error", [Unavailable("Away.", reason="worker_lost"), Cancelled()])
async def test_a_service_that_is_away_is_waited_for(error):
    with pytest.raises(type(error)):
        await run(Asr(error))


async def test_where_no_engine_separates_none_is_called():
    asr = Asr()
    found = await run(asr, ())
    assert (found.engine, bool(found.reason), asr.calls) == (NOT_SEPARATED, True, [])
