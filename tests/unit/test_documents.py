"""Documents name files, commands and decisions that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
FOLDERS = {parent.as_posix() for path in TRACKED for parent in Path(path).parents}


def exists(name: str) -> bool:
    """True where the name is the end of a tracked path, or of a folder's."""
    name = name.removesuffix("/")
    return any(f"/{path}".endswith(f"/{name}") for path in (*TRACKED, *FOLDERS))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_and_folder_that_a_document_names_exists(document: Path) -> None:
    codes = re.findall(r"`([^`\n]+)`", document.read_text("utf-8"))
    names = [code for code in codes if re.fullmatch(r"[\w./-]+(\.(py|md|toml|proto)|/)", code)]
    assert [name for name in names if not exists(name)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_decision_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text("utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    commands = [target for code in re.findall(r"`make ([a-z0-9 -]+)", text) for target in code.split()]
    assert set(commands) <= targets
    decisions = {path.name[:3] for path in (ROOT / "docs/adr").glob("*.md")}
    assert set(re.findall(r"ADR (\d{3})", text)) <= decisions


def test_the_links_of_documents_lead_to_files() -> None:
    links = [(path, link) for path in DOCUMENTS for link in re.findall(r"\]\(([^):]+)\)", path.read_text("utf-8"))]
    assert [link for path, link in links if not (path.parent / link).exists()] == []
