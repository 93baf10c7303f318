"""A step as data: a class declares what it takes and what it gives; the rest follows from that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from functools import cache, partial
from typing import Any, ClassVar, Final, Generic, TypeVar

from pydantic_core import to_jsonable_python

from onevoice_kit.errors import OneVoiceError

from .context import Tools
from .graph import Given, Handle, Inputs, Json, Remedy, Result, Step, dump, load, shape

T = TypeVar("T")
CONTEXT: Final = {"context": True}
"""The metadata of a field with a handle that is context, or with None."""


@dataclass(frozen=True, kw_only=True)
class Task(ABC, Generic[T]):
    """
    A step that gives a `T`. Each field of a subclass is a declared input: a handle, a tuple of handles, or a plain
    value, such as an option of the user or a setting of the deployment. `run` decides by them alone, and `given`
    refuses any other handle, so the input hash is made of them: any change of one runs the step again, and nothing else
    does.
    (A field with `compare=False` is no input: its value must not change the output. With `metadata=CONTEXT` it is a
    handle that `run` may read too, of a step that it waits for anyway; its change alone runs nothing again.) An input
    that `run` does not read is described as such.

    Two tasks are equal where they have the same inputs and give the same handle: graphs can be compared.
    """

    stage: ClassVar[str]
    """The stage that bounds it, as users see it."""
    version: ClassVar[int] = 1
    """Raised where the same inputs lead to another output. A change of the output's shape needs no new version."""
    pure: ClassVar[bool] = False
    """Cheap to repeat; see `Step.pure`."""

    gives: Handle[T]
    scope: str = ""
    """See `Step.scope`."""
    then: Callable[[T], Iterable[Task[Any]]] | None = field(default=None, compare=False, repr=False)
    """The tasks that its output calls for; a pure function."""

    @abstractmethod
    async def run(self, tools: Tools, given: Given) -> T | Result[T]:
        """Does the work; may run twice, and must then do the same."""

    def follow(self, tools: Tools, output: T) -> None:
        """Keeps the progress of a run up to date, whether this run or an earlier one made the output."""

    def remedy(self, given: Given, error: OneVoiceError) -> Remedy | None:
        """
        Returns the remedy for an error after which no attempt follows; None, where there is none. `given` gives the
        handles of every field, also of those that are no inputs.
        """
        return None

    @property
    def takes(self) -> tuple[Handle[Any], ...]:
        """The handles among its inputs, in the order of its fields."""
        return tuple(handle for name in _inputs(type(self)) for handle in _handles(getattr(self, name)))

    @property
    def contexts(self) -> tuple[Handle[Any], ...]:
        """The handles that `run` may read although they are no inputs."""
        return tuple(handle for name in _contexts(type(self)) for handle in _handles(getattr(self, name)))

    @property
    def params(self) -> Json:
        """The values that the input hash covers besides the key and the outputs behind `takes`."""
        values = {name: _param(getattr(self, name)) for name in _inputs(type(self))}
        return [self.version, shape(self.gives.kind), values]


@cache
def _inputs(kind: type[Task[Any]]) -> tuple[str, ...]:
    """The names of the fields that are inputs."""
    return tuple(item.name for item in fields(kind) if item.compare and item.name not in ("gives", "scope"))


@cache
def _contexts(kind: type[Task[Any]]) -> tuple[str, ...]:
    """The names of the fields with `CONTEXT`."""
    return tuple(item.name for item in fields(kind) if item.metadata == CONTEXT)


def _handles(value: object) -> tuple[Handle[Any], ...]:
    if isinstance(value, Handle):
        return (value,)
    return value if isinstance(value, tuple) and _is_handles(value) else ()


def _is_handles(value: object) -> bool:
    return isinstance(value, Handle) or (isinstance(value, tuple) and all(isinstance(item, Handle) for item in value))


def _param(value: object) -> Json:
    """A plain value as JSON; of handles their number, since their outputs are hashed apart."""
    return {"handles": len(_handles(value))} if _is_handles(value) else to_jsonable_python(value)


def bind(tools: Tools, task: Task[Any]) -> Step:
    """The task as the executor runs it."""

    takes = task.takes
    declared = frozenset((*takes, *task.contexts))

    async def run(inputs: Inputs) -> Result[Json]:
        made = await task.run(tools, Given(inputs, declared))
        result = made if isinstance(made, Result) else Result(made)
        return Result(dump(task.gives.kind, result.output), result.published)

    return Step(
        task.gives.key,
        task.stage,
        run,
        tuple(handle.key for handle in takes),
        tuple(handle.part for handle in takes),
        params=task.params,
        then=partial(_following, tools, task) if task.then or type(task).follow is not Task.follow else None,
        pure=task.pure,
        scope=task.scope,
        remedy=partial(_remedy, task) if type(task).remedy is not Task.remedy else None,
    )


def _remedy(task: Task[Any], outputs: Inputs, error: OneVoiceError) -> Remedy | None:
    named = frozenset(handle for one in fields(task) for handle in _handles(getattr(task, one.name)))
    return task.remedy(Given(outputs, named), error)


def _following(tools: Tools, task: Task[Any], output: Json) -> Iterable[Step]:
    value = load(task.gives.kind, output)
    task.follow(tools, value)
    return [bind(tools, following) for following in task.then(value)] if task.then else []


def draw(tasks: Iterable[Task[Any]]) -> str:
    """The graph as text: a line for each step, with the steps that it waits for directly and not through others."""
    takes = {task.gives.key: {handle.key for handle in task.takes} for task in tasks}

    @cache
    def before(key: str) -> set[str]:
        return takes[key].union(*map(before, takes[key]))

    width = max(map(len, takes))
    direct = {
        key: [i for i in sorted(inputs) if not any(i in before(j) for j in inputs)] for key, inputs in takes.items()
    }
    return "\n".join(f"{key:{width}} ← {', '.join(inputs)}".rstrip(" ←") for key, inputs in direct.items())
