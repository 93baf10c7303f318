"""`python -m bench [jobs|mix|orchestration …]`: measures and prints one table."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from .table import Row, render

PARTS = ("jobs", "mix", "orchestration")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the parts named, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures and prints one table of ratios.")
    # No `choices`: with `*` argparse would check the empty list against them.
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all where none is named")
    parts = parser.parse_args(arguments).parts
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # The serial script and the platform must use the same engines, and the script's are these.
    os.environ.setdefault("ASR_TRANSCRIPTION_ENGINES", "pocketsphinx")
    os.environ.setdefault("TTS_ENGINES", "espeak")
    os.environ.setdefault("TRANSLATE_ENGINES", "apertium")
    os.environ.setdefault("TRANSLATE_MEANING", "none")
    os.environ.setdefault("ASR_DIARIZATION_ENGINES", "single")
    rows: list[Row] = []
    for part in parts or PARTS:
        print(f"measuring {part} …", file=sys.stderr, flush=True)
        rows += import_module(f"bench.{part}").run()
    print(render(rows))


if __name__ == "__main__":
    main()
