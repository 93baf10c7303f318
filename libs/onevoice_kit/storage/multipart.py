"""Multipart uploads of the file store: parts lie in a hidden folder that belongs to one upload."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from onevoice_kit.errors import InvalidInput, NotFound
from onevoice_kit.storage.base import UploadedPart
from onevoice_kit.storage.folder import Folder, TempWriter

MAX_PARTS = 10_000
"""As in S3."""
_ID = re.compile(r"[0-9a-f]{32}")


class Multipart:
    """Begins, fills, joins and drops uploads. All methods block."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def start(self, key: str, content_type: str) -> str:
        """Begins an upload and returns its id."""
        upload_id = uuid4().hex
        place = self._folder.parts / upload_id
        place.mkdir(parents=True)
        with self._folder.writer() as writer:
            writer.write(json.dumps({"key": key, "content_type": content_type}).encode())
            writer.place(place / "owner")
        return upload_id

    def receive(self, key: str, upload_id: str, number: int, writer: TempWriter) -> str:
        """Keeps a part that has been written; returns its etag."""
        self._owner(key, upload_id)
        part = self._part(upload_id, number)
        for outdated in part.parent.glob(f"{part.name}.*"):
            outdated.unlink(missing_ok=True)
        writer.place(part.with_suffix("." + writer.sha256))
        return f'"{writer.sha256}"'

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        """Joins the parts, in order, to the object."""
        content_type = self._owner(key, upload_id)
        numbers = [part.number for part in parts]
        if not parts or numbers != sorted(set(numbers)):
            raise _invalid_parts()
        paths = [self._part(upload_id, part.number).with_suffix("." + part.etag.strip('"')) for part in parts]
        if not all(re.fullmatch(r"\.[0-9a-f]{64}", path.suffix) and path.is_file() for path in paths):
            raise _invalid_parts()
        with self._folder.writer() as writer:
            for path in paths:
                writer.append_file(path)
            self._folder.store(key, writer, content_type, verified=False)
        self.abort(key, upload_id)

    def abort(self, key: str, upload_id: str) -> None:
        """Drops the parts; an unknown upload, or one of another key, is left alone."""
        try:
            self._owner(key, upload_id)
        except NotFound:
            return
        shutil.rmtree(self._folder.parts / upload_id, ignore_errors=True)

    def _owner(self, key: str, upload_id: str) -> str:
        """The content type of an upload, when it is one of this key."""
        if _ID.fullmatch(upload_id):
            try:
                owner = json.loads((self._folder.parts / upload_id / "owner").read_text(encoding="utf-8"))
            except FileNotFoundError:
                owner = {}
            if owner.get("key") == key:
                return str(owner["content_type"])
        raise NotFound("There is no such upload.", reason="upload_not_found")

    def _part(self, upload_id: str, number: int) -> Path:
        if not 1 <= number <= MAX_PARTS:
            raise _invalid_parts()
        return self._folder.parts / upload_id / f"{number:05}"


def _invalid_parts() -> InvalidInput:
    return InvalidInput("A part of the upload is missing or differs from what was sent.", reason="invalid_parts")
