"""Limits in bytes and time on the connections of clients, in front of uvicorn's own protocol.

    socket ──> LimitedConnection ──> uvicorn's protocol ──> the application
                  finds where heads and bodies end              │
                  └────── notices that a response is finished ──┘

A packet is passed on only if all of it can be read, and a head only when it is whole: what a client
is refused for is never executed.

It is for uvicorn's setting `http`. Every call of asyncio is passed on to uvicorn's protocol, of
which nothing is replaced; only its transport is ours (`joining_transport`). A second parser finds
where heads begin and end; without callbacks for their content it takes less than a microsecond a
request.
"""

from __future__ import annotations

import asyncio
import re
from copy import copy
from typing import Any, Final, cast
from weakref import ReferenceType, ref

import httptools
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from .joining_transport import JoiningTransport
from .open_connections import ConnectionLimits, OpenConnections, connection_limit
from .wire.errors import (
    HeadTooLarge,
    HeadTooSlow,
    MalformedRequest,
    RequestRefused,
    TooManyConnections,
)
from .wire.problems import render_raw_problem

SERVER_STATE_KEY: Final = "saga.connections"  # in the state that all connections of a server share
CONNECTION_STATE_KEY: Final = "saga.connection"  # in the state of one request
SLICE_BYTES: Final = 16 * 1024  # of long packets, which are parsed piece by piece
UPGRADE_LINE: Final = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)


class SharedState:
    """The state that all connections of one server share."""

    def __init__(self, config: Config, connections: OpenConnections) -> None:
        """`config` is uvicorn's; requests pass to its application through `_ResponseObserver`."""
        self.connections = connections
        self.config = copy(config)
        self.config.loaded_app = _ResponseObserver(config.loaded_app)


class _ResponseObserver:
    """ASGI middleware that notifies a connection when a response is finished."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reference: ReferenceType[LimitedConnection] = scope["state"].pop(CONNECTION_STATE_KEY)
        try:
            await self._app(scope, receive, send)
        finally:
            if (connection := reference()) is not None:
                connection.response_finished()


class LimitedConnection(asyncio.Protocol):
    """A connection whose client must send, and read, within limits."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        loop = _loop or asyncio.get_running_loop()
        shared: SharedState | None = app_state.get(SERVER_STATE_KEY)
        if shared is None:
            if not config.loaded:
                config.load()
            connections = OpenConnections(loop, ConnectionLimits(), connection_limit())
            shared = app_state[SERVER_STATE_KEY] = SharedState(config, connections)
        self._loop = loop
        self._connections, self._limits = shared.connections, shared.connections.limits
        self._idle = shared.connections.idle
        self._max_head_bytes = self._limits.head_bytes
        self._headers = server_state.default_headers
        # The reference is weak: a response under way does not keep its connection alive.
        state = {**app_state, CONNECTION_STATE_KEY: ref(self)}
        del state[SERVER_STATE_KEY]
        self._server_protocol: asyncio.Protocol = HttpToolsProtocol(
            config=shared.config, server_state=server_state, app_state=state, _loop=_loop
        )
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._parser: httptools.HttpRequestParser | None = None  # None: bytes are discarded
        self._is_admitted = False  # and its end not reported yet
        self._beginnings = 0  # of requests
        self._heads = self._requests = 0  # received whole; within a body they differ
        self._held_head = bytearray()  # the first packets of a head that is not whole yet
        self._is_in_head = False  # part of a head has come in packets of its own
        self._head_bytes = 0
        self._deadline_part: tuple[bool, int] | None = None  # the part the read deadline is for
        self._unanswered = 0  # requests passed on whose responses are not finished
        self._refusal: RequestRefused | None = None

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports, and ours, have the interface without the base class.
        transport = cast(asyncio.Transport, transport)
        transport = cast(asyncio.Transport, JoiningTransport(transport, self._loop))
        self._transport = transport
        if not self._connections.admit(self):
            transport.write(render_raw_problem(TooManyConnections(), self._headers))
            transport.close()
            return
        self._parser = self._new_parser()
        self._is_admitted = True
        self._connections.set_read_deadline(self, self._limits.silent_seconds)
        self._deadline_part = (False, 0)
        self._server_protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._head_bytes + len(data) <= self._max_head_bytes:
            self._feed(data)
            return
        for start in range(0, len(data), SLICE_BYTES):
            self._feed(data[start : start + SLICE_BYTES])

    def eof_received(self) -> bool | None:
        return self._server_protocol.eof_received()

    def pause_writing(self) -> None:
        self._connections.set_write_deadline(self, self._limits.write_seconds)
        self._server_protocol.pause_writing()

    def resume_writing(self) -> None:
        self._connections.clear_write_deadline(self)
        self._server_protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(self)
        if self._is_admitted:
            self._is_admitted = False
            self._server_protocol.connection_lost(exc)
        self._parser = None  # breaks the cycle of references between both

    # Called by the parser.

    def on_message_begin(self) -> None:
        self._beginnings += 1

    def on_headers_complete(self) -> None:
        self._heads += 1

    def on_message_complete(self) -> None:
        self._requests += 1

    @property
    def _is_in_body(self) -> bool:
        return self._heads > self._requests

    # Called by the application and by other connections.

    def response_finished(self) -> None:
        self._unanswered -= 1
        if self._refusal is not None:
            if self._unanswered <= self._is_in_body:
                self._close_with(self._refusal)
        elif not self._unanswered and self._is_admitted:
            self._idle[self] = None

    def on_read_timeout(self) -> None:
        if self._refusal is not None:
            self._transport.abort()
        elif self._unanswered > self._is_in_body:
            # The response to an earlier request is under way, and reading may be paused meanwhile.
            self._connections.set_read_deadline(self, self._limits.head_seconds)
        elif self._is_in_head:
            self._refuse(HeadTooSlow(self._limits.head_seconds))
        else:
            self._transport.close()

    def on_write_timeout(self) -> None:
        self._transport.abort()

    def evict(self) -> None:
        # `close` would wait for the client to read what it was sent, and it may never do so.
        self._transport.abort()

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # As in uvicorn's parser: bytes behind a last request are no error.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _feed(self, data: bytes) -> None:
        if self._parser is None:
            return
        beginnings, heads, requests = self._beginnings, self._heads, self._requests
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            is_first = self._heads == heads + 1 and (beginnings == requests or self._held_head)
            self._beginnings, self._heads, self._requests = requests, heads, requests
            self._feed_without_upgrade(data, upgrade.args[0] if is_first else 0)
            return
        except httptools.HttpParserError as error:
            # Nothing of this packet is passed on, or uvicorn would respond 400 at once, even before
            # the responses to earlier requests. A body that ends in it counts as not received.
            self._heads, self._requests = heads, requests
            self._refuse(MalformedRequest(f"it cannot be read: {error}"))
            return
        if new_requests := self._heads - heads:
            if not self._unanswered:
                self._idle.pop(self, None)
            self._unanswered += new_requests
            self._head_bytes, self._is_in_head = 0, False
            if self._held_head:
                data = bytes(self._held_head) + data
                self._held_head.clear()
        elif heads == requests:
            self._is_in_head = True
            self._head_bytes += len(data)
            if self._head_bytes > self._max_head_bytes:
                self._refuse(HeadTooLarge(f"{self._max_head_bytes} bytes"))
                return
            data = self._hold_head(data, beginnings == requests)
        if self._deadline_part is not None or self._is_in_head or self._heads != self._requests:
            self._update_read_deadline()
        self._server_protocol.data_received(data)

    def _hold_head(self, data: bytes, is_beginning: bool) -> bytes:
        """Keep part of a head until it is whole. Return what is passed on meanwhile.

        A head that began behind another request, in the same packet, is passed on as it comes.
        """
        if not is_beginning and not self._held_head:
            return data
        self._held_head += data
        return b""  # stops uvicorn's keep-alive timer all the same

    def _feed_without_upgrade(self, data: bytes, head_end: int) -> None:
        """Ignore that a request asks for another protocol, as RFC 9110 (7.8) lets a server do.

        Both parsers would take its body for the other protocol, so they get the head without the
        line. If the head does not begin where a packet does, or the method is CONNECT, the request
        is refused. `head_end` is where the head ends in `data`, or 0 if its beginning is not known.
        """
        head = bytes(self._held_head) + data[:head_end]
        without_upgrade = UPGRADE_LINE.sub(b"", head)
        if without_upgrade == head or not head_end:
            self._refuse(MalformedRequest("CONNECT, or Upgrade behind another request"))
            return
        self._held_head.clear()
        self._parser = self._new_parser()
        self._feed(without_upgrade + data[head_end:])

    def _update_read_deadline(self) -> None:
        """Set the deadline of the part of a request that is under way."""
        if not self._is_in_head and not self._is_in_body:
            self._deadline_part = None
            self._connections.clear_read_deadline(self)
        elif self._deadline_part != (part := (self._is_in_head, self._heads)):
            self._deadline_part, limits = part, self._limits
            within = limits.head_seconds if self._is_in_head else limits.body_seconds
            self._connections.set_read_deadline(self, within)

    def _refuse(self, error: RequestRefused) -> None:
        """Respond with `error` after the responses to all earlier requests."""
        self._parser, self._refusal = None, error
        self._connections.clear_read_deadline(self)
        if self._unanswered <= self._is_in_body:
            self._close_with(error)

    def _close_with(self, error: RequestRefused) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(render_raw_problem(error, self._headers))
        if self._unanswered or not self._transport.can_write_eof():
            self._transport.close()  # the application gets a disconnect instead of the body
        else:
            # What the client still sends is read and discarded: if the connection were closed at
            # once, it would see a broken connection and no response.
            self._transport.write_eof()
            self._connections.set_read_deadline(self, self._limits.linger_seconds)
