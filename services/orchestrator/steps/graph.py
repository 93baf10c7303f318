"""Steps as data: what a step is, what it waits for, how it is retried; and its output as JSON, for checkpoints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import cache
from typing import Any, Generic, TypeAlias, TypeVar, cast, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

from onevoice_jobs.records import NOTHING, Published
from onevoice_kit.errors import OneVoiceError

T = TypeVar("T")
Json: TypeAlias = Any
"""A value that `json` reads and writes; a step's output must survive the round trip unchanged."""
Inputs: TypeAlias = Mapping[str, Json]
"""The outputs of a step's dependencies, by their keys."""


@dataclass(frozen=True, slots=True)
class Handle(Generic[T]):
    """The output of a step, named before the step exists."""

    key: str
    """The step's key."""
    kind: type[T]
    part: str | None = None
    """The key, where the handle is of one value of a dictionary. A step then depends on that value alone."""


def item(handle: Handle[dict[str, T]], name: str) -> Handle[T]:
    """The handle of one value of a dictionary."""
    return Handle(handle.key, get_args(handle.kind)[1], name)


@dataclass(frozen=True, slots=True)
class Given:
    """The outputs that a step has declared as its inputs, decoded."""

    outputs: Inputs
    declared: Collection[Handle[Any]]

    def __call__(self, handle: Handle[T]) -> T:
        """
        The output behind a handle. `LookupError` for one that the step does not declare, which its hash would not
        cover; `pydantic.ValidationError` where the checkpoint is not of the handle's type.
        """
        if handle not in self.declared:
            raise LookupError(f"{handle} is not a declared input of the step.")
        output = self.outputs[handle.key]
        return load(handle.kind, output if handle.part is None else output[handle.part])

    def each(self, handles: Iterable[Handle[T]]) -> list[T]:
        """The outputs behind several handles, in their order."""
        return [self(handle) for handle in handles]


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """The output of a step and what it publishes to users; both are stored in one write."""

    output: T
    published: Published = NOTHING


@dataclass(frozen=True, slots=True)
class Remedy:
    """Another output of an earlier step of the scope, with which a step that failed may do better or is not needed."""

    key: str
    """The key of the earlier step."""
    output: Json


@dataclass(frozen=True, slots=True)
class Step:
    """One checkpointed piece of work."""

    key: str
    """Unique in the job; stable over restarts."""
    stage: str
    """The stage that bounds it (one semaphore each), as people see it."""
    run: Callable[[Inputs], Awaitable[Json | Result[Json]]]
    deps: tuple[str, ...] = ()
    """Keys of the steps it waits for; they may be added to the graph later than this step."""
    parts: tuple[str | None, ...] = ()
    """For each of `deps`, the key of the only value of its output that counts; None, as everywhere where empty: all."""
    params: Json = None
    """Values that its result depends on besides its inputs; part of the input hash."""
    then: Callable[[Json], Iterable[Step]] | None = None
    """The steps that its output calls for. Must be a pure function, for it runs again after a restart."""
    pure: bool = False
    """
    Only computes, so a repetition costs nothing: unless it publishes something, its result is stored together
    with the next one of a step that is not pure, and so never later than what depends on it.
    """
    scope: str = ""
    """Steps of a scope fail together without failing the job; the empty scope is the job itself."""
    remedy: Callable[[Inputs, OneVoiceError], Remedy | None] | None = None
    """
    The remedy for its error, if there is one; gets all outputs so far. A pure function, and only asked in a scope,
    when no attempt follows any more.
    """

    def input_hash(self, outputs: Inputs, hashes: Mapping[str, str]) -> str:
        """SHA-256 of all that the output depends on; `hashes` are those of whole outputs, by key."""
        parts = self.parts or (None,) * len(self.deps)
        inputs = [
            hashes[dep] if part is None else digest(outputs[dep][part])
            for dep, part in zip(self.deps, parts, strict=True)
        ]
        return digest([self.key, self.params, *inputs])


def digest(value: Json) -> str:
    """SHA-256 of the canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


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
