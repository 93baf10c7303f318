"""Rules of the architecture that no import contract can say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("services", "libs", "cli")
CONTRACTS = [
    str(path.relative_to(ROOT / "gen").with_suffix("")).replace("/", ".") for path in (ROOT / "gen").rglob("*_pb2.py")
]


def sources() -> Iterator[Path]:
    """Every module of the product."""
    for folder in PRODUCT:
        yield from (ROOT / folder).rglob("*.py")


def messages(file: FileDescriptor) -> Iterator[Descriptor]:
    """Every message of a contract."""
    pending = list(file.message_types_by_name.values())
    while pending:
        message = pending.pop()
        yield message
        pending.extend(message.nested_types)


@pytest.mark.parametrize("module", CONTRACTS)
def test_media_bytes_never_cross_the_wire(module: str) -> None:
    file: FileDescriptor = import_module(module).DESCRIPTOR
    fields = [field for message in messages(file) for field in message.fields]
    assert [field.full_name for field in fields if field.type == FieldDescriptor.TYPE_BYTES] == []


def test_only_the_media_runner_names_the_media_programs() -> None:
    named = {
        str(path.relative_to(ROOT))
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in ("ffmpeg", "ffprobe")
    }
    assert named
    assert all(path.startswith("libs/onevoice_kit/media_exec/") for path in named), named


def test_no_program_is_started_through_a_shell() -> None:
    shells = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Attribute) and node.func.attr in ("create_subprocess_shell", "system", "popen"))
            or any(keyword.arg == "shell" for keyword in node.keywords)
        )
    ]
    assert shells == []


def test_entry_points_only_wire() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "services").glob("*/__main__.py")
        if (lines := len(path.read_text().splitlines())) > 60
    }
    assert long == {}


@pytest.mark.parametrize("stage", ["asr", "translate", "tts", "mixer"])
def test_stage_services_have_the_same_files(stage: str) -> None:
    folder = ROOT / "services" / stage
    assert {"__init__.py", "__main__.py", "settings.py", "servicer.py", "converters.py"} <= {
        path.name for path in folder.iterdir()
    }


@pytest.mark.parametrize("stage", ["asr", "translate", "tts", "mixer"])
def test_only_the_edge_of_a_stage_knows_protobuf(stage: str) -> None:
    edge = {"servicer.py", "converters.py", "wiring.py", "__main__.py"}
    inside = [path for path in (ROOT / "services" / stage).rglob("*.py") if path.name not in edge]
    importing = [
        str(path.relative_to(ROOT))
        for path in inside
        if any(line.startswith(("from onevoice.", "import onevoice.")) for line in path.read_text().splitlines())
    ]
    assert inside
    assert importing == []
