"""Domain values to JSON and back, for checkpoints."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

T = TypeVar("T")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def dump(kind: type[T], value: T) -> Any:
    """The JSON form of a value of type `kind` (a dataclass, or a container of dataclasses)."""
    adapter: TypeAdapter[Any] = _adapter(cast(Any, kind))
    return adapter.dump_python(value, mode="json")


def load(kind: type[T], data: Any) -> T:
    """The value that `dump` wrote; `pydantic.ValidationError` when it is not of that type."""
    adapter: TypeAdapter[Any] = _adapter(cast(Any, kind))
    value: T = adapter.validate_python(data)
    return value
