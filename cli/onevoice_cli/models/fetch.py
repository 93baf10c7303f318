"""Fetches a model: one process at a time, as much as is missing, checked, then in place at once."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from onevoice_cli.models.catalogue import Known
from onevoice_cli.models.hub import Hub, Listing
from onevoice_kit.engines.model_store import FileRecord, StoredModel, sha256, stored_models
from onevoice_kit.errors import Conflict, PreconditionFailed

SPARE_BYTES = 200 << 20
"""Free space that is left to others."""
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows the progress of so many bytes; the value is called with how many more are done."""


def fetch(known: Known, folder: Path, hub: Hub, progress: Progress) -> StoredModel:
    """
    The model, in `folder/NAME`; at once where its newest commit is there already, whole. An interrupted fetch is
    resumed by the next one.

    Raises as `Hub.listing` and `Hub.download` do, `PreconditionFailed` (reasons `disk_full`, `model_changed`), and
    `Conflict` (reason `already_running`) while another process fetches the same model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder / f".{known.name}.lock", known.name):
        listing = hub.listing(known.id)
        _check_hashes(known, listing)
        stored = next((one for one in stored_models(folder) if one.name == known.name), None)
        if stored is not None and stored.revision == listing.revision and not stored.damaged():
            return stored
        partial = folder / f".{known.name}.{listing.revision[:12]}.part"
        for stale in folder.glob(f".{known.name}.*.part"):
            if stale != partial:
                shutil.rmtree(stale)
        partial.mkdir(exist_ok=True)
        _check_space(partial, listing)
        _download(known, listing, partial, hub, progress)
        return _install(known, listing, partial, folder / known.name)


def _download(known: Known, listing: Listing, partial: Path, hub: Hub, progress: Progress) -> None:
    for file in listing.files:
        path = partial / file.name
        with progress(f"{known.name}: {file.name}", file.size) as report:
            report(path.stat().st_size if path.exists() else 0)
            hub.download(known.id, listing.revision, file, path, report)


def _install(known: Known, listing: Listing, partial: Path, target: Path) -> StoredModel:
    files = {file.name: FileRecord(file.size, sha256(partial / file.name)) for file in listing.files}
    licence = known.licence or listing.licence
    StoredModel(partial, known.id, listing.revision, licence, files).write()
    old = target.with_name(f".{known.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return StoredModel(target, known.id, listing.revision, licence, files)


def _check_hashes(known: Known, listing: Listing) -> None:
    stated = {file.name: file.sha256 for file in listing.files}
    for name, expected in known.sha256.items():
        if stated.get(name) != expected:
            message = f"The file {name} of “{known.id}” is no longer the one that is known here; its owner changed it."
            raise PreconditionFailed(message, reason="model_changed")


def _check_space(partial: Path, listing: Listing) -> None:
    have = sum(path.stat().st_size for path in partial.iterdir())
    missing = sum(file.size for file in listing.files) - have
    free = shutil.disk_usage(partial).free
    if missing + SPARE_BYTES > free:
        message = f"The model needs {missing / 1e6:.0f} MB more, and {free / 1e6:.0f} MB are free in {partial.parent}."
        raise PreconditionFailed(message, reason="disk_full")


@contextmanager
def _lock(path: Path, name: str) -> Iterator[None]:
    """Held by the open file, so that it ends with the process."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"Another process is fetching “{name}” right now."
            raise Conflict(message, reason="already_running") from None
        yield
