"""An example of a server for the engine `custom`, around espeak-ng: `python docs/custom_synthesis_server.py 9000`."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "any word"
"""Set CUSTOM_TTS_KEY to it; CUSTOM_TTS_SAMPLE_RATE to 22050, the rate of espeak-ng."""


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of `docs/custom-synthesis.md`."""

    def do_POST(self) -> None:
        """Speaks a line, or several."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers["authorization"] != f"Bearer {KEY}":
            self._send(401, b"")
        elif "lines" in asked:
            self._send(200, json.dumps({"lines": list(map(answer, asked["lines"]))}).encode(), "application/json")
        elif asked["sample_rate"] != 22_050:
            self._send(422, b"")
        else:
            self._send(200, spoken(asked["text"], asked["language"], asked["rate"]))

    def _send(self, status: int, body: bytes, kind: str = "audio/wav") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def answer(line: dict[str, Any]) -> dict[str, object]:
    """One of several lines; a model on a GPU would compute all of them at once."""
    if line["sample_rate"] != 22_050:
        return {"status": 422}
    return {"audio": base64.b64encode(spoken(line["text"], line["language"], line["rate"])).decode()}


def spoken(text: str, language: str, rate: float) -> bytes:
    """A WAV file; by way of a file, because the header of one that goes through a pipe has no length."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        command = ["espeak-ng", "-v", language, "-s", str(round(175 * rate)), "-b", "1", "--stdin", "-w", file.name]
        subprocess.run(command, input=text.encode(), check=True)
        return file.read()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
