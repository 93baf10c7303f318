"""Chinese and Japanese as the phonemes that Kokoro was trained with, by misaki and OpenJTalk."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import Any

from onevoice_kit.engines.weights import Weights
from onevoice_kit.errors import Internal

READERS: Mapping[str, Weights] = {
    "zh": Weights("kokoro", "tts", ("misaki", "jieba", "pypinyin", "cn2an", "ordered_set")),
    "ja": Weights("kokoro", "japanese", ("misaki", "pyopenjtalk", "sudachipy", "sudachidict_core")),
}
"""By language, the packages that read it."""
_LATIN = re.compile(r"([A-Za-z][A-Za-z' -]*)")
_lock = Lock()


def runs(text: str) -> list[tuple[bool, str]]:
    """The text in pieces, each with True where it is of Latin letters."""
    return [(bool(_LATIN.fullmatch(piece)), piece.strip()) for piece in _LATIN.split(text) if piece.strip()]


def read(text: str, language: str) -> str:
    """
    The phonemes of a text in `zh` or `ja`; the first call loads dictionaries and takes seconds. Raises `Internal`
    (reason `engine_failed`).
    """
    reader = _chinese if language == "zh" else _japanese
    try:
        with _lock:
            return reader(text)
    except Exception as error:  # the packages check their steps by assertions and have no class of errors
        raise Internal("The speech synthesizer failed on a line.", reason="engine_failed") from error


def _chinese(text: str) -> str:
    found: str = _chinese_reader()(text)[0] if any(sign.isalnum() for sign in text) else text
    return found


def _japanese(text: str) -> str:
    from misaki.ja import JAG2P

    # Phonemes, then the pitch of each of them in as many signs, which the model does not take.
    found: str = JAG2P(version="pyopenjtalk")(text)[0]
    return found[: len(found) // 2].replace("g", "ɡ")


@cache
def _chinese_reader() -> Any:
    import jieba
    from misaki.zh import ZHG2P

    jieba.setLogLevel(logging.WARNING)
    # It would keep its dictionary in the folder for temporary files and trust a file of that name by anyone.
    with tempfile.TemporaryDirectory() as folder:
        jieba.dt.tmp_dir = folder
        jieba.initialize()
    return ZHG2P()
