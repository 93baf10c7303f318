"""A local server of OpenAI's chat completions (schema: `vendor_schemas`); its model's replies are scripted."""

from __future__ import annotations

import json
import re
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from openai.types.chat import ChatCompletion
from pydantic import ValidationError

from tests.support.vendor_schemas import openai_chat


@dataclass(frozen=True)
class Reply:
    """A reply of the endpoint, as it stands on the wire."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    """The connection ends before the body does."""
    drips: bool = False
    """The body comes byte by byte and never ends."""


Model = Callable[[dict[str, Any]], "str | Reply"]
"""Gets the data of a request and gives the text of an answer, or a whole reply."""


def failure(status: int, code: str = "", **headers: str) -> Reply:
    """An error as the vendor writes it; the message repeats what was sent, as some vendors do."""
    error = {"message": "cannot do “the secret line”", "type": "error", "param": None, "code": code or None}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(json.dumps({"error": error}).encode(), status, named)


INPUT_TOKENS, OUTPUT_TOKENS = 100, 20
"""Those that every completion reports."""


def completion(content: str | None, finish: str = "stop", refusal: str | None = None) -> Reply:
    """A completion with one choice, checked against the vendor's type."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    choice = {"index": 0, "finish_reason": finish, "logprobs": None, "message": message}
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "test-model", "choices": [choice]}
    body["usage"] = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS, "total_tokens": 120}
    ChatCompletion.model_validate(body)
    return Reply(json.dumps(body).encode())


def translated(data: dict[str, Any], texts: Callable[[str], Mapping[str, str]] | None = None) -> str:
    """
    The answer of an obedient model: each line in capitals, or as `texts` gives it by the names of the proposals; terms
    as the glossary wants them; words with `q` are unknown to it.
    """
    lines = []
    for line in data["lines"]:
        text = line["text"]
        given = texts(text) if texts else dict.fromkeys(("short", "natural", "full"), shout(text, data["glossary"]))
        unknown = list(dict.fromkeys(word for word in re.findall(r"\w+", text) if "q" in word))
        lines.append({"id": line["id"], **given, "untranslated": unknown})
    return json.dumps({"lines": lines})


def shout(text: str, glossary: list[dict[str, str]]) -> str:
    """The text in capitals, its terms by the glossary."""
    fixed = {term["source"].lower(): term["target"] for term in glossary}
    if not fixed:
        return text.upper()
    pieces = re.split("(" + "|".join(map(re.escape, fixed)) + ")", text, flags=re.IGNORECASE)
    return "".join(fixed.get(piece.lower(), piece.upper()) for piece in pieces)


def obedient(data: dict[str, Any]) -> str:
    """A model that does what the instructions want."""
    if "lines" in data:
        return translated(data)
    return json.dumps({"summary": "A talk about houses.", "terms": [{"source": "house", "target": "casa"}]})


@dataclass
class ChatServer:
    """A running server: the requests it got, and its script. At its end no request may have broken the schema."""

    url: str
    model: Model = obedient
    """Gives the replies after those of the script."""
    script: deque[Reply | Model] = field(default_factory=deque)
    """One for each request, in order."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Bodies, each valid by the vendor's own type."""
    keys: list[str] = field(default_factory=list)
    """Authorization headers."""
    problems: list[str] = field(default_factory=list)
    """Requests that the vendor's schema does not allow."""
    closed: threading.Event = field(default_factory=threading.Event)
    """Set when a caller closed its connection during a dripping body."""

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The data of each request."""
        return [json.loads(request["messages"][1]["content"]) for request in self.requests]

    @property
    def rules(self) -> list[str]:
        """The instructions of each request."""
        return [request["messages"][0]["content"] for request in self.requests]

    def reset(self) -> None:
        """Forgets requests and script."""
        self.model, self.closed = obedient, threading.Event()
        for one in (self.script, self.requests, self.keys):
            one.clear()

    def reply(self, body: dict[str, Any]) -> Reply:
        """The next reply."""
        self.requests.append(body)
        step = self.script.popleft() if self.script else self.model
        given = step if isinstance(step, Reply) else step(json.loads(body["messages"][1]["content"]))
        return given if isinstance(given, Reply) else completion(given)


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """A server on a free port of loopback."""
    openai_chat()  # takes half a second once, which is not to count in a caller's deadline
    server = _Server(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    chat = ChatServer(f"http://127.0.0.1:{server.server_port}/v1")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"chat": chat})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield chat
    finally:
        server.shutdown()
        server.server_close()
    assert chat.problems == []


class _Server(ThreadingHTTPServer):
    def handle_error(self, *where: Any) -> None:
        """Prints what failed, but not that a caller left."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*where)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    chat: ChatServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/chat/completions"
        self.chat.keys.append(self.headers.get("Authorization", ""))
        reply = self._reply(body)
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body) + (1 << 20 if reply.cut or reply.drips else 0)))
        self.end_headers()
        self.wfile.write(reply.body)
        if reply.cut:
            self.close_connection = True
        if reply.drips:
            self._drip()

    def _reply(self, body: bytes) -> Reply:
        try:
            openai_chat().validate_json(body, strict=True)
        except ValidationError as error:
            self.chat.problems.append(repr(error))
            return failure(400, "invalid_request")
        return self.chat.reply(json.loads(body))

    def _drip(self) -> None:
        """Sends a space now and then, until the caller closes the connection."""
        self.close_connection = True
        with suppress(OSError):
            while not select.select([self.connection], [], [], 0.02)[0]:
                self.wfile.write(b" ")
        self.chat.closed.set()

    def log_message(self, *_facts: object) -> None:
        """Prints nothing."""
