"""Signed URLs of the file store: who holds one may make exactly the request that it names."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from onevoice_kit.errors import Forbidden, Internal
from onevoice_kit.storage.base import check_key

_SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Grant:
    """One request that a signed URL allows."""

    method: str
    """`GET` (which allows HEAD too) or `PUT`."""
    key: str
    expires_at: int
    """Seconds since the epoch."""
    size: int | None = None
    """Exact bytes of an upload."""
    sha256: str = ""
    """Of an upload; empty for a part, whose checksum is not known beforehand."""
    content_type: str = ""
    upload_id: str = ""
    """With `part`: the multipart upload that the part belongs to."""
    part: int | None = None
    filename: str = ""
    """Under which name a browser saves a download; empty shows it in place."""

    def parameters(self) -> dict[str, str]:
        """The query of the URL, without the signature; empty fields are left out."""
        fields = {
            "expires": self.expires_at,
            "size": self.size,
            "sha256": self.sha256,
            "type": self.content_type,
            "upload": self.upload_id,
            "part": self.part,
            "filename": self.filename,
        }
        return {name: str(value) for name, value in fields.items() if value not in (None, "")}


class UrlSigner:
    """Signs grants and recognises them again."""

    def __init__(self, key: bytes, base_url: str, now: Callable[[], float] = time.time) -> None:
        """`base_url` is the address under which the objects are served, without a slash at the end."""
        self._key = key
        self._base_url = base_url
        self._now = now

    def expiry(self, expires_s: int) -> int:
        """The moment `expires_s` seconds from now."""
        return int(self._now()) + expires_s

    def url(self, grant: Grant) -> str:
        """The signed URL of a grant."""
        parameters = grant.parameters()
        parameters[_SIGNATURE] = self._signature(grant.method, grant.key, parameters)
        return f"{self._base_url}/{quote(grant.key)}?{urlencode(parameters)}"

    def verify(self, method: str, key: str, parameters: Mapping[str, str]) -> Grant:
        """
        The grant behind a request. Raises `Forbidden` with reason `invalid_signature` when anything about it
        differs from what was signed, and `expired_signature` when it comes too late.
        """
        method = "GET" if method == "HEAD" else method
        signed = {name: value for name, value in parameters.items() if name != _SIGNATURE}
        expected = self._signature(method, check_key(key), signed)
        if not hmac.compare_digest(expected.encode(), parameters.get(_SIGNATURE, "").encode()):
            raise Forbidden("The signature of this address is not valid.", reason="invalid_signature")
        grant = _grant(method, key, signed)
        if self._now() >= grant.expires_at:
            raise Forbidden("This address has expired.", reason="expired_signature")
        return grant

    def _signature(self, method: str, key: str, parameters: Mapping[str, str]) -> str:
        if not self._key:
            raise Internal("This process has no key to sign addresses with.", reason="signing_key_missing")
        # JSON, because joined strings could be cut differently and mean another request.
        signed = json.dumps([method, key, sorted(parameters.items())], separators=(",", ":"))
        return hmac.new(self._key, signed.encode(), hashlib.sha256).hexdigest()


def _grant(method: str, key: str, signed: Mapping[str, str]) -> Grant:
    """Rebuilds a grant from parameters whose signature holds, so they are as `Grant.parameters` wrote them."""
    return Grant(
        method=method,
        key=key,
        expires_at=int(signed["expires"]),
        size=int(signed["size"]) if "size" in signed else None,
        sha256=signed.get("sha256", ""),
        content_type=signed.get("type", ""),
        upload_id=signed.get("upload", ""),
        part=int(signed["part"]) if "part" in signed else None,
        filename=signed.get("filename", ""),
    )
