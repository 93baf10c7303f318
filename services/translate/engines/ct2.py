"""Engine `ct2`: OPUS-MT, M2M100 and NLLB models in CTranslate2's form, fetched once, computed here."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from threading import Event, Lock

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import Cancelled, Unavailable
from services.translate.engines.base import (
    NO_CONTEXT,
    Capabilities,
    Context,
    LanguagePair,
    Line,
    Term,
    Translation,
)
from services.translate.engines.ct2_files import Route, routes
from services.translate.engines.ct2_model import LOADED, LoadedModel, Loading
from services.translate.engines.ct2_work import Work
from services.translate.settings import TranslateSettings

NAME = "ct2"
_BATCH = 16
"""Lines computed at once: enough to keep the cores busy, few enough to end soon after a call was cancelled."""
_RETRY_AFTER_S = 5.0


def create(settings: TranslateSettings) -> Ct2:
    """The engine as the settings want it."""
    return Ct2(settings)


class Ct2:
    """The translation engine (see `base.TranslationEngine`)."""

    def __init__(self, settings: TranslateSettings) -> None:
        self._settings = settings
        workers, waiting = settings.translate_ct2_workers, settings.translate_ct2_queue
        self._limit = Limit(workers, waiting, subject="Neural translation", retry_after_s=_RETRY_AFTER_S)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=NAME)
        self._lock = Lock()
        self._loaded: OrderedDict[Loading, LoadedModel] = OrderedDict()
        self._routes: Mapping[LanguagePair, Route] = {}
        self._problems: Sequence[str] = ()
        self._closed = False

    async def describe(self) -> Capabilities:
        """Models that are fetched while there is none are found; others with the next start."""
        if not self._routes:
            await asyncio.to_thread(self._find)
        info = EngineInfo(NAME, "", self._version())
        return Capabilities(info=info, pairs=tuple(self._routes), can_shorten=True, missing=self._missing())

    async def warm(self) -> None:
        """Loads the model of a deployment that has only one; others wait for the first line of their pair."""
        await self.describe()
        models = {route.model.folder: route for route in self._routes.values()}
        if len(models) == 1:
            [route] = models.values()
            await asyncio.get_running_loop().run_in_executor(self._threads, self._model, route)

    def used_for(self, pair: LanguagePair) -> EngineInfo:
        model = self._routes[pair].model
        revision = f", revision {model.revision[:8]}" if model.revision else ""
        return EngineInfo(NAME, model.name, f"{self._version()}{revision}")

    async def translate(
        self,
        pair: LanguagePair,
        lines: Sequence[Line],
        terms: Sequence[Term],
        report: Callable[[float], None],
        context: Context = NO_CONTEXT,  # noqa: ARG002 - each line is translated by itself
    ) -> list[Translation]:
        done: list[Translation] = []
        given_up = Event()
        try:
            async with self._limit.place():
                while len(done) < len(lines):
                    if self._closed:
                        raise Unavailable("Translation is shutting down.", reason="shutting_down")
                    batch = lines[len(done) : len(done) + _BATCH]
                    loop = asyncio.get_running_loop()
                    done += await loop.run_in_executor(self._threads, self._batch, pair, batch, terms, given_up)
                    report(len(done) / len(lines))
        finally:
            given_up.set()
        return done

    async def close(self) -> None:
        """Lets a running batch end, drops what waits, lets go of the models."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._loaded.clear()

    def _batch(
        self, pair: LanguagePair, lines: Sequence[Line], terms: Sequence[Term], given_up: Event
    ) -> list[Translation]:
        def go_on() -> None:
            if given_up.is_set():
                raise Cancelled("The translation was given up.")

        go_on()
        route = self._routes[pair]
        work = Work(self._model(route), pair, route, self._settings.translate_ct2_beam, terms)
        return work.run(lines, go_on)

    def _model(self, route: Route) -> LoadedModel:
        """The loaded model; the one that was not used longest makes room for it."""
        settings = self._settings
        device, arithmetic = settings.translate_ct2_device, settings.translate_ct2_compute_type
        threads, workers = settings.translate_ct2_threads, settings.translate_ct2_workers
        key = Loading(route.model, device, arithmetic, workers, threads)
        with self._lock:
            if key not in self._loaded:
                while len(self._loaded) >= settings.translate_ct2_loaded:
                    self._loaded.popitem(last=False)
                self._loaded[key] = LOADED.get(key)
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def _find(self) -> None:
        settings = self._settings
        found, self._problems = routes(
            settings.translate_ct2_models, settings.onevoice_models, settings.translate_ct2_languages
        )
        self._routes = found

    def _missing(self) -> str:
        for module in ("ctranslate2", "sentencepiece"):
            if find_spec(module) is None:
                return f"The engine “{NAME}” needs the Python package “{module}”; install `onevoice[translate]`."
        if self._routes:
            return ""
        if self._problems:
            return f"The engine “{NAME}” has no model that works. {' '.join(self._problems)}"
        return f"The engine “{NAME}” has no model here; `onevoice models get opus-mt-en-es`, for example, fetches one."

    def _version(self) -> str:
        settings = self._settings
        arithmetic = settings.translate_ct2_compute_type or "int8 or float16"
        return f"{_package()}, beam {settings.translate_ct2_beam}, {arithmetic}"


@cache
def _package() -> str:
    try:
        return version("ctranslate2")
    except PackageNotFoundError:
        return ""
