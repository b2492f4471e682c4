"""A connection of a client: uvicorn's, with a lighter way for what is there as a whole.

uvicorn serves any application, piece by piece: it looks at each header of an answer on its own, and
hands head and body to the transport one by one, which uvloop sends at once: two system calls, two
packets, and a client that is woken twice. Here an answer that is whole is checked and written in
one go. Whatever is unusual is left to uvicorn's own way.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import httptools
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from .whole import EXTENSION

# A header may hold no others: what is left of a head without them are the ends of its lines. The
# names are the application's own, and not looked at more closely than the values.
SENDABLE: Final = bytes({0x09, *range(0x20, 0x7F), *range(0x80, 0x100)})
COLON: Final = b": "
END: Final = b"\r\n"
WITHOUT_BODY: Final = (204, 304)
URLS_REMEMBERED: Final = 256
LONGEST_REMEMBERED: Final = 200  # bytes; a client may send one of any length


class Exchange(RequestResponseCycle):
    """One request and its answer."""

    disconnected = False
    more_body = True
    response_started = False
    response_complete = False
    chunked_encoding = None
    expected_content_length = 0

    def __init__(self, connection: Connection, keep_alive: bool) -> None:
        self.scope, self.transport = connection.scope, connection.transport
        self.flow, self.logger = connection.flow, connection.logger
        self.access_logger, self.access_log = connection.access_logger, connection.access_log
        self.default_headers = connection.server_state.default_headers
        self.message_event = asyncio.Event()
        self._connection = connection
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = connection.expect_100_continue
        self.body = bytearray()

    def on_response(self) -> None:
        self.forget_scope()
        self._connection.on_response_complete()

    def forget_scope(self) -> None:
        """Which names us: no circle is left for the collector."""
        self.scope.pop("extensions", None)

    def take_body(self, most: int) -> bytes | None:
        if self.more_body or self.waiting_for_100_continue or self.disconnected:
            return None
        if len(self.body) > most:
            return None
        self.flow.resume_reading()
        body, self.body = bytes(self.body), bytearray()  # an idle connection holds none
        return body

    def answer(self, response: Response) -> bool:
        if self.transport.is_closing():
            self.disconnected = True  # of those that wait in line uvicorn says so to the last only
            self.forget_scope()
        if self.disconnected or self.flow.write_paused or self.access_log:
            return False
        head = self._head(response)
        if head is None:
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(head if self.scope["method"] == "HEAD" else head + response.body)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True

    def _head(self, response: Response) -> bytes | None:
        """None if it is for uvicorn to write, or to refuse."""
        headers = [*self.default_headers, *response.raw_headers]
        named = dict(headers)
        if not named or b"transfer-encoding" in named:
            return None
        length = named.get(b"content-length")
        if length is None:
            if response.body or response.status_code not in WITHOUT_BODY:
                return None
        elif int(length) != len(response.body):
            return None
        match named.get(b"connection"):
            case None if not self.keep_alive:
                headers.append((b"connection", b"close"))
            case None:
                pass
            case b"close":
                self.keep_alive = False
            case _:
                return None
        lines = END.join(map(COLON.join, headers))
        if lines.translate(None, SENDABLE) != END * (len(headers) - 1):
            return None
        return b"%b%b\r\n\r\n" % (STATUS_LINE[response.status_code], lines)


class Connection(HttpToolsProtocol):
    _idle_since: float | None = None  # on the loop's clock

    def on_headers_complete(self) -> None:
        parser = self.parser
        if self.limit_concurrency is not None or parser.should_upgrade():
            super().on_headers_complete()
            return
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["method"] = parser.get_method().decode("ascii")
        version = scope["http_version"] = parser.get_http_version()
        parsed = _remembered if len(self.url) <= LONGEST_REMEMBERED else _parsed
        path, raw_path, scope["query_string"] = parsed(self.url)
        scope["path"] = self.root_path + path
        scope["raw_path"] = self.root_path.encode("ascii") + raw_path
        earlier = self.cycle
        self.cycle = exchange = Exchange(self, version != "1.0" and parser.should_keep_alive())
        scope["extensions"] = {EXTENSION: exchange}
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(exchange, self.app)
        else:  # one at a time, in the order in which they came
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_after(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """One timer that is moved when it rings, instead of one a request."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_after(left)
        else:
            super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        # No circle is left for the collector.
        for exchange in (self.cycle, *(waiting for waiting, _ in self.pipeline)):
            if isinstance(exchange, Exchange):
                exchange.forget_scope()
        self.cycle = None  # type: ignore[assignment]
        self.pipeline.clear()

    def _unset_keepalive_if_required(self) -> None:
        """uvicorn says so when something has come."""
        self._idle_since = None

    def _look_after(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )


def _parsed(url: bytes) -> tuple[str, bytes, bytes]:
    """Path, the path as it was sent, query."""
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return unquote(path) if "%" in path else path, parsed.path, parsed.query or b""


_remembered = lru_cache(URLS_REMEMBERED)(_parsed)
