"""The description that every engine gives of itself, and the lifecycle that every engine has."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Measure(enum.Enum):
    """The measures of use that vendors price."""

    CHARACTERS = enum.auto()
    UTF8_BYTES = enum.auto()
    AUDIO_SECONDS = enum.auto()
    INPUT_TOKENS = enum.auto()
    OUTPUT_TOKENS = enum.auto()


class Unit(enum.StrEnum):
    """Amounts for which vendors state prices."""

    THOUSAND_CHARACTERS = "1k characters"
    MILLION_CHARACTERS = "1M characters"
    MILLION_BYTES = "1M UTF-8 bytes"
    MINUTE = "minute of audio"
    HOUR = "hour of audio"
    MILLION_INPUT = "1M input tokens"
    MILLION_OUTPUT = "1M output tokens"


_AMOUNTS: Mapping[Unit, tuple[Measure, int]] = {
    Unit.THOUSAND_CHARACTERS: (Measure.CHARACTERS, 1_000),
    Unit.MILLION_CHARACTERS: (Measure.CHARACTERS, 1_000_000),
    Unit.MILLION_BYTES: (Measure.UTF8_BYTES, 1_000_000),
    Unit.MINUTE: (Measure.AUDIO_SECONDS, 60),
    Unit.HOUR: (Measure.AUDIO_SECONDS, 3_600),
    Unit.MILLION_INPUT: (Measure.INPUT_TOKENS, 1_000_000),
    Unit.MILLION_OUTPUT: (Measure.OUTPUT_TOKENS, 1_000_000),
}
Use: TypeAlias = Mapping[Measure, float]
"""The use that a call made of an engine."""


class Price(BaseModel):
    """A list price of a vendor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: Decimal = Field(ge=0)
    """US dollars for one `unit`."""
    unit: Unit

    def microusd(self, use: Use) -> Decimal:
        """The price of a use, millionths of a US dollar."""
        measure, amount = _AMOUNTS[self.unit]
        return self.usd * 1_000_000 * Decimal(str(use.get(measure, 0))) / amount

    def units(self, use: Use) -> float:
        """The use in units."""
        measure, amount = _AMOUNTS[self.unit]
        return round(use.get(measure, 0) / amount, 6)


Prices: TypeAlias = tuple[Price, ...]
FREE: Prices = ()
"""The prices of an engine whose calls cost nothing."""


def microusd(prices: Prices | None, use: Use) -> int | None:
    """The cost of a use at list price, millionths of a US dollar, rounded up; None where it is not known."""
    return None if prices is None else math.ceil(sum(price.microusd(use) for price in prices))


def total_microusd(prices: Prices | None, uses: Iterable[Use]) -> int | None:
    """The cost of several calls, each of which is rounded up; None where it is not known."""
    return None if prices is None else sum(microusd(prices, use) or 0 for use in uses)


@dataclass(frozen=True, slots=True)
class EngineFailure:
    """An engine that was to make a result and failed, so that another one took over."""

    engine: str
    reason: str
    """That of its error."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """
    The identity of an engine, and facts about it for the catalogue.

    Name, model and version are the identity: they go into the lineage of a result and into keys of stored results.
    The other fields may change while the results stay the same.
    """

    name: str
    model: str = ""
    """Empty where there is only one."""
    version: str = ""
    shutdown_date: date | None = None
    """Day on which the vendor ends the model, where it has announced one."""
    prices: Prices | None = FREE
    """The sum of them is paid; None where calls cost money and the price is not known."""
    after: tuple[EngineFailure, ...] = ()
    """For the engine of a result: those that were to make it before, in order."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Name, model and version: the part that belongs into the key of a stored result."""
        return {"name": self.name, "model": self.model, "version": self.version}

    def microusd(self, use: Use) -> int | None:
        """The cost of a use, as of the function of this name."""
        return microusd(self.prices, use)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The properties of an engine in this deployment; each stage adds its own fields, with defaults."""

    info: EngineInfo
    missing: str = ""
    """A sentence about what to install or set before the engine can work; empty where it can."""
    partly_missing: str = ""
    """A sentence about languages that an engine that works would serve with more installed."""

    @property
    def available(self) -> bool:
        """True where the engine can work now: its program, model or key is present."""
        return not self.missing


C_co = TypeVar("C_co", bound=Capabilities, covariant=True)


class Engine(Protocol[C_co]):
    """The lifecycle that every engine has; each stage's protocol adds the calls."""

    async def describe(self) -> C_co:
        """The engine's capabilities here and now. Cheap after the first call; starts and loads nothing."""
        ...

    async def warm(self) -> None:
        """Loads what the first call would otherwise wait for; called only where the engine is available."""
        ...

    async def close(self) -> None:
        """Gives back what the engine holds; may be called twice."""
        ...
