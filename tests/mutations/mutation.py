"""A defect put in on purpose, and the tests that must notice it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutation:
    """One defect."""

    name: str
    """The defect in a few words."""
    file: str
    old: str
    """Occurs exactly once in the file."""
    new: str
    tests: tuple[str, ...]
    """Node ids; each must fail, of a parametrized test without its brackets at least one case."""

    def apply(self, root: Path) -> None:
        """Puts the defect in the copy of the tree at `root`. `ValueError` where the snippet is not there once."""
        path = root / self.file
        source = path.read_text(encoding="utf-8")
        if (found := source.count(self.old)) != 1:
            raise ValueError(f"{self.name}: the snippet occurs {found} times in {self.file}")
        mutated = source.replace(self.old, self.new)
        ast.parse(mutated)
        path.write_text(mutated, encoding="utf-8")

    def problems(self, root: Path) -> list[str]:
        """The parts that do not fit the tree any more."""
        found = (root / self.file).read_text(encoding="utf-8").count(self.old) if (root / self.file).exists() else 0
        problems = [] if found == 1 else [f"{self.name}: the snippet occurs {found} times in {self.file}"]
        return problems + [f"{self.name}: there is no test {test}" for test in self.tests if not _exists(root, test)]


def _exists(root: Path, test: str) -> bool:
    file, _, name = test.partition("[")[0].rpartition("::")
    path = root / file
    if not path.is_file():
        return False
    functions = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name for node in functions)
