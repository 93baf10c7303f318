"""Weights of models that come inside packages: found, checked by their hashes, put together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from onevoice_kit.errors import PreconditionFailed

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file of a model, whole or cut into parts."""

    name: str
    parts: tuple[tuple[str, str], ...]
    """Module and path within it of each part, in order."""
    sha256: str
    """Of the whole file."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The files of one engine's model and the packages that bring and run it."""

    engine: str
    extra: str
    """The extra of `onevoice` that installs the packages."""
    modules: tuple[str, ...]
    """Modules without which the engine cannot work; those of the files among them."""
    files: tuple[WeightFile, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    """Name by which a package is installed, by its module, where it is not the module's with hyphens."""

    def missing(self) -> str:
        """
        A sentence about the packages that are not installed, or about a file that is not the expected one; empty where
        the engine can work. The first call of a process reads and hashes every file; imports nothing.
        """
        absent = [module for module in self.modules if find_spec(module) is None]
        if absent:
            listed = " and ".join(f"“{self.packages.get(module, module.replace('_', '-'))}”" for module in absent)
            return f"The engine “{self.engine}” needs the Python package {listed}; {self._install}."
        broken = next((file.name for file in self.files if not _is_whole(file)), "")
        return broken and self._broken(broken)

    def assemble(self, folder: Path) -> None:
        """Writes the files into a folder. Raises `PreconditionFailed` (reason `engine_unavailable`) as `read` does."""
        for file in self.files:
            with (folder / file.name).open("wb") as target:
                for block in self._checked(file):
                    target.write(block)

    def read(self, name: str) -> bytes:
        """
        The bytes of a file. Raises `PreconditionFailed` (reason `engine_unavailable`) where they are missing or have
        another hash.
        """
        return b"".join(self._checked(next(file for file in self.files if file.name == name)))

    def _checked(self, file: WeightFile) -> Iterator[bytes]:
        digest = hashlib.sha256()
        try:
            for block in _blocks(file):
                digest.update(block)
                yield block
        except OSError:
            digest = hashlib.sha256()
        if digest.hexdigest() != file.sha256:
            details = {"engine": self.engine}
            raise PreconditionFailed(self._broken(file.name), reason="engine_unavailable", details=details)

    @property
    def _install(self) -> str:
        return f"install the extra `onevoice[{self.extra}]`"

    def _broken(self, name: str) -> str:
        return (
            f"The engine “{self.engine}” cannot use its file {name}: it is missing or its SHA-256 is not the expected "
            f"one; {self._install} again."
        )


@cache
def _is_whole(file: WeightFile) -> bool:
    try:
        digest = hashlib.sha256()
        for block in _blocks(file):
            digest.update(block)
    except OSError:
        return False
    return digest.hexdigest() == file.sha256


def _blocks(file: WeightFile) -> Iterator[bytes]:
    for path in _paths(file.parts):
        with path.open("rb") as part:
            while block := part.read(_BLOCK_BYTES):
                yield block


def _paths(parts: Sequence[tuple[str, str]]) -> Iterator[Path]:
    for module, inside in parts:
        spec = find_spec(module)
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError(module)
        yield Path(spec.submodule_search_locations[0]) / inside
