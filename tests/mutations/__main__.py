"""`python -m tests.mutations [WORD …]`: runs the mutations whose names have the words, or all; 1 where one survives."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from .catalogue import MUTATIONS
from .mutation import Mutation
from .runner import ROOT, check, check_unbroken


def main() -> None:
    """Prints a line per mutation."""
    words = sys.argv[1:]
    chosen = [mutation for mutation in MUTATIONS if all(word in mutation.name for word in words)]
    if not chosen:
        sys.exit("There is no such mutation.")
    problems = check_unbroken(chosen)
    _say("\n".join(problems) or f"all tests of {len(chosen)} mutations pass unbroken")
    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        for found in pool.map(_checked, chosen):
            problems += found
    _say(f"{len(problems)} problems in {len(chosen)} mutations")
    sys.exit(1 if problems else 0)


def _checked(mutation: Mutation) -> list[str]:
    began = time.monotonic()
    problems = mutation.problems(ROOT) or check(mutation)
    _say(f"{'SURVIVED' if problems else 'noticed '} {time.monotonic() - began:5.1f} s  {mutation.name}")
    for problem in problems:
        _say(f"    {problem}")
    return problems


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
