"""Downloads: into a hidden temporary file, checksum compared, then renamed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import httpx

from onevoice_cli.client.api import ApiClient
from onevoice_cli.client.problems import from_response, from_transport
from onevoice_cli.files import safe_name
from onevoice_kit.errors import PreconditionFailed, Unavailable

PARALLEL_FILES = 4
_VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".ts", ".m4a"})
_JOB_FILES = {"report": "report.json", "manifest": "manifest.json", "thumbnail": "thumbnail.jpg"}
_CAPTIONS = {"captions_srt": ".srt", "captions_vtt": ".vtt"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a finished job."""

    kind: str
    language: str
    """Empty where it belongs to the whole job."""
    filename: str
    """The server's name, of which only the ending is used."""
    size: int
    sha256: str
    url: str

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> Artifact:
        """From an item of `GET /jobs/{id}/download`."""
        return cls(
            kind=str(item["kind"]),
            language=str(item.get("language") or ""),
            filename=str(item.get("filename") or ""),
            size=int(item["size"]),
            sha256=str(item["sha256"]),
            url=str(item["url"]),
        )

    def local_name(self, stem: str) -> str:
        """`NAME.es.mp4`, `NAME.es.srt`, `report.json` …; nothing of the server's name but a known ending."""
        if self.kind in _JOB_FILES:
            return _JOB_FILES[self.kind]
        suffix = _CAPTIONS.get(self.kind) or PurePosixPath(self.filename).suffix.lower()
        if self.kind == "video" and suffix not in _VIDEO_SUFFIXES:
            suffix = ".mp4"
        parts = [safe_name(stem), safe_name(self.language, "")]
        if self.kind != "video" and self.kind not in _CAPTIONS:
            parts.append(safe_name(self.kind, "file"))
            suffix = f".{safe_name(suffix, 'bin')}"
        return ".".join(part for part in parts if part) + suffix


async def download_all(
    api: ApiClient, artifacts: Sequence[Artifact], folder: Path, stem: str, advance: Callable[[int], None]
) -> dict[str, Path]:
    """Fetches every artifact, a few at a time; returns paths by local name. Files of the same name are replaced."""
    _make(folder)
    gate = asyncio.Semaphore(PARALLEL_FILES)

    async def one(artifact: Artifact) -> tuple[str, Path]:
        name = artifact.local_name(stem)
        async with gate:
            await fetch(api, artifact, folder / name, advance)
        return name, folder / name

    tasks = [asyncio.create_task(one(artifact)) for artifact in artifacts]
    try:
        return dict(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PreconditionFailed(
            f"The output folder {folder} cannot be used: {error.strerror}.", reason="output_folder_unusable"
        ) from None


async def fetch(api: ApiClient, artifact: Artifact, target: Path, advance: Callable[[int], None]) -> None:
    """One file. `Unavailable` (reason `checksum_mismatch`) where what arrives is not what the job made."""

    async def once() -> None:
        counted = 0
        try:
            with _temporary(target) as stream:
                async for data in _body(api, artifact):
                    stream.write(data)
                    stream.hash(data)
                    counted += len(data)
                    advance(len(data))
                stream.check(artifact, counted)
                await asyncio.to_thread(stream.commit, target)
        except BaseException:
            advance(-counted)
            raise

    await api.retry.call(once)


async def _body(api: ApiClient, artifact: Artifact) -> Any:
    try:
        async with api.signed.stream("GET", artifact.url) as response:
            if response.is_error:
                await response.aread()
                raise from_response(response)
            async for data in response.aiter_bytes(1 << 18):
                yield data
    except httpx.TransportError as error:
        raise from_transport(error, artifact.url) from error


class _Partial:
    """A file on its way."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._stream.write(data)

    def hash(self, data: bytes) -> None:
        self._digest.update(data)

    def check(self, artifact: Artifact, size: int) -> None:
        if size != artifact.size or self._digest.hexdigest() != artifact.sha256:
            raise Unavailable(
                f"The {artifact.kind} file arrived damaged: its checksum is not the one the job recorded.",
                reason="checksum_mismatch",
            )

    def commit(self, target: Path) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._path.replace(target)


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[_Partial]:
    path = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with path.open("wb") as stream:
            yield _Partial(path, stream)
    except OSError as error:
        raise PreconditionFailed(f"{target} cannot be written: {error.strerror}.", reason="cannot_write") from None
    finally:
        path.unlink(missing_ok=True)
