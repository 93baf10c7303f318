"""BCP-47 language tags: one spelling, and which more general tags may stand in for a tag."""

from __future__ import annotations

import re

_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8}){0,5}")

TWO_LETTERS = {
    "afr": "af", "arg": "an", "ast": "ast", "bel": "be", "ben": "bn", "bre": "br", "bul": "bg", "cat": "ca",
    "ces": "cs", "cym": "cy", "dan": "da", "deu": "de", "ell": "el", "eng": "en", "epo": "eo", "est": "et",
    "eus": "eu", "fas": "fa", "fin": "fi", "fra": "fr", "gle": "ga", "glg": "gl", "hbs": "sh", "heb": "he",
    "hin": "hi", "hrv": "hr", "hun": "hu", "ind": "id", "isl": "is", "ita": "it", "jpn": "ja", "kaz": "kk",
    "kor": "ko", "lit": "lt", "lav": "lv", "mkd": "mk", "mlt": "mt", "msa": "ms", "nld": "nl", "nno": "nn",
    "nob": "nb", "oci": "oc", "pol": "pl", "por": "pt", "ron": "ro", "rus": "ru", "slk": "sk", "slv": "sl",
    "spa": "es", "sqi": "sq", "srd": "sc", "srp": "sr", "swe": "sv", "tat": "tt", "tur": "tr", "ukr": "uk",
    "urd": "ur", "uzb": "uz", "vie": "vi", "zho": "zh",
}  # fmt: skip
"""ISO 639-3 codes that BCP-47 writes by their shorter code (RFC 5646, 2.2.1)."""


def primary(tag: str) -> str:
    """The language of a tag, without region, script and variant; lower case, shortest code."""
    language = re.split("[-_]", tag, maxsplit=1)[0].lower()
    return TWO_LETTERS.get(language, language)


def lookup_order(tag: str) -> list[str]:
    """
    The tag and what may stand in for it, most specific first, lower case: RFC 4647 lookup, except that a variant
    without its region comes before the region alone. Empty for what is no tag.
    """
    if not _TAG.fullmatch(tag):
        return []
    rest = re.split("[-_]", tag.lower())[1:]
    variants = [part for part in rest if len(part) > 4]
    kept = [rest, *([variants] if variants else []), *(rest[:size] for size in range(len(rest) - 1, -1, -1))]
    return list(dict.fromkeys("-".join([primary(tag), *parts]) for parts in kept))
