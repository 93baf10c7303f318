"""The code of the last release, taken from git, to be run beside the present one."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMIT = (ROOT / "release.txt").read_text().strip()
"""The commit of the last release; a new release changes this one line."""
_ROOTS = (".", "libs", "gen", "cli")
_FOLDERS = ("services", "libs", "gen", "cli")


class NoHistory(Exception):
    """The commit of the last release is not in this clone: get the whole history, `git fetch --unshallow`."""

    def __str__(self) -> str:
        return f"{self.__doc__} ({self.args[0]})"


def unpack(commit: str, folder: Path) -> None:
    """Writes the product code of a commit into a folder. Raises `NoHistory`."""
    packed = subprocess.run(["git", "archive", commit, *_FOLDERS], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        raise NoHistory(commit)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")


class LastRelease:
    """Runs functions of a script in a process that imports the last release's code."""

    def __init__(self, folder: Path, script: Path, database_url: str) -> None:
        self._folder = folder
        self._script = script
        self._database_url = database_url

    async def __call__(self, function: str, **arguments: Any) -> Any:
        """The result of a function of the script, as JSON carries it. Fails with the script's traceback."""
        path = os.pathsep.join(str(self._folder / root) for root in _ROOTS)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(self._script), str(self._folder), self._database_url, function),
            env={**os.environ, "PYTHONPATH": path},
            cwd=self._folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(json.dumps(arguments).encode())
        assert process.returncode == 0, err.decode()
        return json.loads(out)
