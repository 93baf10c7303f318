"""Engine `openai`: a language model behind any OpenAI-compatible endpoint (OpenAI, Ollama, vLLM, llama.cpp)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import permutations
from typing import TYPE_CHECKING

from onevoice_kit.engines.base import FREE, EngineInfo, Use
from onevoice_kit.errors import DeadlineExceeded, PreconditionFailed
from onevoice_kit.settings import OPENAI_URL
from services.translate.engines.base import (
    NO_CONTEXT,
    Capabilities,
    Context,
    LanguagePair,
    Line,
    Summary,
    Term,
    Translation,
)
from services.translate.settings import TranslateSettings

if TYPE_CHECKING:
    from services.translate.engines.openai_client import ChatClient

NAME = "openai"
_PROMPTS = "2"
"""Version of the instructions: raised when the same lines may come out otherwise."""
_MAX_BYTES = 4 << 20
_WORK = "services.translate.engines.openai_work"
"""Imports the SDK, so it is imported by the first call or `warm`."""


def create(settings: TranslateSettings) -> OpenAi:
    """The engine as the settings want it."""
    return OpenAi(settings)


class OpenAi:
    """The translation engine (see `base.TranslationEngine`)."""

    def __init__(self, settings: TranslateSettings) -> None:
        self._settings = settings
        self._client: ChatClient | None = None
        version = f"{_PROMPTS}.{hashlib.sha256(settings.translate_openai_style.encode()).hexdigest()[:8]}"
        own = settings.translate_openai_base_url != OPENAI_URL
        prices = settings.prices("translate", NAME, FREE if own else None)
        self._info = EngineInfo(NAME, settings.translate_openai_model, version, prices=prices)
        self._pairs = tuple(LanguagePair(*pair) for pair in permutations(settings.translate_openai_languages, 2))

    async def describe(self) -> Capabilities:
        return Capabilities(
            info=self._info,
            pairs=self._pairs,
            can_shorten=True,
            wants_summary=self._settings.translate_openai_summary,
            missing=self._missing(),
        )

    async def warm(self) -> None:
        await asyncio.to_thread(import_module, _WORK)

    def used_for(self, pair: LanguagePair) -> EngineInfo:  # noqa: ARG002 - one model serves every pair
        return self._info

    async def translate(
        self,
        pair: LanguagePair,
        lines: Sequence[Line],
        terms: Sequence[Term],
        report: Callable[[float], None],
        context: Context = NO_CONTEXT,
    ) -> list[Translation]:
        await self.warm()
        from services.translate.engines.openai_work import Work

        work = Work(self._connected(), pair, lines, terms, self._settings.translate_openai_style, context)
        try:
            async with asyncio.timeout(self._settings.translate_openai_deadline_s):
                await work.run(report)
        except TimeoutError:
            if not work.complete:
                raise _too_late() from None
            report(1.0)
        return work.translations()

    async def summarize(
        self, pair: LanguagePair, lines: Sequence[str], terms: Sequence[Term], report: Callable[[float], None]
    ) -> tuple[Summary, Use]:
        """As of the protocol; what was read until the deadline is the summary."""
        await self.warm()
        from services.translate.engines.openai_summary import Reading

        reading = Reading(self._connected(), pair, lines, terms)
        try:
            async with asyncio.timeout(self._settings.translate_openai_deadline_s):
                await reading.run(report)
        except TimeoutError:
            if reading.about == Summary():
                raise _too_late() from None
        return reading.about, reading.meter.use

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _connected(self) -> ChatClient:
        """The client, made by the first call. Raises `PreconditionFailed` where the engine cannot work."""
        from services.translate.engines.openai_client import ChatClient

        settings = self._settings
        if missing := self._missing():
            raise PreconditionFailed(missing, reason="engine_unavailable", details={"engine": NAME})
        if self._client is None:
            self._client = ChatClient(
                settings.translate_openai_base_url,
                settings.translate_openai_key,
                settings.translate_openai_model,
                timeout_s=settings.translate_openai_deadline_s,
                max_bytes=_MAX_BYTES,
                concurrency=settings.translate_openai_concurrency,
            )
        return self._client

    def _missing(self) -> str:
        settings = self._settings
        if find_spec("openai") is None:
            return "The engine “openai” needs the Python package “openai”; install the extra `onevoice[translate]`."
        if not settings.translate_openai_model:
            return "The engine “openai” needs the name of a model: set TRANSLATE_OPENAI_MODEL."
        if not settings.translate_openai_key and settings.translate_openai_base_url == OPENAI_URL:
            return (
                "The engine “openai” needs a key, OPENAI_API_KEY or TRANSLATE_OPENAI_API_KEY, or the address of a "
                "server that needs none, TRANSLATE_OPENAI_BASE_URL."
            )
        return ""


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("The engine “openai” did not finish within its deadline.", reason="engine_timeout")
