"""`python -m tests.prose [PATH …]`: prints findings; without a path it fails where a folder has more than recorded.

`python -m tests.prose --record` writes the present counts to `remaining.txt`, never a higher one.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .rules import Kind, findings
from .texts import SUFFIXES, texts

ROOT = Path(__file__).resolve().parents[2]
REMAINING = Path(__file__).parent / "remaining.txt"
_DEPTH = 3
"""Parts of a path that name the folder in which findings are counted."""
_UNREAD = ("gen/", "requirements/", "tests/prose/rules.py")


def main() -> None:
    """Prints one line per finding; ends with 1 where the check fails."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--record"]
    files = list(_files(arguments))
    found = {path: list(lint(ROOT / path)) for path in files}
    if "--record" in sys.argv:
        counts = count(found)
        REMAINING.write_text(_lines({folder: min(n, counts[folder]) for folder, n in recorded().items()}), "utf-8")
        return
    grown = set(found) if arguments else {path for path in found if folder_of(path) in grown_folders(found)}
    for path in sorted(grown):
        for line, phrase, advice in sorted(found[path]):
            sys.stdout.write(f"{path}:{line}: “{phrase}”: {advice}\n")
    if grown and any(found[path] for path in grown):
        sys.exit(1)


def lint(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, phrase and advice for each finding in a file."""
    for line, kind, text in texts(path):
        for offset, phrase, advice in findings(kind, text):
            yield line + (0 if kind is Kind.NAME else text.count("\n", 0, offset)), phrase, advice


def count(found: Mapping[str, Iterable[object]]) -> Counter[str]:
    """Findings per folder."""
    counts: Counter[str] = Counter()
    for path, hits in found.items():
        counts[folder_of(path)] += len(list(hits))
    return counts


def grown_folders(found: Mapping[str, Iterable[object]]) -> set[str]:
    """The folders with more findings than recorded; those without a record must have none."""
    allowed = recorded()
    return {folder for folder, n in count(found).items() if n > allowed.get(folder, 0)}


def folder_of(path: str) -> str:
    """The folder of a file, at most three levels deep; `.` for the root."""
    return "/".join(path.split("/")[:-1][:_DEPTH]) or "."


def recorded() -> dict[str, int]:
    """The recorded counts. A merge may leave two lines for one folder: the lower one holds."""
    counts: dict[str, int] = {}
    for line in REMAINING.read_text("utf-8").splitlines() if REMAINING.exists() else ():
        folder, number = line.split()
        counts[folder] = min(int(number), counts.get(folder, int(number)))
    return counts


def _lines(counts: Mapping[str, int]) -> str:
    return "".join(f"{folder} {n}\n" for folder, n in sorted(counts.items()) if n)


def _files(arguments: list[str]) -> Iterator[str]:
    """The tracked files below the arguments that the linter reads."""
    listed = subprocess.run(["git", "ls-files", "--", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    for path in listed.stdout.splitlines():
        if Path(path).suffix in SUFFIXES and not path.startswith(_UNREAD) and (Path(path).suffix or path == "Makefile"):
            yield path


if __name__ == "__main__":
    main()
