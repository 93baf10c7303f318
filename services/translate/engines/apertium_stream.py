"""
Apertium's stream format: a line goes in with everything in it that is not plain text masked, and comes out with
the marks of the generator read and removed.

`*word` is a word unknown to the dictionaries, `@word` one without translation, `#word` one that could not be
inflected (https://wiki.apertium.org/wiki/Apertium_stream_format). As every such sign of the user's is masked, each
one in the output is a mark. A mask in square brackets is passed through as formatting; a fixed translation goes as
a made-up word, so that the grammar sees a noun where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.translate.engines.base import Term, Translation

_STEM = "qzxv"
"""Begins every made-up word; no language has it."""
_ADDRESS = r"(?:https?://|www\.)[^\s\"'<>()]*[\w/]|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_SPECIAL = r"(?:[^\w\s.,;:!?'\"()¿¡«»“”‘’–—…%&-]|_)+"
_WORD = r"[^\W_]+(?:['’·-][^\W_]+)*"
_WORDS = re.compile(_WORD)
_MARKED = re.compile(rf"\[(\d*)\]|[*@#]?({_STEM})([a-z]{{3}})|\*({_WORD})|\\?<\w+\\?>|\\(.)|[*@#]", re.IGNORECASE)
"""A mask, a made-up word, an unknown word, a grammatical tag that was left over, an escaped sign, a lone mark."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A line as it goes into the pipeline."""

    stream: str
    masks: tuple[str, ...]
    """The text that replaces each mask in the end; masks are numbered in their order."""
    pieces: tuple[str, ...]
    """The plain text before, between and after the masks."""


class Encoder:
    """Masks what Apertium must not touch; the same terms for many lines."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self._targets = {_key(term.source): term.target for term in reversed(terms)}
        longest_first = sorted(self._targets, key=len, reverse=True)
        words = "|".join(r"\s+".join(map(re.escape, source.split())) for source in longest_first)
        term = rf"(?P<term>(?<!\w)(?:{words})(?!\w))|" if words else ""
        word = rf"(?P<word>{_ADDRESS}|(?<!\w)\w*{_STEM}\w*)"
        self._pattern = re.compile(rf"{term}{word}|(?P<special>{_SPECIAL})", re.IGNORECASE)

    def encode(self, text: str) -> Encoded:
        """A cleaned line (no control characters), masked."""
        masks: list[str] = []
        stream, pieces, end = "", [], 0
        for match in self._pattern.finditer(text):
            before = text[end : match.start()]
            stream += before + self._mask(match, masks)
            pieces.append(before)
            end = match.end()
        return Encoded(stream + text[end:], tuple(masks), (*pieces, text[end:]))

    def _mask(self, match: re.Match[str], masks: list[str]) -> str:
        number = len(masks)
        found = match[0]
        if match.lastgroup == "special":
            masks.append(found)
            return f"[{number}]"
        is_term = match.lastgroup == "term"
        masks.append(self._targets.get(_key(found), found) if is_term else found)
        return _STEM + _letters(number)


def decode(stream: str, masks: Sequence[str]) -> Translation | None:
    """The line that came out, unmasked and unmarked; None where a mask was lost or came twice."""
    seen: list[int] = []
    unknown: dict[str, None] = {}

    def plain(match: re.Match[str]) -> str:
        number, stem, letters, word, escaped = match.groups()
        if number or stem:
            index = int(number) if number else _number(letters)
            seen.append(index)
            return masks[index] if index < len(masks) else ""
        if word:
            unknown[word] = None
        return word or escaped or ""

    text = _MARKED.sub(plain, stream)
    if sorted(seen) != list(range(len(masks))):
        return None
    return Translation(" ".join(text.split()), tuple(unknown))


def join(encoded: Encoded, translated: Sequence[Translation]) -> Translation:
    """A line whose pieces were translated one by one, each mask back between its neighbours."""
    texts = [_with_edges(piece, one.text) for piece, one in zip(encoded.pieces, translated, strict=True)]
    masks = [*encoded.masks, ""]
    text = "".join(piece + mask for piece, mask in zip(texts, masks, strict=True))
    unknown = dict.fromkeys(word for one in translated for word in one.unknown_words)
    return Translation(text, tuple(unknown))


def replace_words(text: str, replacements: Mapping[str, str]) -> str:
    """The text with some of its words, as `decode` cuts them, replaced."""
    return _WORDS.sub(lambda match: replacements.get(match[0], match[0]), text)


def _with_edges(piece: str, translated: str) -> str:
    """The translation with the white space that stood around its source."""
    if not piece.strip():
        return piece
    before = piece[: len(piece) - len(piece.lstrip())]
    after = piece[len(piece.rstrip()) :]
    return before + translated.strip() + after


def _key(term: str) -> str:
    return " ".join(term.lower().split())


def _letters(number: int) -> str:
    """0 is `aaa`; three letters serve any line of 2,000 characters."""
    high, low = divmod(number, 26)
    return "".join(chr(ord("a") + digit) for digit in (high // 26, high % 26, low))


def _number(letters: str) -> int:
    high, middle, low = (ord(letter) - ord("a") for letter in letters.lower())
    return (high * 26 + middle) * 26 + low
