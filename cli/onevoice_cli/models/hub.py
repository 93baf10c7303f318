"""The model hub: the files of a model with their hashes, by the hub's own client, and each file, resumed by Range."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx

from onevoice_kit.errors import Forbidden, NotFound, OneVoiceError, PreconditionFailed, Unavailable

_WANTED = (
    *("model.bin", "config.json", "*vocabulary.json", "*vocabulary.txt", "*.spm", "sentencepiece*.model", "spm.model"),
    *("README.md", "LICENSE*"),
)
"""Files that the engine reads, and those with the authors and the licence."""
_BLOCK_BYTES = 1 << 20
_TIMEOUT_S = 60.0
_ATTEMPTS = 6
_LONGEST_WAIT_S = 30.0
Wait = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of the hub."""

    name: str
    size: int
    sha256: str
    """Empty where the hub states a `git_sha1` instead, as it does for small files."""
    git_sha1: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A model as the hub has it now."""

    revision: str
    """The commit."""
    licence: str
    files: Sequence[RemoteFile]


class Hub:
    """A model hub with the interface of Hugging Face's."""

    def __init__(self, address: str = "", *, wait: Wait = time.sleep) -> None:
        """`address` empty: the one of `huggingface_hub`, which `HF_ENDPOINT` sets. `wait` is between two attempts."""
        from huggingface_hub import constants, get_token

        self.address = (address or constants.ENDPOINT).rstrip("/")
        token = get_token()
        self._headers = {"accept-encoding": "identity"} | ({"authorization": f"Bearer {token}"} if token else {})
        self._tls = httpx.create_ssl_context()
        self._wait = wait

    def listing(self, model: str) -> Listing:
        """
        The files of a model's newest commit that the engine needs. Raises `NotFound` (reason `model_not_found`),
        `Forbidden` (`model_forbidden`), `Unavailable` (`hub_unavailable`), `PreconditionFailed` (`not_converted`).
        """
        from huggingface_hub import HfApi

        try:
            info = HfApi(endpoint=self.address, library_name="onevoice").model_info(model, files_metadata=True)
        except Exception as error:
            raise self._failure(model, error) from error
        files = [_remote(one) for one in info.siblings or [] if _is_wanted(one.rfilename)]
        if "model.bin" not in {file.name for file in files}:
            message = f"“{model}” is no model in CTranslate2's form: it has no model.bin."
            raise PreconditionFailed(message, reason="not_converted")
        return Listing(str(info.sha), str(getattr(info.card_data, "license", "") or ""), files)

    def download(self, model: str, revision: str, file: RemoteFile, path: Path, report: Callable[[int], None]) -> None:
        """
        Writes a file to `path`, going on where it ends; `report` gets the bytes that came. A connection that is cut is
        resumed. Raises as `listing` does, and `PreconditionFailed` (reason `wrong_hash`), after which the file is gone.
        """
        from huggingface_hub import hf_hub_url

        url = hf_hub_url(model, file.name, revision=revision, endpoint=self.address)
        failures = 0
        with httpx.Client(headers=self._headers, timeout=_TIMEOUT_S, follow_redirects=True, verify=self._tls) as client:
            while _length(path) < file.size or not path.exists():
                before = _length(path)
                error = _receive(client, url, path, report)
                if error is None:
                    break
                failures = 1 if _length(path) > before else failures + 1
                if failures >= _ATTEMPTS or not _may_pass(error):
                    raise self._failure(model, error) from error
                self._wait(min(2.0**failures, _LONGEST_WAIT_S))
        if not _is_same(path, file):
            path.unlink(missing_ok=True)
            message = f"The file {file.name} that came from {self.address} is not the one that the hub lists."
            raise PreconditionFailed(message, reason="wrong_hash")

    def _failure(self, model: str, error: Exception) -> OneVoiceError:
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        status = getattr(getattr(error, "response", None), "status_code", 0)
        # The hub answers 401 for a model that does not exist, as for one that is private.
        if status == 404 or (isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError)):
            return NotFound(f"{self.address} has no model “{model}”, or it is private.", reason="model_not_found")
        if status in (401, 403):
            message = f"“{model}” wants its licence accepted at {self.address}, and your token in HF_TOKEN."
            return Forbidden(message, reason="model_forbidden")
        return Unavailable(f"The model hub {self.address} does not answer as it should.", reason="hub_unavailable")


def _receive(client: httpx.Client, url: str, path: Path, report: Callable[[int], None]) -> httpx.HTTPError | None:
    """Appends what is missing; returns the error that ended it."""
    have = _length(path)
    try:
        with client.stream("GET", url, headers={"range": f"bytes={have}-"} if have else {}) as response:
            response.raise_for_status()
            resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
            if have and not resumed:
                report(-have)  # the whole file comes again
            with path.open("ab" if resumed else "wb") as target:
                for block in response.iter_raw():  # as it comes: what is held back would be lost with the connection
                    target.write(block)
                    report(len(block))
    except httpx.HTTPError as error:
        return error
    return None


def _may_pass(error: httpx.HTTPError) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in (408, 429) or error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)


def _remote(sibling: Any) -> RemoteFile:
    sha256 = sibling.lfs.sha256 if sibling.lfs else ""
    return RemoteFile(sibling.rfilename, int(sibling.size or 0), sha256, sibling.blob_id or "")


def _is_wanted(name: str) -> bool:
    return "/" not in name and any(fnmatchcase(name, pattern) for pattern in _WANTED)


def _is_same(path: Path, file: RemoteFile) -> bool:
    if not path.exists() or path.stat().st_size != file.size:
        return False
    # Git names a file by the hash of its length and content.
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as content:
        while block := content.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest() == (file.sha256 or file.git_sha1)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
