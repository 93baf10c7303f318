"""A small server that speaks the REST API's words, with failures on request, to test the client against."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from onevoice_cli.client.settings import ClientSettings

KEY = "ov_test"
JOB = "job-1"


def problem(status: int, reason: str, detail: str, **headers: str) -> Response:
    body = {"type": "about:blank", "title": "Refused", "status": status, "detail": detail, "reason": reason}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


@dataclass
class RestServer:
    """Its requests so far, its responses and its faults."""

    part_size: int = 0
    """Above zero: uploads in parts of this size."""
    form: bool = False
    """Uploads as an HTML form."""
    job_error: dict[str, str] | None = None
    language_errors: dict[str, str] = field(default_factory=dict)
    sse_status: int = 200
    cut_stream_after: int = 0
    """Above zero: the first event stream breaks after so many events."""
    runs_forever: bool = False
    failures: dict[str, list[Response]] = field(default_factory=dict)
    """Answers to give first, by `METHOD path`."""
    damage: dict[str, int] = field(default_factory=dict)
    """Number of times a file arrives damaged, by its kind."""
    url: str = ""

    received: dict[int, bytes] = field(default_factory=dict)
    bodies: dict[str, Any] = field(default_factory=dict)
    idempotency_keys: dict[str, list[str]] = field(default_factory=dict)
    last_event_ids: list[str] = field(default_factory=list)
    signed_with_key: bool = False
    cancelled: bool = False
    polls: int = 0

    @property
    def settings(self) -> ClientSettings:
        return ClientSettings(self.url, KEY)

    def app(self) -> Starlette:
        api: list[tuple[str, str, Callable[[Request], Any]]] = [
            ("GET", "/api/jobs", self._jobs),
            ("GET", "/api/monitoring/health", self._health),
            ("GET", "/api/languages", self._languages),
            ("POST", "/api/videos", self._video),
            ("POST", "/api/billing/estimate", self._estimate),
            ("POST", "/api/videos/{id}/complete", self._complete),
            ("POST", "/api/videos/{id}/dub", self._dub),
            ("GET", f"/api/jobs/{JOB}", self._job),
            ("POST", f"/api/jobs/{JOB}/cancel", self._cancel),
            ("GET", f"/api/jobs/{JOB}/events", self._events),
            ("GET", f"/api/jobs/{JOB}/download", self._download),
        ]
        routes = [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in api]
        routes.append(Route("/storage/{name}", self._storage, methods=["PUT", "POST", "GET"]))
        return Starlette(routes=routes)

    def _guarded(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def guarded(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {KEY}":
                return problem(401, "invalid_api_key", "The API key is not valid.")
            if request.method == "POST":
                self.idempotency_keys.setdefault(request.url.path, []).append(request.headers["idempotency-key"])
            if waiting := self.failures.get(f"{request.method} {request.url.path}"):
                return waiting.pop(0)
            if request.method == "POST":
                self.bodies[request.url.path] = json.loads(await request.body() or b"{}")
            return await handler(request)  # type: ignore[no-any-return]

        return guarded

    async def _jobs(self, request: Request) -> Response:
        return JSONResponse({"items": [self._job_json()], "next_cursor": None})

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "database": {"status": "ok"}, "services": {"asr": {"status": "ok"}}})

    async def _languages(self, request: Request) -> Response:
        return JSONResponse({"sources": ["en"], "targets": ["ca", "es"], "pairs": []})

    async def _estimate(self, request: Request) -> Response:
        cost = {"stage": "tts", "language": "es", "engine": "vendor", "model": "", "usd": "0.001500"}
        units = [{"unit": "1k characters", "units": 0.015}]
        free = {**cost, "stage": "asr", "language": None, "engine": "whisper", "usd": None}
        costs = [{**free, "units": []}, {**cost, "units": units}]
        return JSONResponse({"credits": 1, "costs": costs, "cost_usd": None, "assumptions": []})

    async def _video(self, request: Request) -> Response:
        size = self.bodies["/api/videos"]["size"]
        ticket: dict[str, Any] = {"video": {"id": "v1", "status": "uploading"}, "upload": None, "multipart": None}
        if self.part_size:
            sizes = [min(self.part_size, size - at) for at in range(0, size, self.part_size)]
            parts = [self._signed(number) | {"number": number, "size": one} for number, one in enumerate(sizes, 1)]
            ticket["multipart"] = {"upload": parts, "part_size": self.part_size}
        else:
            ticket["upload"] = self._signed(1)
        return JSONResponse(ticket, 201)

    def _signed(self, number: int) -> dict[str, Any]:
        if self.form:
            return {"method": "POST", "url": f"{self.url}/storage/{number}", "headers": {}, "fields": {"policy": "p"}}
        headers = {"Content-Type": "video/mp4"}
        return {"method": "PUT", "url": f"{self.url}/storage/{number}", "headers": headers, "fields": {}}

    async def _complete(self, request: Request) -> Response:
        announced = self.bodies["/api/videos"]
        whole = b"".join(self.received[number] for number in sorted(self.received))
        if hashlib.sha256(whole).hexdigest() != announced["sha256"]:
            return problem(422, "checksum_mismatch", "The file is not what was announced.")
        return JSONResponse({"id": "v1", "status": "ready"})

    async def _dub(self, request: Request) -> Response:
        return JSONResponse(self._job_json("pending"), 202)

    async def _job(self, request: Request) -> Response:
        self.polls += 1
        if self.cancelled:
            return JSONResponse(self._job_json("cancelled"))
        running = self.runs_forever or (self.sse_status == 200 and self.polls < 2) or self.polls < 3
        return JSONResponse(self._job_json("processing" if running else "failed" if self.job_error else "completed"))

    def _job_json(self, status: str = "completed") -> dict[str, Any]:
        languages = self.bodies.get("/api/videos/v1/dub", {}).get("target_languages", ["es"])
        return {
            "id": JOB,
            "status": status,
            "stage": "transcribe",
            "progress": 100 if status == "completed" else 30,
            "target_languages": languages,
            "languages": [self._language_json(language, status) for language in languages],
            "error": self.job_error if status == "failed" else None,
            "created_at": "2026-01-01T00:00:00Z",
        }

    def _language_json(self, language: str, status: str) -> dict[str, Any]:
        error = self.language_errors.get(language)
        ended = "failed" if error and status == "completed" else status
        return {"language": language, "status": ended, "progress": 30, "error": {"message": error} if error else None}

    async def _cancel(self, request: Request) -> Response:
        self.cancelled = True
        return JSONResponse(self._job_json("processing"), 202)

    async def _events(self, request: Request) -> Response:
        if self.sse_status != 200:
            return problem(self.sse_status, "no_events", "No events here.")
        after = int(request.headers.get("last-event-id") or 0)
        self.last_event_ids.append(request.headers.get("last-event-id", ""))
        return StreamingResponse(self._stream(after), media_type="text/event-stream")

    async def _stream(self, after: int) -> AsyncIterator[bytes]:
        end = ("job.failed", self.job_error) if self.job_error else ("job.completed", {})
        events: list[tuple[str, Any]] = [
            ("job.started", {}),
            ("job.progress", {"stage": "transcribe", "percent": 20}),
            ("line.ready", {"language": "es", "start_ms": 0, "text": "hola"}),
            ("job.progress", {"stage": "mix", "percent": 90, "language": "es"}),
        ]
        if self.runs_forever:
            yield b": waiting\n\n"
            await asyncio.sleep(3600)
        for number, (kind, data) in enumerate([*events, end], 1):
            if number <= after:
                continue
            yield f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()
            if number == self.cut_stream_after and not after:
                raise ConnectionResetError

    async def _download(self, request: Request) -> Response:
        return JSONResponse({"items": [self._item(kind, language) for kind, language in self._contents()]})

    def _contents(self) -> dict[tuple[str, str | None], bytes]:
        metrics = {"planned": {"speed_p50": 1.02}, "measured": {"coverage": 1.0, "loudness_lufs": -20.0}}
        report = {"job_id": JOB, "languages": [{"language": "es", "metrics": metrics}]}
        return {
            ("video", "es"): b"video" * 100_000,
            ("captions_srt", "es"): b"1\n",
            ("captions_vtt", "en"): b"WEBVTT\n",
            ("report", None): json.dumps(report).encode(),
            ("manifest", None): b"{}",
            ("thumbnail", None): b"jpg",
        }

    def _item(self, kind: str, language: str | None) -> dict[str, Any]:
        content = self._contents()[kind, language]
        return {
            "kind": kind,
            "language": language,
            "filename": f"../../evil/{kind}.mp4",
            "content_type": "application/octet-stream",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "url": f"/storage/{kind}" if kind == "manifest" else f"{self.url}/storage/{kind}",
        }

    async def _storage(self, request: Request) -> Response:
        name = request.path_params["name"]
        self.signed_with_key |= "authorization" in request.headers
        if waiting := self.failures.get(f"{request.method} /storage/{name}"):
            await request.body()
            return waiting.pop(0)
        if request.method == "GET":
            return self._file(name)
        if request.method == "POST":
            form = await request.form()
            assert list(form) == ["policy", "file"]
            self.received[int(name)] = await form["file"].read()  # type: ignore[union-attr]
        else:
            self.received[int(name)] = await request.body()
        return Response(headers={"ETag": f'"{name}"'})

    def _file(self, kind: str) -> Response:
        content = next(data for (one, _), data in self._contents().items() if one == kind)
        if self.damage.get(kind):
            self.damage[kind] -= 1
            content = content[:-1] + b"?"
        return Response(content)


@pytest.fixture
async def rest() -> AsyncIterator[RestServer]:
    """The server, listening."""
    server = RestServer()
    listening = socket.create_server(("127.0.0.1", 0))
    server.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    running = uvicorn.Server(uvicorn.Config(server.app(), log_level="critical", timeout_graceful_shutdown=0))
    task = asyncio.create_task(running.serve(sockets=[listening]))
    try:
        yield server
    finally:
        running.should_exit = True
        await task


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A file to send; this server does not look inside."""
    path = tmp_path / "my talk.mp4"
    path.write_bytes(bytes(range(256)) * 10_000)
    return path


@pytest.fixture(name="problem")
def problem_fixture() -> Callable[..., Response]:
    """Makes an `application/problem+json` answer."""
    return problem


@pytest.fixture
def busy() -> Callable[[], Response]:
    """Makes a response with `Retry-After`."""
    return lambda: problem(503, "busy", "Full.")
