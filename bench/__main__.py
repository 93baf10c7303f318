"""`python -m bench [jobs|mix|orchestration …]`: measures and prints one table."""

from __future__ import annotations

import sys
from importlib import import_module

from .table import Row, render

PARTS = ("jobs", "mix", "orchestration")


def main() -> None:
    """Runs the parts named, or all."""
    rows: list[Row] = []
    for part in sys.argv[1:] or PARTS:
        print(f"measuring {part} …", file=sys.stderr, flush=True)
        rows += import_module(f"bench.{part}").run()
    print(render(rows))


if __name__ == "__main__":
    main()
