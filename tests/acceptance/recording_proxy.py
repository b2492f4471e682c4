"""A proxy between the orchestrator and the participants, which records every call, and holds calls
back where a test wants it.

    orchestrator ──> ARRIVAL ──> participant ──> EFFECT ──> orchestrator

A call that is held at its arrival has had no effect yet; the reply to a call that is held after its
effect has not reached the orchestrator. A held call is released, or dropped with its connection.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from typing import Any

import httpx
from saga_orchestrator.tests.support.waiting import TIME_LIMIT, wait_for_event, wait_until


class HoldPoint(StrEnum):
    ARRIVAL = "arrival"
    EFFECT = "effect"


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call of the orchestrator. `call` is `<step>/<action|compensation>`."""

    saga_id: str
    call: str
    key: str
    attempt: str
    epoch: int


@dataclass(slots=True)
class Hold:
    """A point at which calls of one kind stop until the hold is over."""

    call: str
    point: HoldPoint
    max_calls: float = inf
    over: threading.Event = field(default_factory=threading.Event)
    dropping: bool = False
    waiting: int = 0

    def await_call(self) -> None:
        self.await_calls(1)

    def await_calls(self, number: int) -> None:
        wait_until(
            lambda: self.waiting >= number, f"{number} times {self.call} held at {self.point}"
        )

    def hold_no_more(self) -> None:
        """Let later calls pass."""
        self.max_calls = self.waiting

    def release(self) -> None:
        """Let the held calls go on."""
        self.over.set()

    def drop(self) -> None:
        """Close the connections of the held calls, unless they were released before."""
        self.dropping = not self.over.is_set()
        self.over.set()


class ConnectionDropped(Exception):
    """The connection ends without a reply."""


class RecordingProxy:
    """`upstreams` are the base URLs of the participants, by the first segment of the path."""

    def __init__(self, upstreams: Mapping[str, str]) -> None:
        self.upstreams = upstreams
        self.calls: list[RecordedCall] = []
        self.ledger: list[dict[str, Any]] = []
        self.lost: list[dict[str, Any]] = []  # calls without a reply
        self.holds: list[Hold] = []
        self._lock = threading.Lock()
        self._web = httpx.Client(trust_env=False, timeout=TIME_LIMIT.total_seconds())
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[RecordingProxy]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self.drop_all()
            self._server.shutdown()
            thread.join()
            self._server.server_close()
            self._web.close()

    @contextmanager
    def hold(self, call: str, point: HoldPoint) -> Iterator[Hold]:
        """Hold every such call at `point`; drop those still held at the end of the block."""
        hold = Hold(call, point)
        self.holds.append(hold)
        try:
            yield hold
        finally:
            self.holds.remove(hold)
            hold.drop()

    def drop_all(self) -> None:
        """Drop all held calls."""
        for hold in list(self.holds):
            hold.drop()

    def calls_of(self, saga_id: str) -> list[RecordedCall]:
        with self._lock:
            return [call for call in self.calls if call.saga_id == saga_id]

    def forward(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Forward a call and return the reply. Raises Dropped if there is none."""
        seen = recorded_call(headers)
        with self._lock:
            self.calls.append(seen)
        self._hold_if_asked(seen, HoldPoint.ARRIVAL)
        upstream = self.upstreams[path.split("/")[1]]
        kept = {
            name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP_HEADERS
        }
        try:
            reply = self._web.request(method, upstream + path, content=body, headers=kept)
        except httpx.TransportError:
            with self._lock:
                self.lost.append(ledger_line(method, path, headers, NO_REPLY))
            raise ConnectionDropped from None
        with self._lock:
            self.ledger.append(ledger_line(method, path, headers, reply))
        self._hold_if_asked(seen, HoldPoint.EFFECT)
        return Reply(reply.status_code, reply.content)

    def _hold_if_asked(self, seen: RecordedCall, point: HoldPoint) -> None:
        for hold in list(self.holds):
            if (hold.call, hold.point) == (seen.call, point) and hold.waiting < hold.max_calls:
                self._wait(hold)

    def _wait(self, hold: Hold) -> None:
        with self._lock:
            hold.waiting += 1
        wait_for_event(hold.over, "the hold is over")
        if hold.dropping:
            raise ConnectionDropped


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes


NO_REPLY = httpx.Response(httpx.codes.BAD_GATEWAY)
HOP_BY_HOP_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding"})


def recorded_call(headers: Mapping[str, str]) -> RecordedCall:
    key = headers["Idempotency-Key"]
    call = key.partition("/")[2]
    epoch = int(headers["Saga-Epoch"])
    return RecordedCall(headers["Saga-Id"], call, key, headers["Saga-Attempt"], epoch)


def ledger_line(
    method: str, path: str, headers: Mapping[str, str], reply: httpx.Response
) -> dict[str, Any]:
    """What its participant would have written down of the call. What it only accepts it has not
    done yet."""
    first = "idempotency-replayed" not in reply.headers
    done = reply.is_success and reply.status_code != httpx.codes.ACCEPTED
    return {
        "at": datetime.now(UTC).isoformat(),
        "participant": f"{path.split('/')[1].removesuffix('s')}-service",
        "key": headers["Idempotency-Key"],
        "saga_id": headers["Saga-Id"],
        "step": headers["Saga-Step"],
        "direction": headers["Idempotency-Key"].rpartition("/")[2],
        "attempt": int(headers["Saga-Attempt"]),
        "epoch": int(headers["Saga-Epoch"]),
        "method": method,
        "path": path,
        "effect": first and done,
        "status": reply.status_code,
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    proxy: RecordingProxy

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # the orchestrator was killed
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        headers = httpx.Headers(self.headers.items())
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            reply = self.server.proxy.forward("POST", self.path, headers, body)
        except ConnectionDropped:
            self.close_connection = True
            return
        self._answer(reply)

    def _answer(self, reply: Reply) -> None:
        try:
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
        except ConnectionError:
            self.close_connection = True  # the orchestrator was killed

    def log_message(self, *_: object) -> None:
        """Silent."""
