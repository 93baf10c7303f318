"""Domain values to JSON and back, for checkpoints."""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import cache
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

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


def shape(kind: Any) -> Any:
    """
    The JSON form of a type, as JSON: two types with the same shape read each other's values.

    Names of fields and their types count; names of classes, order of fields and docstrings do not.
    """
    return _shape(kind)


@cache
def _shape(kind: Any) -> Any:
    if is_dataclass(kind):
        return {name: _shape(hint) for name, hint in sorted(get_type_hints(kind).items())}
    if origin := get_origin(kind):
        return [getattr(origin, "__name__", str(origin)), *map(_shape, get_args(kind))]
    return getattr(kind, "__name__", str(kind))
