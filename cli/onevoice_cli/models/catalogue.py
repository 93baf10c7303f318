"""
Models that are known to be published in CTranslate2's form.

They are conversions by third parties of models by others. Ids, licences, sizes and hashes are those of the hub's public
pages; where a page was not seen, the size is 0 and there is no hash, and the one that the hub states counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onevoice_kit.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Known:
    """A model to fetch."""

    name: str
    """Also the name of its folder."""
    id: str
    """Of the hub: `owner/name`."""
    languages: str
    """For people."""
    licence: str = ""
    """Empty where it is unknown."""
    size: int = 0
    """Bytes; 0 where it is unknown."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Of its files, where known before anything is fetched."""


def _opus(source: str, target: str, size: int = 0) -> Known:
    return Known(
        f"opus-mt-{source}-{target}",
        f"gaudi/opus-mt-{source}-{target}-ctranslate2",
        f"{source} → {target}",
        "Apache-2.0",
        size,
    )


KNOWN = (
    _opus("en", "es", 160_000_000),
    Known("opus-mt-en-fr", "michaelfeil/ct2fast-opus-mt-en-fr", "en → fr", "Apache-2.0"),
    Known("opus-mt-en-de", "michaelfeil/ct2fast-opus-mt-en-de", "en → de", "Apache-2.0"),
    Known("opus-mt-en-romance", "michaelfeil/ct2fast-opus-mt-en-ROMANCE", "en → es, ca, fr, it, pt …", "Apache-2.0"),
    _opus("en", "zh"),
    *(_opus(source, "en") for source in ("es", "fr", "de", "it", "nl", "ca", "ru", "ar", "zh", "ko")),
    Known(
        "m2m100-418m",
        "michaelfeil/ct2fast-m2m100_418M",
        "any of 100",
        "MIT",
        975_000_000,
        {"model.bin": "0b70f12bc9af78a921f2f4b2049aeae745c0a70613a0cd58d3d26bd4571177bd"},
    ),
    Known(
        "nllb-600m",
        "JustFrederik/nllb-200-distilled-600M-ct2-int8",
        "any of 200",
        "CC-BY-NC-4.0 (not for commercial use)",
        645_000_000,
    ),
)


def find(wanted: str) -> Known:
    """
    The known model with this name or id, or one that only its hub knows, for `owner/name`. Raises `InvalidInput`
    (reason `unknown_model`) for another text.
    """
    for known in KNOWN:
        if wanted in (known.name, known.id):
            return known
    owner, _, name = wanted.partition("/")
    if all(part and set(part) <= _ID and not part.startswith(".") for part in (owner, name)):
        return Known(f"{owner}--{name}", wanted, "")
    raise InvalidInput(
        f"“{wanted}” is no known model; `onevoice models list` shows them. A model of the hub is named OWNER/NAME.",
        reason="unknown_model",
    )


_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
