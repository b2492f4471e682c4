"""A participant whose replies are written into the paths that it is called at.

    /replies/503/200        503 to the first request with a key, 200 to all later ones
    /replies/hang           no reply
    /replies/huge           a reply that is too large; `empty` has no body
    /replies/early          a callback, and 202 after it
    /status/not_done/done   the same for questions about the outcome of a call

At any other path it does what it is asked. An `agreeable` participant does whatever it is asked,
whatever the path says.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Final

import httpx

OUTPUT: Final = b'{"id": "made-by-participant", "order_id": 123, "payment_id": 5}'
TOO_LARGE: Final = b'"%s"' % (b"x" * 1_100_000)


@dataclass(slots=True)
class ScriptedParticipant:
    """`tokens` are the callback tokens received, by saga and step. `service_url` is called back."""

    agreeable: bool
    url: str = ""
    service_url: str = ""
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    webhooks: list[str] = field(default_factory=list)
    _requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    _closing: Event = field(default_factory=Event)

    @contextmanager
    def running(self) -> Iterator[ScriptedParticipant]:
        participant = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = participant.reply(self.path, self.headers)
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                return

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            self.url = f"http://127.0.0.1:{server.server_port}"
            serving = Thread(target=server.serve_forever)
            serving.start()
            try:
                yield self
            finally:
                self._closing.set()
                server.shutdown()
                serving.join()

    def reply(self, path: str, headers: Message) -> tuple[int | None, bytes]:
        """Return status and body; None as the status of a request that gets no reply."""
        kind, *script = path.strip("/").split("/")
        if kind == "webhook":
            self.webhooks.append(headers.get("Saga-Id", ""))
            return 204, b""
        saga_id, step = headers.get("Saga-Id", ""), headers.get("Saga-Step", "")
        if token := headers.get("Saga-Callback-Token"):
            self.tokens[saga_id, step] = token
        if self.agreeable or kind not in ("replies", "status"):
            return 200, b'{"status": "done"}' if kind == "status" else OUTPUT
        request = (headers.get("Idempotency-Key", saga_id), path)
        word = script[min(self._requests[request], len(script) - 1)]
        self._requests[request] += 1
        if kind == "status":
            return 200, json.dumps({"status": word}).encode()
        return self._reply_by_word(word, saga_id, step)

    def complete(self, saga_id: str, step: str) -> httpx.Response:
        """Call the service back: the step is done."""
        headers = {"Saga-Callback-Token": self.tokens[saga_id, step]}
        url = f"{self.service_url}/sagas/{saga_id}/steps/{step}/complete"
        return httpx.post(url, json={"output": {"by": "callback"}}, headers=headers)

    def _reply_by_word(self, word: str, saga_id: str, step: str) -> tuple[int | None, bytes]:
        match word:
            case "hang":
                self._closing.wait()
                return None, b""
            case "empty":
                return 200, b""
            case "huge":
                return 200, TOO_LARGE
            case "early":
                self.complete(saga_id, step).raise_for_status()
                return 202, b"{}"
            case _:
                body = OUTPUT if word == "200" else b'{"detail": "%s, as written"}' % word.encode()
                return int(word), body
