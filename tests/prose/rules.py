"""The phrases that are not plain English, each with its replacement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The place of a text; some rules hold in one place only."""

    DOC = "docstring"
    PROSE = "prose"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, its replacement, and the places in which it holds."""

    pattern: re.Pattern[str]
    advice: str
    kinds: tuple[Kind, ...] = (Kind.DOC, Kind.PROSE)


def _rule(pattern: str, advice: str, *kinds: Kind) -> Rule:
    """A rule that ignores case; a space of the pattern is any white space, so a phrase may cross a line break."""
    return Rule(re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE), advice, kinds or (Kind.DOC, Kind.PROSE))


_PEOPLE = "anyone|clients?|everyone|listeners?|one|operators?|people|persons?|readers?|speakers?|those|users?|viewers?"
RULES = (
    _rule(
        r"\A\W*(what|which|whether|who|whose|where|when|why|until|says?|tells?|told|how|asks?|knows?|looks|hears?)\b",
        "start with a verb or a noun",
        Kind.DOC,
    ),
    _rule(r"\b(nobody|whoever|somebody|everybody|anybody)\b", "name the process, the caller or the user"),
    _rule(rf"\b(?!(?:{_PEOPLE})\b)[\w’'-]+[,;]?\s+who\b", "“who” is for people; a process is “it”"),
    _rule(r"\b(he|she|him|his|hers?)\b", "“it” for a process, “they” for a user"),
    _rule(r"\b((is|are|was|were|be|been|being|gets?) )?told\b", "is notified, receives, gets, reported"),
    _rule(r"\b(tells?|telling)\b", "report, notify, send, return, show"),
    _rule(r"\bsays\b", "states, returns, reports, defines"),
    _rule(r"\bhears? (of|from|about|no|nothing|it)\b", "receives, is notified"),
    _rule(r"\b(knows?|knew) (of|no|nothing|what|who|whether|which|how|its)\b", "has, holds, stores, depends on"),
    _rule(r"\b(it|process|server|service|worker|gateway|client|code|step|stage) asks\b", "requests, calls, queries"),
    _rule(r"\b(is|are|was|were) (not )?asked\b", "is requested, called, queried"),
    _rule(r"\bgood-?byes?\b", "deregister"),
    _rule(r"\bsurely\b", "leave it out, or “certainly”"),
    _rule(r"\blost answers?\b|\banswers? (is|are|was|were|got|gets|that got) lost\b", "lost reply"),
    _rule(r"\b(is|are|was|were|be) (made|tried|done|asked) again\b", "is retried, is repeated"),
    _rule(r"\bso (young|old)\b", "give the age"),
    _rule(r"\b(thereof|therein|thereupon|whence|whither|hither|lest|wherein|whereupon)\b", "a modern word"),
    _rule(r"\b(pays? no heed|minds? not|do(es)? not mind|ha(s|ve) no patience)\b", "a plain verb"),
    _rule(
        r"(?:^|_)(nobody|whoever|somebody|goodbye|surely|photographer|wish|wishes|says|said|tells|told|hears|knows|asks)(?=_|$)",
        "a name from the field",
        Kind.NAME,
    ),
    Rule(re.compile(r"^_*(Shown|Photographer|Wish|passing)$"), "a name from the field", (Kind.NAME,)),
)


def findings(kind: Kind, text: str) -> Iterator[tuple[int, str, str]]:
    """Yields offset, phrase and advice; a word that two rules match is one finding."""
    ends: set[int] = set()
    for rule in RULES:
        for match in rule.pattern.finditer(text) if kind in rule.kinds else ():
            if match.end() not in ends:
                ends.add(match.end())
                yield match.start(), " ".join(match.group().split()), rule.advice
