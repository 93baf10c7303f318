"""Secrets of one data folder, made once and kept in `DIR/secrets.toml`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from onevoice_cli.files import read_toml, to_toml, write_private

_NAMES = ("storage_signing_key", "grpc_shared_secrets")


def load_or_create(data: Path) -> Mapping[str, str]:
    """Every name of `_NAMES` with 256 random bits in hexadecimal; names that a newer version added are added."""
    path = data / "secrets.toml"
    known = read_toml(path)
    missing = [name for name in _NAMES if not known.get(name)]
    if missing:
        known |= {name: secrets.token_hex(32) for name in missing}
        write_private(path, to_toml(known))
    return known
