"""Samples of voices, for people who choose one."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import cast

from onevoice_kit.engines.base import FREE
from onevoice_kit.errors import NotFound
from onevoice_kit.languages import best
from onevoice_kit.storage.base import ObjectRef
from services.tts.engines.base import Capabilities, RecordedEngine, SynthesisEngine
from services.tts.engines.registry import Choice, Engines, choose
from services.tts.synthesis import Request, Synthesizer

PREFIX = "shared/samples"
"""
The owner of the samples in the storage (ADR 016). No request names it: nothing of a user is stored there, and no call
for a user reads there.
"""
_COUNTING = "1, 2, 3, 4, 5, 6, 7."
"""Spoken in a language without a sentence."""
_KEPT_S = 3_600.0
"""Vendors' addresses are requested again after this time."""
_MOST_KEPT = 1_000


class Samples:
    """The use case behind SampleVoice."""

    def __init__(self, synthesizer: Synthesizer, engines: Engines, clock: Callable[[], float] = time.monotonic) -> None:
        self._synthesizer = synthesizer
        self._engines = engines
        self._clock = clock
        self._recordings: dict[str, tuple[float, str]] = {}
        """The time and the address, by voice."""

    async def engines(self) -> Collection[str]:
        """The names of the engines whose voices may have samples."""
        described = await self._engines.describe()
        return {one.info.name for one in described if _is_free(one) or one.recordings}

    async def sample(self, voice_id: str, language: str) -> ObjectRef | str:
        """
        A sentence that the voice speaks, made once and then found, or the address of its vendor's recording.

        An engine whose calls cost money speaks none: anyone could cause the cost. Raises `NotFound` (`unknown_voice`,
        `no_sample`), `InvalidInput` (`voice_language_mismatch`), `PreconditionFailed` (`engine_unavailable`), and the
        errors of the engine and of `Synthesizer.synthesize`.
        """
        choice = await self._choose(voice_id, language)
        if _is_free(choice.capabilities):
            spoken = choice.served.language
            request = Request(sentence(spoken), spoken, PREFIX, voice_id, engine=choice.capabilities.info.name)
            return (await self._synthesizer.synthesize(request)).audio
        url = await self._recording(choice) if choice.capabilities.recordings else ""
        if not url.startswith("https://"):
            raise NotFound(
                f"The voice “{voice_id}” has no sample: its engine is paid for each line, and its vendor lists none.",
                reason="no_sample",
                details={"voice": voice_id},
            )
        return url

    async def _choose(self, voice_id: str, language: str) -> Choice:
        voices = [voice for one in await self._engines.describe() for voice in one.voices]
        known = next((voice for voice in voices if voice.id == voice_id), None)
        if known is None:
            message = f"There is no voice “{voice_id}”."
            raise NotFound(message, reason="unknown_voice", details={"voice": voice_id})
        return await choose(self._engines, "", voice_id, language or known.language)

    async def _recording(self, choice: Choice) -> str:
        voice, now = choice.served, self._clock()
        if (kept := self._recordings.get(voice.id)) and now - kept[0] < _KEPT_S:
            return kept[1]

        async def work(engine: SynthesisEngine) -> str:
            return await cast(RecordedEngine, engine).recording(voice)

        url = await choice.call(work)
        while len(self._recordings) >= _MOST_KEPT:
            del self._recordings[next(iter(self._recordings))]
        self._recordings[voice.id] = now, url
        return url


def sentence(language: str) -> str:
    """The sentence for a language; numbers, which every engine reads, where there is none."""
    sentences = _sentences()
    served = best(language, sentences)
    return sentences[served] if served else _COUNTING


def _is_free(capabilities: Capabilities) -> bool:
    return capabilities.info.prices == FREE


@cache
def _sentences() -> Mapping[str, str]:
    """By language, from `sample_sentences.tsv`."""
    rows = Path(__file__).with_name("sample_sentences.tsv").read_text(encoding="utf-8").splitlines()
    return dict(row.split("\t") for row in rows)
