"""Address and key of the deployment: options, then environment, then `client.toml`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from onevoice_cli.files import read_toml
from onevoice_kit.errors import InvalidInput, PreconditionFailed

DEFAULT_DATA = Path("~/.onevoice")
"""Folder of `onevoice up`, unless `--data` or ONEVOICE_DATA names another."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """An address and a key."""

    url: str
    """Without a slash at the end."""
    api_key: str


def load(
    *, url: str = "", api_key: str = "", data: Path | None = None, env: Mapping[str, str] = os.environ
) -> ClientSettings:
    """
    Each of the two from the first place that has it. A key from `client.toml` is used only with the address from
    there, so that it is never sent to another server. `PreconditionFailed` (reason `not_configured`) without both.
    """
    path = data_folder(data, env) / "client.toml"
    kept = read_toml(path)
    chosen = url or env.get("ONEVOICE_URL", "")
    address = _checked(chosen or kept.get("url", ""), path)
    key = api_key or env.get("ONEVOICE_API_KEY", "")
    if not key and (not chosen or _checked(kept.get("url", chosen), path) == address):
        key = kept.get("api_key", "")
    if not key:
        raise PreconditionFailed(
            f"There is no API key for {address}; set ONEVOICE_API_KEY or give --api-key.", reason="not_configured"
        )
    return ClientSettings(address, key)


def data_folder(data: Path | None, env: Mapping[str, str] = os.environ) -> Path:
    """The folder of the local deployment, absolute."""
    return (data or Path(env.get("ONEVOICE_DATA") or DEFAULT_DATA)).expanduser().absolute()


def _checked(url: str, path: Path) -> str:
    if not url:
        raise PreconditionFailed(
            f"No server is configured: start one with `onevoice up` (which writes {path}), or set ONEVOICE_URL.",
            reason="not_configured",
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(f"{url!r} is not an http or https address.", reason="invalid_url")
    return url.rstrip("/").removesuffix("/api")
