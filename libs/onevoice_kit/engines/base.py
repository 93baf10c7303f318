"""The description that every engine gives of itself, and the lifecycle that every engine has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class Price:
    """The vendor's list price."""

    amount: Decimal
    """US dollars for one `unit`."""
    unit: str
    """For example `1M characters` or `hour of audio`."""


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
    price: Price | None = None
    """None for an engine that costs nothing per call."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Name, model and version: the part that belongs into the key of a stored result."""
        return {"name": self.name, "model": self.model, "version": self.version}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The properties of an engine in this deployment; each stage adds its own fields, with defaults."""

    info: EngineInfo
    missing: str = ""
    """A sentence about what to install or set before the engine can work; empty where it can."""

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
