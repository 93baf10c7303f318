"""Tasks: what they declare is what they get, and what decides whether a stored output is still theirs."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from pydantic import ValidationError

from services.orchestrator.steps.context import Tools
from services.orchestrator.steps.graph import Given, Handle, Json, Result, digest, item
from services.orchestrator.steps.task import CONTEXT, Task, bind

ROOT = Path(__file__).parents[3]
TOOLS = cast(Tools, None)
"""No task of these tests works with any."""

NUMBER = Handle("number", int)
NAMES = Handle("names", dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Repeat(Task[str]):
    """Repeats a name."""

    stage: ClassVar = "store"
    times: Handle[int]
    name: Handle[str]
    glue: str
    note: str = field(default="", compare=False)

    async def run(self, tools: Tools, given: Given) -> str:
        """Returns the text."""
        return self.glue.join([given(self.name)] * given(self.times))


@dataclass(frozen=True, kw_only=True)
class RepeatBetter(Repeat):
    """Does it in another way."""

    version: ClassVar = 2


REPEAT = Repeat(gives=Handle("repeat", str), times=NUMBER, name=item(NAMES, "ann"), glue="-")
OUTPUTS: Mapping[str, Json] = {"number": 2, "names": {"ann": "Ann", "bob": "Bob"}}


def hash_of(task: Task[Any], outputs: Mapping[str, Json] = OUTPUTS) -> str:
    return bind(TOOLS, task).input_hash(outputs, {key: digest(output) for key, output in outputs.items()})


async def test_a_task_gets_the_values_behind_its_handles() -> None:
    result = await bind(TOOLS, REPEAT).run(OUTPUTS)
    assert result == Result("Ann-Ann")


@dataclass(frozen=True, kw_only=True)
class Undeclared(Repeat):
    """Reads the output of a step that it does not declare."""

    other: Handle[str] = field(compare=False)

    async def run(self, tools: Tools, given: Given) -> str:
        """Returns the text."""
        return given(self.other)


@pytest.mark.parametrize("other", [item(NAMES, "bob"), Handle("more", str)], ids=["another part", "another step"])
async def test_a_task_gets_no_value_behind_a_handle_that_it_does_not_declare(other: Handle[str]) -> None:
    task = Undeclared(gives=REPEAT.gives, times=NUMBER, name=REPEAT.name, glue="-", other=other)
    assert other not in task.takes
    with pytest.raises(LookupError, match="not a declared input"):
        await bind(TOOLS, task).run({**OUTPUTS, "more": "more"})


@dataclass(frozen=True, kw_only=True)
class Beside(Repeat):
    """Reads a value beside its own."""

    beside: Handle[str] | None = field(compare=False, metadata=CONTEXT)

    async def run(self, tools: Tools, given: Given) -> str:
        """Returns the text."""
        return given(self.beside) if self.beside else "alone"


async def test_a_task_may_read_a_value_as_context_and_does_not_run_again_when_it_changes() -> None:
    alone = Beside(gives=REPEAT.gives, times=NUMBER, name=REPEAT.name, glue="-", beside=None)
    task = replace(alone, beside=item(NAMES, "bob"))
    assert (await bind(TOOLS, task).run(OUTPUTS)).output == "Bob"
    assert (await bind(TOOLS, alone).run(OUTPUTS)).output == "alone"
    other = {**OUTPUTS, "names": {"ann": "Ann", "bob": "Rob"}}
    assert bind(TOOLS, task).deps == bind(TOOLS, REPEAT).deps
    assert hash_of(task, other) == hash_of(task) == hash_of(alone)


def _unread(source: str) -> Iterator[tuple[str, str]]:
    """Class and field of each input that the methods of its task do not mention, unless its description states so."""
    for task in ast.parse(source).body:
        if not (isinstance(task, ast.ClassDef) and any("Task[" in ast.unparse(base) for base in task.bases)):
            continue
        read = {ast.unparse(node) for node in ast.walk(task) if isinstance(node, ast.Attribute)}
        for statement, following in pairwise(task.body):
            if isinstance(statement, ast.AnnAssign) and "ClassVar" not in ast.unparse(statement.annotation):
                name, described = ast.unparse(statement.target), ast.unparse(following)
                if f"self.{name}" not in read and not described.strip("'\"").startswith("Not read: "):
                    yield task.name, name


def test_every_step_reads_its_inputs_or_states_that_they_only_decide_when_it_runs_again() -> None:
    files = sorted((ROOT / "services/orchestrator/steps").glob("*.py"))
    assert [found for file in files for found in _unread(file.read_text(encoding="utf-8"))] == []
    body = "    used: int\n    unused: int\n    def run(self): return self.used\n"
    assert list(_unread(f"class Step(Task[int]):\n{body}")) == [("Step", "unused")]


def test_a_step_waits_for_the_steps_behind_the_handles() -> None:
    assert bind(TOOLS, REPEAT).deps == ("number", "names")


@pytest.mark.parametrize(
    ("changed", "outputs"),
    [
        (REPEAT, {**OUTPUTS, "number": 3}),
        (REPEAT, {**OUTPUTS, "names": {"ann": "Anna", "bob": "Bob"}}),
        (replace(REPEAT, glue="+"), OUTPUTS),
        (replace(REPEAT, gives=Handle("other", str)), OUTPUTS),
        (RepeatBetter(gives=REPEAT.gives, times=NUMBER, name=REPEAT.name, glue="-"), OUTPUTS),
    ],
    ids=["an input", "the part of an input", "a plain value", "the key", "the version"],
)
def test_each_declared_input_changes_the_hash(changed: Task[Any], outputs: Mapping[str, Json]) -> None:
    assert hash_of(changed, outputs) != hash_of(REPEAT)


def test_the_shape_of_the_output_changes_the_hash() -> None:
    @dataclass(frozen=True)
    class Before:
        size: int

    @dataclass(frozen=True)
    class After:
        size: int
        unit: str

    def giving(kind: type[Any]) -> str:
        return hash_of(replace(REPEAT, gives=Handle("repeat", kind)))

    assert giving(Before) != giving(After)
    assert giving(list[int]) != giving(list[str])


@pytest.mark.parametrize(
    ("changed", "outputs"),
    [
        (replace(REPEAT, note="for users"), OUTPUTS),
        (replace(REPEAT, scope="es", then=lambda _: []), OUTPUTS),
        (REPEAT, {**OUTPUTS, "names": {"bob": "Robert", "ann": "Ann"}}),
        (REPEAT, {**OUTPUTS, "another": 1}),
    ],
    ids=["a field that is no input", "scope and followers", "another part of an input", "another step"],
)
def test_nothing_else_changes_the_hash(changed: Task[Any], outputs: Mapping[str, Json]) -> None:
    assert hash_of(changed, outputs) == hash_of(REPEAT)


NAME = Handle("name", str)


def test_a_misspelt_or_missing_input_is_refused() -> None:
    """The type checker refuses it too: an ignore that has nothing to suppress fails `make types`."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'glue_'"):
        Repeat(gives=NAME, times=NUMBER, name=NAME, glue="-", glue_="-")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'glue'"):
        Repeat(gives=NAME, times=NUMBER, name=NAME)  # type: ignore[call-arg]


async def test_a_handle_of_another_type_is_refused() -> None:
    """By the type checker, as above; where it is ignored, before the step does anything."""
    wrong = Repeat(gives=NAME, times=NAME, name=NAME, glue="-")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await bind(TOOLS, wrong).run({"name": "Ann"})
    with pytest.raises(ValidationError):
        await bind(TOOLS, replace(REPEAT, times=Handle("names", int))).run(OUTPUTS)


def test_an_output_of_another_type_is_refused() -> None:
    Repeat(gives=NUMBER, times=NUMBER, name=NAME, glue="-")  # type: ignore[arg-type]
    unused = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert unused["strict"], "strict reports ignores that suppress nothing, which these tests rely on"
