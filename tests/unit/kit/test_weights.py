"""Weights inside packages: the whole file comes back only with the expected hash."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from onevoice_kit.engines.weights import WeightFile, Weights
from onevoice_kit.errors import PreconditionFailed

WHOLE = hashlib.sha256(b"first second").hexdigest()


@pytest.fixture
def package(tmp_path: Path, monkeypatch) -> Iterator[str]:
    """A package of its own name that brings `one` and `two`."""
    name = f"weights_of_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "one").write_bytes(b"first ")
    (folder / "two").write_bytes(b"second")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    assert name not in sys.modules  # the package is a carrier of data; its code never runs


def weights(*modules: str, sha256: str = WHOLE, parts: tuple[str, ...] = ("one", "two")) -> Weights:
    file = WeightFile("model.bin", tuple((modules[0], part) for part in parts), sha256)
    return Weights(engine="voice", extra="asr", modules=modules, files=(file,))


def test_parts_are_joined_to_the_file_whose_hash_is_known(package, tmp_path):
    assert weights(package).missing() == ""
    assert weights(package).read("model.bin") == b"first second"
    weights(package).assemble(tmp_path)
    assert (tmp_path / "model.bin").read_bytes() == b"first second"


def test_a_package_that_is_not_installed_is_named_with_the_extra(package):
    assert weights(package, "absent_package").missing() == (
        "The engine “voice” needs the Python package “absent-package”; install the extra `onevoice[asr]`."
    )


@pytest.mark.parametrize(
    "broken", [{"sha256": "0" * 64}, {"parts": ("one",)}, {"parts": ("two", "one")}, {"parts": ("one", "gone")}]
)
def test_other_bytes_are_neither_given_nor_called_whole(package, tmp_path, broken):
    found = weights(package, **broken)
    assert "model.bin" in found.missing()
    for use in (lambda: found.read("model.bin"), lambda: found.assemble(tmp_path)):
        with pytest.raises(PreconditionFailed) as caught:
            use()
        assert caught.value.reason == "engine_unavailable"
