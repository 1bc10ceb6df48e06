"""Receive webhooks: a small HTTP server that answers as told and keeps what it took."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Receiver", "Request"]


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent in it."""
        event: dict[str, Any] = json.loads(self.body)
        return event


class Receiver:
    """An HTTP server on loopback; `answer` says the status of each request, in turn."""

    def __init__(self, answer: Callable[[Request], int] = lambda _: 204) -> None:
        self.requests: list[Request] = []
        self.taken: list[Request] = []
        self.answer = answer
        self._news = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.take(Request(dict(self.headers), body))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", receiver.url)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def take(self, request: Request) -> int:
        """Take a request, or not."""
        with self._news:
            status = self.answer(request)
            self.requests.append(request)
            if 200 <= status < 300:
                self.taken.append(request)
            self._news.notify_all()
        return status

    def wait(self, is_enough: Callable[[Receiver], bool]) -> None:
        """Wait until enough has come.

        Raises:
            TimeoutError: it did not within two minutes.
        """
        with self._news:
            if not self._news.wait_for(lambda: is_enough(self), 120):
                raise TimeoutError(f"{len(self.taken)} of {len(self.requests)} requests were taken")

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
