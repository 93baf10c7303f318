"""Simulates many seeds, or replays one: `python -m tests.simulation --seeds 10000`, `… --seed 17`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from .profile import draw
from .run import Failed, simulate


def main() -> int:
    """0 where everything held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one only, and print its trace")
    parser.add_argument("--digest", action="store_true", help="print nothing but the digest of each trace")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return _replay(arguments.seed)
    return _many(range(arguments.first, arguments.first + arguments.seeds), arguments.digest)


def _replay(seed: int) -> int:
    _say(f"{draw(seed)}")
    try:
        result = simulate(seed)
    except Failed as failed:
        _say(*failed.lines, "", f"seed {seed}: {failed.__cause__!r}")
        return 1
    _say(*result.lines, "", f"seed {seed}: {dict(result.statuses)}, trace {result.digest}")
    return 0


def _many(seeds: range, digests: bool) -> int:
    failed, counts, statuses, virtual_s = [], Counter[str](), Counter[str](), 0.0
    for seed in seeds:
        try:
            result = simulate(seed)
        except Failed as failure:
            failed.append(seed)
            _say(str(failure), "")
            continue
        counts += result.counts
        statuses += result.statuses
        virtual_s += result.virtual_s
        if digests:
            _say(f"{seed} {result.digest}")
    if not digests:
        faults = {name: counts[name] for name in ("KILL", "PAUSE", "STOP", "DOWN", "cancel", "requeue")}
        _say(f"{len(seeds)} seeds, {len(failed)} failed {failed}", f"jobs {dict(statuses)}, faults {faults}")
        _say(f"{sum(counts.values())} events in {virtual_s / 3600:.1f} simulated hours")
    return bool(failed)


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
