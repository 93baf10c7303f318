"""`python -m tests.prose [PATH …]`: prints the findings in the tracked files below the paths, or in all; 1 for any."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .rules import Kind, findings
from .texts import SUFFIXES, texts

ROOT = Path(__file__).resolve().parents[2]
_UNREAD = ("gen/", "requirements/", "tests/prose/rules.py")


def main() -> None:
    """Prints one line per finding; ends with 1 where there are any."""
    found = [(path, *finding) for path in _files(sys.argv[1:]) for finding in sorted(lint(ROOT / path))]
    for path, line, phrase, advice in found:
        sys.stdout.write(f"{path}:{line}: “{phrase}”: {advice}\n")
    if found:
        sys.exit(1)


def lint(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, phrase and advice for each finding in a file."""
    for line, kind, text in texts(path):
        for offset, phrase, advice in findings(kind, text):
            yield line + (0 if kind is Kind.NAME else text.count("\n", 0, offset)), phrase, advice


def _files(arguments: list[str]) -> Iterator[str]:
    """The tracked files below the arguments that the linter reads."""
    listed = subprocess.run(["git", "ls-files", "--", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    for path in listed.stdout.splitlines():
        if Path(path).suffix in SUFFIXES and not path.startswith(_UNREAD) and (Path(path).suffix or path == "Makefile"):
            yield path


if __name__ == "__main__":
    main()
