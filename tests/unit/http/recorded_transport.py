"""Connections without a network: a transport that records, a clock that is moved, an
application.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

LOOP_ITERATIONS: Final = 10  # more than any response here takes
HOST: Final = b"Host: saga\r\n"
GET: Final = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"
POST: Final = b"POST /a HTTP/1.1\r\n" + HOST
RESPONSES: Final = {
    "with length": Response("here", headers={"x-a": "\tb \xff"}),
    "last": Response("no", 413, {"Connection": "close"}),
    "chunked": Response("abc", headers={"content-length": "3", "transfer-encoding": "chunked"}),
}
REQUESTS: Final = {
    "get": [GET],
    "head": [b"HEAD /a HTTP/1.1\r\n" + HOST + b"\r\n"],
    "last": [b"GET /a HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"],
    "HTTP/1.0": [b"GET /a HTTP/1.0\r\n\r\n"],
    "path": [b"GET /a%20b/%C3%BC?q=%20&x HTTP/1.1\r\n" + HOST + b"\r\n"],
    "long path": [b"GET /" + b"a%20" * 200 + b" HTTP/1.1\r\n" + HOST + b"\r\n"],
    "in pieces": [GET[:7], GET[7:20], GET[20:]],
    "body": [POST + b"Content-Length: 3\r\n\r\nabc"],
    "body in pieces": [POST + b"Content-Length: 3\r\n\r\n", b"a", b"bc"],
    "chunks": [POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", b"1\r\nc\r\n0\r\n\r\n"],
    "expects 100": [POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n", b"abc"],
    "body beside expect": [POST + b"Content-Length: 3\r\nExpect: 100-Continue\r\n\r\nabc"],
    "pipelined": [GET * 3, GET],
    "pipelined bodies": [(POST + b"Content-Length: 1\r\n\r\nx") * 2],
}
UPGRADE: Final = b"GET /a HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


class RecordedTransport(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = self.aborted = self.ended = self.paused = False

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class VirtualClockLoop:
    """The running event loop, whose clock only the test moves."""

    def __init__(self) -> None:
        self.loop, self.now = asyncio.get_running_loop(), 0.0
        self.timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        self.timers.append(asyncio.TimerHandle(self.now + delay, callback, (), self.loop))
        return self.timers[-1]

    def call_soon(self, callback: Callable[[], object]) -> asyncio.Handle:
        return self.loop.call_soon(callback)

    def create_task(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self.loop.create_task(coroutine)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        while due := [timer for timer in self.timers if timer.when() <= self.now]:
            self.timers.remove(due[0])
            if not due[0].cancelled():
                due[0]._run()


class FixedApp:
    """An application that reads the whole body and gives one response to all requests."""

    def __init__(self, response: Response = RESPONSES["with length"]) -> None:
        self.response = response
        self.requests: list[tuple[str, bytes, bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.requests.append((scope["path"], scope["raw_path"], scope["query_string"], body))
        await self.response(scope, receive, send)


async def run_tasks() -> None:
    for _ in range(LOOP_ITERATIONS):
        await asyncio.sleep(0)
