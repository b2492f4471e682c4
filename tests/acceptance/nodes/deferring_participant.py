"""A participant that completes some calls later, by callback, and refuses others.

It honours keys, and keeps the callback token of each accepted call. The orchestrator calls it
through the recording proxy, at `/deferring/...` of any participant.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from saga_orchestrator.tests.acceptance.deployment import Deployment

REPLIES: Final = {"/deferring/later": 202, "/deferring/never": 409}
ERRAND: Final = """
saga: errand
version: 1
steps:
  - name: book
    participant: order-service
    action: {path: /deferring/now}
    compensation: {path: /deferring/never}
  - {name: approve, wait_for: {signal: approval, timeout: 1h}}
  - {name: note, participant: order-service, action: {path: /deferring/now}, effect: none}
  - name: deliver
    participant: order-service
    action: {path: /deferring/later}
    completion: callback
    compensation: {path: /deferring/now}
"""


class DeferringParticipant:
    """`ledger` has the calls of all participants."""

    def __init__(self, ledger: list[dict[str, Any]]) -> None:
        self.ledger = ledger
        self.tokens: dict[str, str] = {}  # by saga
        self._seen: set[str] = set()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.deferring = self

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve while the block runs; yield the URL."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{self._server.server_port}"
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def complete_accepted(self, saga_id: str) -> str:
        """Record the effect of the accepted call; return the token for its callback."""
        key = f"{saga_id}/deliver/action"
        accepted = next(call for call in self.ledger if call["key"] == key)
        self.ledger.append({**accepted, "effect": True, "status": 200})
        return self.tokens[saga_id]

    def is_new(self, key: str) -> bool:
        new = key not in self._seen
        self._seen.add(key)
        return new


@contextmanager
def deferring_participant(deployment: Deployment) -> Iterator[DeferringParticipant]:
    """Run the participant behind the proxy, with the definition of errands registered."""
    deferring, usual = DeferringParticipant(deployment.proxy.ledger), deployment.proxy.upstreams
    with deferring.running() as url:
        deployment.proxy.upstreams = {**usual, "deferring": url}
        deployment.api.put("/definitions/errand/1", content=ERRAND, headers=YAML).raise_for_status()
        yield deferring
        deployment.proxy.upstreams = usual


YAML: Final = {"content-type": "application/yaml"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    deferring: DeferringParticipant


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        deferring = self.server.deferring
        if token := self.headers.get("Saga-Callback-Token"):
            deferring.tokens[self.headers["Saga-Id"]] = token
        self.send_response(REPLIES.get(self.path, 200))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        if not deferring.is_new(self.headers["Idempotency-Key"]):
            self.send_header("Idempotency-Replayed", "true")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Silent."""
