"""The registry of one kind of engines: made when first used, described, chosen, warmed, closed."""

from __future__ import annotations

import dataclasses
import sys
from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest

from onevoice_kit.engines.base import Capabilities, EngineInfo, Price, Unit
from onevoice_kit.engines.layers import Layer, Limit
from onevoice_kit.engines.registry import Registry
from onevoice_kit.errors import Busy, InvalidInput, OneVoiceError, PreconditionFailed, Unavailable


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Speaking(Capabilities):
    languages: tuple[str, ...] = ()


class Fake:
    """Describes itself by its arguments; counts its calls of the lifecycle."""

    def __init__(self, name: str, *languages: str, missing: str = "", failure: Exception | None = None) -> None:
        self.capabilities = Speaking(info=EngineInfo(name), languages=languages, missing=missing)
        self.failure = failure
        self.warmed = self.closed = 0

    async def describe(self) -> Speaking:
        if self.failure:
            raise self.failure
        return self.capabilities

    async def warm(self) -> None:
        self.warmed += 1
        if self.capabilities.info.name == "cold":
            raise Unavailable("It stays cold.")

    async def close(self) -> None:
        self.closed += 1


UNSUPPORTED = InvalidInput("Nothing speaks it.", reason="unsupported_language")


@pytest.fixture
def registry_of(monkeypatch):
    """A registry over these engines, in order; each in a module of its own."""

    def make(*engines: Fake, names=None, **options) -> Registry[Fake, Speaking]:
        modules = {}
        for engine in engines:
            name = engine.capabilities.info.name
            modules[name] = f"engine_module_{name}"
            module = SimpleNamespace(create=lambda _settings, engine=engine: engine)
            monkeypatch.setitem(sys.modules, modules[name], module)
        chosen = list(modules) if names is None else names
        return Registry(modules, chosen, None, capabilities=Speaking, **options)

    return make


async def served(registry, language: str, name: str = "") -> list[str]:
    found = await registry.candidates(name, lambda can: language if language in can.languages else None, UNSUPPORTED)
    assert all(one.served == language for one in found)
    return [one.capabilities.info.name for one in found]


async def refusal(registry, language: str, name: str = "") -> OneVoiceError:
    with pytest.raises(OneVoiceError) as caught:
        await served(registry, language, name)
    return caught.value


def test_a_configured_name_that_is_no_engine_is_refused_at_once(registry_of):
    with pytest.raises(InvalidInput, match="there are one") as caught:
        registry_of(Fake("one"), names=["nonsense"])
    assert caught.value.reason == "unknown_engine"


def test_an_engine_is_imported_when_it_is_first_used_and_kept(monkeypatch):
    name = "tests.support.translation_engine"
    monkeypatch.delitem(sys.modules, name, raising=False)
    registry: Registry[Fake, Speaking] = Registry({"fake": name}, ["fake"], None, capabilities=Speaking)
    assert name not in sys.modules
    engine = registry.get("fake")
    assert name in sys.modules
    assert registry.get("fake") is engine


def test_an_engine_that_is_not_configured_is_unknown(registry_of):
    with pytest.raises(InvalidInput) as caught:
        registry_of(Fake("one"), Fake("two"), names=["one"]).get("two")
    assert (caught.value.reason, caught.value.details) == ("unknown_engine", {"engine": "two"})


async def test_candidates_are_all_that_serve_in_the_configured_order(registry_of):
    engines = Fake("one", "es"), Fake("two", "en"), Fake("three", "es")
    assert await served(registry_of(*engines), "es") == ["one", "three"]
    assert await served(registry_of(*engines, names=["three", "one"]), "es") == ["three", "one"]


async def test_a_named_engine_is_the_only_candidate(registry_of):
    assert await served(registry_of(Fake("one", "es"), Fake("two", "es")), "es", "two") == ["two"]
    assert (await refusal(registry_of(Fake("one", "es")), "es", "nonsense")).reason == "unknown_engine"


async def test_an_engine_that_lacks_something_is_passed_over_unless_it_is_named(registry_of):
    registry = registry_of(Fake("one", "es", missing="One needs a key."), Fake("two", "es"))
    assert await served(registry, "es") == ["two"]
    error = await refusal(registry, "es", "one")
    assert isinstance(error, PreconditionFailed)
    assert (error.reason, error.message) == ("engine_unavailable", "One needs a key.")
    assert error.details == {"engine": "one", "failed_engine": "one"}


async def test_the_error_names_what_is_missing_where_the_only_engine_for_a_call_lacks_it(registry_of):
    registry = registry_of(Fake("one", "es", missing="One needs a key."), Fake("two", "en"))
    assert (await refusal(registry, "es")).message == "One needs a key."
    assert await refusal(registry, "de") is UNSUPPORTED


async def test_where_no_engine_can_work_the_error_names_everything_missing(registry_of):
    registry = registry_of(Fake("one", missing="One needs a key."), Fake("two", missing="Two needs a model."))
    assert (await refusal(registry, "es")).message == "One needs a key. Two needs a model."


async def test_an_engine_that_cannot_be_described_now_does_not_take_the_others_along(registry_of):
    registry = registry_of(Fake("one", "es", failure=Unavailable("One does not start.")), Fake("two", "es"))
    assert await served(registry, "es") == ["two"]
    described = await registry.describe()
    assert [(one.info.name, one.available, one.missing) for one in described] == [
        ("one", False, "One does not start."),
        ("two", True, ""),
    ]


async def test_a_description_that_failed_for_a_while_is_transient_and_tried_again(registry_of):
    engine = Fake("one", "es", failure=Unavailable("One does not start."))
    registry = registry_of(engine)
    error = await refusal(registry, "es")
    assert (error.retryable, error.details) == (True, {"failed_engine": "one"})
    engine.failure = None
    assert await served(registry, "es") == ["one"]


async def test_an_engine_whose_package_is_not_installed_is_shown_and_passed_over(registry_of, tmp_path, monkeypatch):
    (tmp_path / "engine_without_package.py").write_text("import surely_not_installed\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = {"vendor": "engine_without_package"}
    registry: Registry[Fake, Speaking] = Registry(modules, ["vendor"], None, capabilities=Speaking)
    [described] = await registry.describe()
    assert not described.available
    assert described.missing == "The engine “vendor” needs the Python package “surely_not_installed”."
    assert (await refusal(registry, "es")).reason == "engine_unavailable"


async def test_the_calls_of_a_candidate_go_through_the_wrappers_of_its_name(registry_of):
    limits: dict[str, Limit] = {}

    def layers(name: str) -> list[Layer]:
        limits[name] = Limit(0, 0, subject=name, retry_after_s=1)
        return [limits[name]]

    registry = registry_of(Fake("one", "es"), Fake("two", "es"), layers=layers)
    [_, second] = await registry.candidates("", lambda _: True, UNSUPPORTED)
    with pytest.raises(Busy, match="two is full"):
        await second.call(lambda engine: engine.describe())
    assert list(limits) == ["one", "two"]


async def test_the_first_engine_that_can_work_is_warmed_and_a_failure_stays_alone(registry_of):
    cold, absent, good, later = Fake("cold"), Fake("absent", missing="It is absent."), Fake("good"), Fake("later")
    await registry_of(cold, absent, good, later).warm()
    assert [cold.warmed, absent.warmed, good.warmed, later.warmed] == [1, 0, 1, 0]


async def test_only_engines_that_were_used_are_closed(registry_of):
    used, unused = Fake("used"), Fake("unused")
    registry = registry_of(used, unused)
    registry.get("used")
    await registry.close()
    assert [used.closed, unused.closed] == [1, 0]


def test_the_identity_of_an_engine_has_neither_price_nor_shutdown_date():
    plain = EngineInfo("vendor", "large", "2")
    priced = dataclasses.replace(
        plain, shutdown_date=date(2027, 1, 1), prices=(Price(usd=Decimal("0.5"), unit=Unit.HOUR),)
    )
    assert priced.identity == plain.identity == {"name": "vendor", "model": "large", "version": "2"}
