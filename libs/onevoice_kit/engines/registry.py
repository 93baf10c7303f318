"""The engines of one kind by name: imported when first used, described, chosen, warmed and closed in one way."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Generic, TypeVar

from onevoice_kit.engines import layers as wrappers
from onevoice_kit.engines.base import Capabilities, Engine, EngineFailure, EngineInfo
from onevoice_kit.engines.layers import FAILED_ENGINE, Layer, does_not_work
from onevoice_kit.errors import InvalidInput, OneVoiceError, PreconditionFailed, Unavailable
from onevoice_kit.retry import is_transient
from onevoice_kit.telemetry.metrics import ENGINE_FALLBACKS, counter

_log = logging.getLogger(__name__)
C = TypeVar("C", bound=Capabilities)
E = TypeVar("E", bound=Engine[Any])
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Candidate(Generic[E, C, S]):
    """An engine that can serve a call, with the wrappers around its calls."""

    engine: E
    capabilities: C
    served: S
    """The property that serves the call, for example a voice or a language pair."""
    layers: Sequence[Layer] = ()
    after: tuple[EngineFailure, ...] = ()
    """The candidates before it that failed."""

    def used(self, info: EngineInfo) -> EngineInfo:
        """The description of the engine, as that of a result."""
        return replace(info, after=self.after)

    def stream(self, start: Callable[[E], AsyncGenerator[T]]) -> AsyncGenerator[T]:
        """The items of a call, through the wrappers; for use within `aclosing`."""
        return wrappers.stream(self.layers, lambda: start(self.engine))

    async def call(self, work: Callable[[E], Awaitable[T]]) -> T:
        """The result of a call, through the wrappers."""
        return await wrappers.call(self.layers, lambda: work(self.engine))


@dataclass(frozen=True, slots=True)
class _Described(Generic[E, C]):
    name: str
    engine: E | None
    capabilities: C
    error: OneVoiceError | None = None


async def fallback(
    stage: str,
    candidates: Sequence[Candidate[E, C, S]],
    start: Callable[[Candidate[E, C, S]], AsyncGenerator[T]],
) -> AsyncGenerator[tuple[Candidate[E, C, S], T]]:
    """
    The items of the first candidate that works, each with the candidate that gave it; there is at least one.

    The next candidate takes over after an error that is transient or means that the engine does not work, as long as no
    item was given: a result comes from one engine alone. Raises the last candidate's error, and after an item the error
    as a transient one, since a new call begins with the next candidate. The candidate names those that failed before.
    """
    failures: list[EngineFailure] = []
    for place, candidate in enumerate(candidates, start=1):
        given, tried = False, replace(candidate, after=tuple(failures))
        try:
            async with aclosing(start(tried)) as items:
                async for item in items:
                    given = True
                    yield tried, item
            return
        except OneVoiceError as error:
            if place == len(candidates) or not (is_transient(error) or does_not_work(error)):
                raise
            if given and not error.retryable:
                raise Unavailable(error.message, reason=error.reason, details=error.details) from error
            if given:
                raise
            engine = candidate.capabilities.info.name
            failures.append(EngineFailure(engine, error.reason))
            counter(ENGINE_FALLBACKS).labels(stage=stage, engine=engine).inc()
            _log.warning("an engine failed; the next one takes over", extra={"engine": engine}, exc_info=True)


async def first_result(
    stage: str, candidates: Sequence[Candidate[E, C, S]], work: Callable[[Candidate[E, C, S]], Awaitable[T]]
) -> tuple[Candidate[E, C, S], T]:
    """The result of the first candidate that works, with the candidate; as `fallback`, for calls with one result."""

    async def once(candidate: Candidate[E, C, S]) -> AsyncGenerator[T]:
        yield await work(candidate)

    async with aclosing(fallback(stage, candidates, once)) as results:
        return await anext(results)


class Registry(Generic[E, C]):
    """The configured engines of one kind, in order of preference."""

    def __init__(
        self,
        modules: Mapping[str, str],
        names: Sequence[str],
        settings: object,
        *,
        capabilities: type[C],
        layers: Callable[[str], Sequence[Layer]] = lambda _name: (),
    ) -> None:
        """
        `modules` are import paths by engine name; each module has a function `create(settings)`. `names` are the
        configured ones. `capabilities` is the stage's class, for an engine that cannot be imported or described.
        `layers` gives the wrappers of an engine's calls by its name, made once.

        Raises `InvalidInput` (reason `unknown_engine`) for a configured name that is no engine.
        """
        for name in names:
            if name not in modules:
                known = ", ".join(modules)
                raise InvalidInput(f"There is no engine “{name}”; there are {known}.", reason="unknown_engine")
        self._modules = modules
        self.names = tuple(dict.fromkeys(names))
        """The configured engines, in order."""
        self._settings = settings
        self._capabilities = capabilities
        self._layers = {name: layers(name) for name in self.names}
        self._made: dict[str, E] = {}

    def get(self, name: str) -> E:
        """
        The engine with this name. Raises `InvalidInput` (reason `unknown_engine`) where none is configured, and
        `PreconditionFailed` (reason `engine_unavailable`) where its Python package is not installed.
        """
        if name not in self.names:
            raise InvalidInput(f"There is no engine “{name}” here.", reason="unknown_engine", details={"engine": name})
        if name not in self._made:
            self._made[name] = self._create(name)
        return self._made[name]

    async def describe(self) -> list[C]:
        """The capabilities of every configured engine, in order, also of those that cannot work."""
        return [(await self._describe(name)).capabilities for name in self.names]

    async def candidates(
        self, name: str, serves: Callable[[C], S | None], unsupported: InvalidInput
    ) -> list[Candidate[E, C, S]]:
        """
        The engines that can work and serve a call, in order, at least one; only the one named, where `name` is not
        empty. `serves` returns what serves the call, None for nothing.

        Raises `InvalidInput` (reason `unknown_engine`), `PreconditionFailed` (reason `engine_unavailable`, with what
        is missing) where only engines that lack something would serve, the error of an engine whose description
        failed for a while, and else `unsupported`.
        """
        if name and name not in self.names:
            self.get(name)
        described = [await self._describe(one) for one in ([name] if name else self.names)]
        served = [(one, serves(one.capabilities)) for one in described]
        found = [
            Candidate(one.engine, one.capabilities, what, self._layers[one.name])
            for one, what in served
            if what is not None and one.capabilities.available and one.engine is not None
        ]
        if found:
            return found
        usable = any(one.capabilities.available for one in described)
        raise _cause([one for one, what in served if what is not None] if usable else described) or unsupported

    async def warm(self) -> None:
        """
        Warms the first engine that can work and becomes warm; those after it are warmed by their first call. One that
        fails is logged.
        """
        for name in self.names:
            described = await self._describe(name)
            if described.engine is None or not described.capabilities.available:
                _log.warning("engine cannot work: %s", described.capabilities.missing, extra={"engine": name})
                continue
            try:
                await described.engine.warm()
            except OneVoiceError:
                _log.exception("engine did not become warm", extra={"engine": name})
            else:
                _log.info("engine is warm", extra={"engine": name})
                return

    async def close(self) -> None:
        """Closes every engine that was used."""
        for engine in self._made.values():
            await engine.close()

    def _create(self, name: str) -> E:
        try:
            engine: E = import_module(self._modules[name]).create(self._settings)
        except ModuleNotFoundError as error:
            message = f"The engine “{name}” needs the Python package “{error.name}”."
            raise PreconditionFailed(message, reason="engine_unavailable", details={"engine": name}) from error
        return engine

    async def _describe(self, name: str) -> _Described[E, C]:
        try:
            engine = self.get(name)
            return _Described(name, engine, await engine.describe())
        except OneVoiceError as error:
            _log.warning("engine could not be described", extra={"engine": name}, exc_info=True)
            return _Described(name, None, self._capabilities(info=EngineInfo(name), missing=error.message), error)


def _cause(described: Sequence[_Described[Any, Any]]) -> OneVoiceError | None:
    """The reason why none of these engines can work: a transient error first; None where there is no such engine."""
    lacking = [one for one in described if not one.capabilities.available]
    if not lacking:
        return None
    transient = next((one for one in lacking if one.error is not None and one.error.retryable), None)
    if transient is not None and transient.error is not None:
        if does_not_work(transient.error):
            transient.error.details[FAILED_ENGINE] = transient.name
        return transient.error
    missing = " ".join(one.capabilities.missing for one in lacking)
    details = {"engine": lacking[0].name, FAILED_ENGINE: lacking[0].name}
    return PreconditionFailed(missing, reason="engine_unavailable", details=details)
