"""A model hub on this machine, with the interface of Hugging Face's: a model's commit, files by Range, failures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubServer:
    """Its models and the requests for files; a test changes the former."""

    url: str = ""
    models: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    revision: str = REVISION
    licence: str = "apache-2.0"
    cuts: list[int] = field(default_factory=list)
    """Bytes after which each of the next answers with a file is cut off."""
    statuses: list[int] = field(default_factory=list)
    """Statuses of the next answers with a file, in place of the file."""
    ranges: bool = True
    """False: it always sends whole files."""
    sent: Mapping[str, bytes] = field(default_factory=dict)
    """Files that come otherwise than listed."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Name and Range of each file asked for."""

    def info(self, model: str) -> bytes:
        """The answer about a model, as the hub's API gives it with `blobs=true`."""
        siblings = [_sibling(name, content) for name, content in self.models[model].items()]
        data = {"id": model, "sha": self.revision, "siblings": siblings, "cardData": {"license": self.licence}}
        return json.dumps(data).encode()


def _sibling(name: str, content: bytes) -> dict[str, object]:
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    found: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": blob}
    if name.endswith((".bin", ".spm")):
        found["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return found


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """A running hub without models."""
    hub = HubServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: _Handler(hub, *args))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, hub: HubServer, *args) -> None:
        self.hub = hub
        super().__init__(*args)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/")
        if path.startswith("api/models/"):
            self._about(path.removeprefix("api/models/").partition("/revision/")[0])
            return
        model, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        assert revision == self.hub.revision
        self._file(name, self.hub.sent.get(name, self.hub.models[model][name]))

    def _about(self, model: str) -> None:
        if model not in self.hub.models:
            self._answer(401, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
            return
        self._answer(200, self.hub.info(model), {"Content-Type": "application/json"})

    def _file(self, name: str, content: bytes) -> None:
        wanted = self.headers.get("Range", "")
        self.hub.asked.append((name, wanted))
        if self.hub.statuses:
            self._answer(self.hub.statuses.pop(0), b"")
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0) if self.hub.ranges else 0
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        self._answer(206 if start else 200, content[start:], headers, self.hub.cuts.pop(0) if self.hub.cuts else None)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] = {}, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Keeps the output of the tests clean."""
