"""The local user, and the file from which the client takes the address and the key."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from onevoice_cli.files import read_toml, to_toml, write_private
from onevoice_cli.launcher.process import wrapped
from onevoice_kit.errors import Unavailable

EMAIL = "local@onevoice.invalid"
_RIGHTS = ("--grant", "operator", "--grant", "high_priority")
"""The local user runs this machine."""
_TIMEOUT_S = 60.0


async def ensure_client_file(data: Path, url: str, env: Mapping[str, str], *, new_key: bool = False) -> Path:
    """Writes `DIR/client.toml` (url, api_key; mode 600). The user and its key are made only where no key is kept."""
    path = data / "client.toml"
    known = read_toml(path)
    key = ("" if new_key else known.get("api_key")) or await _create_user(env)
    if known.get("url") != url or known.get("api_key") != key:
        write_private(path, to_toml({"url": url, "api_key": key}))
    return path


async def key_works(path: Path, url: str) -> bool:
    """False where the gateway at `url` refuses the key, as after the database was deleted by hand."""
    headers = {"Authorization": f"Bearer {read_toml(path)['api_key']}"}
    async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
        response = await client.get(f"{url}/api/jobs?limit=1", headers=headers)
    return response.status_code != httpx.codes.UNAUTHORIZED


async def _create_user(env: Mapping[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *wrapped((sys.executable, "-m", "services.gateway.create_user", "--email", EMAIL, *_RIGHTS)),
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    return _api_key(out, err)


def _api_key(out: bytes, err: bytes) -> str:
    """The key in the last line of JSON printed; log lines may come before it."""
    for line in reversed(out.decode("utf-8", "replace").splitlines()):
        try:
            return str(json.loads(line)["api_key"])
        except (ValueError, KeyError, TypeError):
            continue
    words = err.decode("utf-8", "replace").strip().splitlines()
    cause = f": {words[-1]}" if words else ""
    raise Unavailable(f"The local user could not be created{cause}.", reason="create_user_failed")
