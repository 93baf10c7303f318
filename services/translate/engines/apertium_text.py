"""
Case and punctuation for Apertium: added to text that a recogniser left without, and corrected in its translations.

A rule-based translator needs sentences; and its dictionaries have words alone, so the marks of a target language that
are part of a sentence, such as the Spanish “¿”, are set here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from onevoice_kit.languages import primary

_OPENERS = "\"'“”‘’«»([{¿¡—–- …"
_CLOSERS = "\"'”’»)]}"
_END = ".!?…,;:。！？—–-"
"""Punctuation that may end a segment; after a comma or a dash the sentence goes on in the next one."""
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’»)\]}]*(?:\s+|$)")
_PRONOUN_I = re.compile(r"(?<![\w'’.-])i(?=['’](?:m|ll|ve|d|s)\b|(?![\w'’-]|\.\w))")
_WITHIN = re.compile(r"(?<=[^\W\d_] )[^\W\d_]+")
"""A word after a word."""
_TIGHT = re.compile(r"\s+([,.;:!?…)\]}»”])")

_QUESTIONS = {
    "en": re.compile(
        r"(?:and |but |so |well |oh |now |then )?(?:"
        r"(?:what|where|when|why|who|whom|whose|which|how)$"
        r"|(?:what|where|when|why|how)(?:['’](?:s|re|d|ll)| (?:is|are|was|were|am|do|does|did|can|could|will|would|"
        r"shall|should|may|might|must|has|have|had)(?:n['’]t)?)\b"
        r"|why not\b|what (?:about|if|time|kind|sort|happened|happens|else)\b|how (?:about|come|many|much|long|"
        r"old|far|often|big|soon)\b|who(?:['’](?:s|re|ll)| (?:is|are|am|did|does|do|can|will|wants|knows|else)\b)"
        r"|(?:which (?:one|of)|whose)\b"
        r"|(?:is|are|was|were|am|do|does|did|can|could|will|would|shall|should|may|might|must|has|have)(?:n['’]t)? "
        r"(?:i|you|he|she|it|we|they|there|this|that|these|those|anyone|anybody|someone)\b)"
    ),
    "es": re.compile(r"(?:y |pero |entonces )?(?:a |de |con |en |por |para )?"
                     r"(?:qué|cómo|dónde|adónde|cuándo|quién|quiénes|cuál|cuáles|cuánto|cuánta|cuántos|cuántas)\b"),
    "ca": re.compile(r"(?:i |però )?(?:(?:a |de |amb |en |per )?(?:què|quin|quina|quins|quines)\b"
                     r"|com (?:estàs|està|esteu|estan|et|va)\b|on (?:és|ets|són|vas|vius)\b)"),
}  # fmt: skip
"""Beginnings of questions, lower case. Only those that are hardly ever anything else: “who had married” is none."""

_SMALL_WORDS = {
    "es": "a al como con cómo de del el ella ellas ellos en era es eran eso esta está están este esto la las le les lo "
    "los me mi mis muy no nos nuestra nuestro o para pero por que qué se ser si son soy su sus te tu tus un una unas "
    "unos vuestra vuestro y ya yo él",
    "ca": "a al als això amb aquell aquest aquesta com de del dels el ell ella elles ells els em en era eren es està "
    "et ha he i jo la les li meu meva molt no o per però què que se ser seu seva si són sóc teu teva un una unes uns",
    "en": "a am an and are as at be but by for from had has have he her his in is it its me my no not of on or our she "
    "that the their them they this to was we were what with you your",
}
"""Words that are no names; a rule-based translator hands a capital at the start on to the word after it."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A text with sentence case and end punctuation."""

    text: str
    recased: bool
    """True where it came without any capital."""


def has_letters(text: str) -> bool:
    """True where there is something to translate."""
    return any(char.isalpha() for char in text)


def restore(text: str, language: str) -> Restored:
    """A cleaned text with sentence case and end punctuation; what it has of both stays as it is."""
    if not has_letters(text):
        return Restored(text, recased=False)
    recased = text == text.lower()
    if not _ends(text):
        text += "?" if is_question(text, language) else "."
    if recased and primary(language) == "en":
        text = _PRONOUN_I.sub("I", text)
    return Restored(_capitalise_sentences(text) if recased else _capitalise(text), recased)


def is_question(text: str, language: str) -> bool:
    """True for a text without punctuation that begins as a question does."""
    beginning = _QUESTIONS.get(primary(language))
    return bool(beginning and beginning.match(text.lower().lstrip(_OPENERS)))


def finish(text: str, source: Restored, language: str, kept: Iterable[str] = ()) -> str:
    """
    A translation with sentence case and the end punctuation of its source, in the target's way of writing.

    A text that begins with one of `kept` (translations fixed by a glossary) in a case of its own keeps that case.
    """
    text = _TIGHT.sub(r"\1", " ".join(text.split()))
    if not has_letters(text):
        return text
    if not _ends(text):
        text += _ending_of(source.text)
    fixed = any(text.lstrip(_OPENERS).startswith(term) for term in kept if term != term.lower())
    if source.recased:
        text = _without_stray_capitals(text, language)
    text = text if fixed else _capitalise(text)
    text = _capitalise_after_questions(text)
    return _open_sentences(text) if primary(language) == "es" else text.replace("¿", "").replace("¡", "")


def _without_stray_capitals(text: str, language: str) -> str:
    """Small words within a sentence in lower case."""
    small = set(_SMALL_WORDS.get(primary(language), "").split())
    return _WITHIN.sub(lambda match: match[0].lower() if match[0].lower() in small else match[0], text)


def _ends(text: str) -> bool:
    return text.rstrip(_CLOSERS + " ")[-1:] in tuple(_END)


def _ending_of(source: str) -> str:
    last = source.rstrip(_CLOSERS + " ")[-1:]
    return last if last in tuple(_END) else "."


def _capitalise(text: str) -> str:
    """With a capital as the first letter; a text that begins with a digit or a symbol stays."""
    start = len(text) - len(text.lstrip(_OPENERS))
    return text[:start] + _upper(text[start : start + 1]) + text[start + 1 :]


def _upper(char: str) -> str:
    # ß and a few others become two letters; they never begin a word.
    return char.upper() if len(char.upper()) == 1 else char


def _sentences(text: str) -> list[str]:
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(text))]
    if ends[-1] != len(text):
        ends.append(len(text))
    return [text[start:end] for start, end in pairwise(ends)]


def _capitalise_sentences(text: str) -> str:
    return "".join(map(_capitalise, _sentences(text)))


def _capitalise_after_questions(text: str) -> str:
    """Capitals after ? and !, which never end an abbreviation as a full stop may."""
    sentences = _sentences(text)
    after = [False, *(one.rstrip().rstrip(_CLOSERS).endswith(("?", "!")) for one in sentences[:-1])]
    return "".join(_capitalise(one) if fresh else one for one, fresh in zip(sentences, after, strict=True))


def _open_sentences(text: str) -> str:
    """Spanish opens questions and exclamations: ¿…? ¡…!"""
    return "".join(map(_open, _sentences(text)))


def _open(sentence: str) -> str:
    last = sentence.rstrip().rstrip(_CLOSERS)[-1:]
    opener = {"?": "¿", "!": "¡"}.get(last)
    if opener is None or opener in sentence:
        return sentence
    start = len(sentence) - len(sentence.lstrip(_OPENERS))
    return sentence[:start] + opener + sentence[start:]
