"""A connection of a client with limits in bytes and time, whatever serves what comes over it.

    socket ──> LimitedConnection ──> the protocol of the server ──> the application
                  reads where heads and bodies end                     │
                  └─────────── says when an answer is finished ────────┘

The server's protocol is held and not derived from: it is told what asyncio tells a protocol, and
nothing else is asked of it. A second parser finds where heads begin and end; without callbacks for
what stands in them it takes less than a microsecond a request.
"""

from __future__ import annotations

import asyncio
from copy import copy
from typing import Any, Final, cast
from weakref import ReferenceType, ref

import httptools
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from .connection import Connection
from .errors import HeadTooLarge, HeadTooSlow, MalformedRequest, RequestRefused, TooManyConnections
from .open_connections import Limits, OpenConnections, most_connections
from .problems import written_problem

SHARED: Final = "saga.connections"  # in the state that uvicorn has for all connections of a server
THIS: Final = "saga.connection"  # in the state of one request
SLICE: Final = 16 * 1024  # bytes of what is looked at piece by piece


class Server:
    """What the connections of one server share."""

    def __init__(self, config: Config, connections: OpenConnections) -> None:
        """`config` is uvicorn's; requests pass to its application through `_Answering`."""
        self.connections = connections
        self.config = copy(config)
        self.config.loaded_app = _Answering(config.loaded_app)


class _Answering:
    """ASGI middleware that tells a connection when an answer is finished."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        this: ReferenceType[LimitedConnection] = scope["state"].pop(THIS)
        try:
            await self._app(scope, receive, send)
        finally:
            if (connection := this()) is not None:
                connection.answered()


class LimitedConnection(asyncio.Protocol):
    """For uvicorn's setting `http`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        loop = _loop or asyncio.get_running_loop()
        server: Server | None = app_state.get(SHARED)
        if server is None:
            if not config.loaded:
                config.load()
            connections = OpenConnections(loop, Limits(), most_connections())
            server = app_state[SHARED] = Server(config, connections)
        self._connections, self._limits = server.connections, server.connections.limits
        self._idle = server.connections.idle
        self._most_head_bytes = self._limits.head_bytes
        self._headers = server_state.default_headers
        state = {**app_state, THIS: ref(self)}  # a weak one: no answer keeps its connection
        del state[SHARED]
        self._server_protocol: asyncio.Protocol = Connection(
            config=server.config, server_state=server_state, app_state=state, _loop=_loop
        )
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._parser: httptools.HttpRequestParser | None = None  # none: what comes is thrown away
        self._is_admitted = False  # and not lost
        self._heads = self._requests = 0  # that have come whole; in a body they differ
        self._is_in_head = False  # of which something has come in packets of its own
        self._head_bytes = 0
        self._term_of: tuple[bool, int] | None = None  # the part of a request that must come soon
        self._open = 0  # requests that were passed on, and are not answered yet
        self._refusal: RequestRefused | None = None
        self._is_over = False  # hung up on once all is answered

    # What asyncio tells a protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one in all but its class.
        self._transport = transport = cast(asyncio.Transport, transport)
        if not self._connections.admit(self):
            transport.write(written_problem(TooManyConnections(), self._headers))
            transport.close()
            return
        self._parser = httptools.HttpRequestParser(self)
        # As uvicorn has its own: what comes behind a last request is no error.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._is_admitted = True
        self._connections.must_say(self, self._limits.silent_seconds)
        self._term_of = (False, 0)
        self._server_protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._head_bytes + len(data) <= self._most_head_bytes:
            self._take(data)
            return
        for start in range(0, len(data), SLICE):
            self._take(data[start : start + SLICE])

    def eof_received(self) -> bool | None:
        return self._server_protocol.eof_received()

    def pause_writing(self) -> None:
        self._connections.must_take(self, self._limits.write_seconds)
        self._server_protocol.pause_writing()

    def resume_writing(self) -> None:
        self._connections.has_taken(self)
        self._server_protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.forget(self)
        if self._is_admitted:
            self._is_admitted = False
            self._server_protocol.connection_lost(exc)
        self._parser = None  # no circle is left for the collector

    # What the parser tells.

    def on_headers_complete(self) -> None:
        self._heads += 1

    def on_message_complete(self) -> None:
        self._requests += 1

    @property
    def _is_in_body(self) -> bool:
        return self._heads > self._requests

    # What the application and the other connections tell.

    def answered(self) -> None:
        self._open -= 1
        if self._open:
            return
        if self._refusal is not None:
            self._hang_up(self._refusal)
        elif self._is_over:
            self._transport.close()
        elif self._is_admitted:
            self._idle[self] = None

    def read_too_late(self) -> None:
        if self._refusal is not None:
            self._transport.abort()
        elif self._open > self._is_in_body:
            # An earlier request is being answered, and nothing may have been read meanwhile.
            self._connections.must_say(self, self._limits.head_seconds)
        elif self._is_in_head:
            self._refuse(HeadTooSlow(self._limits.head_seconds))
        else:
            self._transport.close()

    def write_too_late(self) -> None:
        self._transport.abort()

    def make_room(self) -> None:
        # Not closed: that would wait for the client to take what it was sent, and it may never.
        self._is_over = True
        self._transport.abort()

    def _take(self, data: bytes) -> None:
        if self._parser is None:
            return
        heads, requests = self._heads, self._requests
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing else is spoken here: the request is answered as if it had not asked for it.
            self._parser, self._is_over = None, True
        except httptools.HttpParserError as error:
            self._parser = None
            if self._requests == requests:
                self._heads = heads  # this one is not passed on
                self._refuse(MalformedRequest(f"it cannot be read: {error}"))
                return
            self._is_over = True  # what came before it in the same packet is for the server
        if begun := self._heads - heads:
            if not self._open:
                self._idle.pop(self, None)
            self._open += begun
            self._head_bytes, self._is_in_head = 0, False
        elif heads == requests:
            self._is_in_head = True
            self._head_bytes += len(data)
            if self._head_bytes > self._most_head_bytes:
                self._refuse(HeadTooLarge(f"{self._most_head_bytes} bytes"))
                return
        if self._term_of is not None or self._is_in_head or self._heads != self._requests:
            self._set_term()
        self._server_protocol.data_received(data)

    def _set_term(self) -> None:
        """By when the part that is under way must have come."""
        if not self._is_in_head and not self._is_in_body:
            self._term_of = None
            self._connections.has_said(self)
        elif self._term_of != (part := (self._is_in_head, self._heads)):
            self._term_of, limits = part, self._limits
            within = limits.head_seconds if self._is_in_head else limits.body_seconds
            self._connections.must_say(self, within)

    def _refuse(self, error: RequestRefused) -> None:
        """Once all that came before is answered."""
        self._parser, self._refusal = None, error
        self._connections.has_said(self)
        if self._open <= self._is_in_body:
            self._hang_up(error)

    def _hang_up(self, error: RequestRefused) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(written_problem(error, self._headers))
        if self._open or not self._transport.can_write_eof():
            self._transport.close()  # the application learns that no body comes
        else:
            # What the client still sends is read and thrown away: hung up on at once, it would see
            # a broken connection and no answer.
            self._transport.write_eof()
            self._connections.must_say(self, self._limits.linger_seconds)
