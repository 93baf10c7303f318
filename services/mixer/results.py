"""Results by content: the key follows from inputs and parameters, so that a repeat is found, not done again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onevoice_kit.errors import InvalidInput
from onevoice_kit.storage.base import ObjectRef, Storage

_SHA256 = re.compile("[0-9a-f]{64}")
VERSION = "mixer-7"
"""Part of every key; a new one when the same request gives another result."""


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work, named by everything that decides its result."""

    prefix: str
    """`output_prefix` of the request."""
    stage: str
    digest: str

    @staticmethod
    def of(prefix: str, stage: str, parameters: Mapping[str, Any]) -> Work:
        """`parameters` holds plain values; an input stands there by its `content`."""
        inputs = json.dumps({"version": VERSION, **parameters}, sort_keys=True, separators=(",", ":"))
        return Work(prefix, stage, hashlib.sha256(inputs.encode()).hexdigest())

    def key(self, suffix: str, part: str = "") -> str:
        """Key of one output."""
        return f"{self.prefix}/{self.stage}{part and '-' + part}-{self.digest}.{suffix}"


def content(ref: ObjectRef) -> str:
    """
    The SHA-256 that stands for an input in a key. `InvalidInput` (reason `unverified_object`) for a reference without
    one: nothing would then tie the key to what the work reads.
    """
    if not _SHA256.fullmatch(ref.sha256):
        raise InvalidInput("The reference to an object has no checksum.", reason="unverified_object")
    return ref.sha256


class Results:
    """Outputs and, beside them as the last thing written, what the call answered."""

    def __init__(self, storage: Storage) -> None:
        """`storage` is where inputs come from and outputs go."""
        self.storage = storage

    @staticmethod
    def levels_key(prefix: str, sound: ObjectRef) -> str:
        """Key of the levels of a sound (`mixing.levels`), which every mix over it needs."""
        return Work.of(prefix, "levels", {"sound": content(sound)}).key("f32")

    async def levels(self, prefix: str, sound: ObjectRef) -> bytes | None:
        """The packed levels of a sound, if a call has measured them."""
        key = self.levels_key(prefix, sound)
        return None if await self.storage.head(key) is None else await self.storage.get_bytes(key)

    async def keep_levels(self, prefix: str, sound: ObjectRef, packed: bytes) -> None:
        """Stores the levels of a sound."""
        await self.storage.put_bytes(self.levels_key(prefix, sound), packed, "application/octet-stream")

    async def find(self, work: Work) -> dict[str, Any] | None:
        """The stored answer, if each output is still there as it was: of the size and checksum in the answer."""
        key = work.key("json")
        if await self.storage.head(key) is None:
            return None
        answer: dict[str, Any] = json.loads(await self.storage.get_bytes(key))
        for value in answer.values():
            if is_ref(value) and not await self._stands(ObjectRef(**value)):
                return None
        return answer

    async def _stands(self, ref: ObjectRef) -> bool:
        """A repeat that ended before its answer was stored leaves another output under the same key."""
        found = await self.storage.head(self.storage.key(ref.uri))
        return found is not None and (found.size, found.sha256) == (ref.size, ref.sha256)

    async def put(self, key: str, path: Path, content_type: str) -> ObjectRef:
        """Stores one output."""
        return await self.storage.put_file(key, path, content_type)

    async def keep(self, work: Work, answer: Mapping[str, Any]) -> None:
        """Stores what the call answers; `ObjectRef` values become plain."""
        plain = {name: asdict(value) if isinstance(value, ObjectRef) else value for name, value in answer.items()}
        await self.storage.put_bytes(work.key("json"), json.dumps(plain).encode(), "application/json")


def is_ref(value: object) -> bool:
    """True if a plain value is an `ObjectRef` as `keep` stores it."""
    return isinstance(value, dict) and value.keys() == {"uri", "sha256", "size", "content_type"}
