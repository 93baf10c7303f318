"""A store in memory, with what the orchestrator uses of the port."""

from __future__ import annotations

import hashlib

from onevoice_kit.errors import NotFound
from onevoice_kit.storage.base import ObjectRef, Storage


class MemoryStorage(Storage):
    """Objects by key."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}

    def uri(self, key: str) -> str:
        return f"file:///{key}"

    def key(self, uri: str) -> str:
        return uri.removeprefix("file:///")

    async def put_bytes(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        self.objects[key] = (data, content_type)
        return self._ref(key)

    async def get_bytes(self, key: str, max_bytes: int = 16 << 20) -> bytes:
        if key not in self.objects:
            raise NotFound("There is no such object.", reason="object_not_found")
        return self.objects[key][0]

    async def head(self, key: str) -> ObjectRef | None:
        return self._ref(key) if key in self.objects else None

    async def delete_prefix(self, prefix: str) -> int:
        found = [key for key in self.objects if key.startswith(f"{prefix}/")]
        for key in found:
            del self.objects[key]
        return len(found)

    def _ref(self, key: str) -> ObjectRef:
        data, content_type = self.objects[key]
        return ObjectRef(self.uri(key), hashlib.sha256(data).hexdigest(), len(data), content_type)
