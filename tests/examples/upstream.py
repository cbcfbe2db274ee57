"""A provider on 127.0.0.1: OpenAI's chat completions, whole, streamed, or refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.fakes.openai_http import CHAT, chat_sse


class Provider(BaseHTTPRequestHandler):
    """Answers as the model's name says: `limited` is refused the first time, others never."""

    refusals_left = 1

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["model"] == "limited" and Provider.refusals_left:
            Provider.refusals_left -= 1
            self._answer(429, "application/json", b'{"error": {"code": "rate_limit_exceeded"}}')
        elif asked.get("stream"):
            self._answer(200, "text/event-stream", chat_sse().encode())
        else:
            self._answer(200, "application/json", json.dumps(CHAT).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def provider() -> Iterator[str]:
    """Address of a running provider."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
