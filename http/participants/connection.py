"""One HTTP/1.1 connection: one call at a time, and what is certain about its outcome.

The line between "not sent" and "lost" is `transport.write`: an error raised before it means that no
byte left, an error raised after it that one may have left, even if the kernel dropped it all. There
is one deadline for write, wait and read together, because a response that trickles in outlives any
limit on a single read. Deadlines are in the event loop's `time()`. Because nearly every call ends
in time, a connection has one timer for many calls, which checks only when it is due whether the
newest call is late.

One error after `transport.write` still proves that nothing was done. In TLS 1.3 a client
may send before the server has looked at the client's certificate. If the server then refuses the
certificate, or that there is none, it has read nothing of the request: it must finish the handshake
first (RFC 8446, section 4.4). Its alert is encrypted, so it comes from the server. It
proves nothing once a byte of a reply has come, or if certificates may be asked for later
(`post_handshake_auth`).
"""

from __future__ import annotations

import asyncio
import select
import ssl
from typing import cast

import httpx

from ...fsm.call_outcome import Response
from .response_parser import ResponseHeadCache, ResponseParser
from .system_errors import describe_os_error

# OpenSSL's names of the alerts about the certificate of the peer.
CERTIFICATE_ALERTS = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
CLOCK_TICK_SECONDS = 0.001  # seconds that uvloop's clock can be behind its timers


class Connection(asyncio.Protocol):
    """A connection made by `loop.create_connection`, for one call at a time while it is clean."""

    __slots__ = (
        "_closed",
        "_deadline",
        "_handshake_may_fail",
        "_loop",
        "_poll",
        "_reader",
        "_timer",
        "_timer_due",
        "_transport",
        "_waiter",
        "idle_since",
        "use_until",
    )

    _transport: asyncio.Transport

    def __init__(
        self, loop: asyncio.AbstractEventLoop, max_body: int, known_heads: ResponseHeadCache
    ) -> None:
        self._loop = loop
        self._reader = ResponseParser(max_body, known_heads)
        self._waiter: asyncio.Future[Response] | None = None
        self._closed: asyncio.Future[None] = loop.create_future()
        self._poll = select.poll()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = self._timer_due = 0.0
        self._handshake_may_fail = False
        self.idle_since = 0.0
        self.use_until = 0.0

    def send(self, request: bytes, seconds: float) -> asyncio.Future[Response]:
        """Write the request; return its future response. An error makes the connection unclean."""
        if self._transport.is_closing():
            raise httpx.ConnectError("the connection was closed before the request was written")
        if seconds <= 0:
            raise httpx.ConnectTimeout("no time was left to send the request")
        self._reader.begin(head_only=request.startswith(b"HEAD "))
        waiter = self._waiter = self._loop.create_future()
        deadline = self._deadline = self._loop.time() + seconds
        # The timer that an earlier call has left behind serves, unless it is due too late.
        if self._timer is None or self._timer_due > deadline:
            self._set_timer()
        self._transport.write(request)
        return waiter

    def is_clean(self) -> bool:
        """True if the last call ended so that another may follow."""
        return (
            self._reader.keep_alive
            and not self._transport.is_closing()
            and self._transport.get_write_buffer_size() == 0
        )

    def is_fresh(self) -> bool:
        """True if an idle connection is still silent and open.

        The event loop may not have seen yet that the peer has closed; the kernel has.
        """
        return not self._transport.is_closing() and not self._poll.poll(0)

    def abort(self) -> None:
        """Drop the connection and what is still buffered."""
        self._transport.abort()

    async def wait_closed(self) -> None:
        await self._closed

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if not self._has_waiter():
            return
        if self._loop.time() < self._deadline - CLOCK_TICK_SECONDS:
            self._set_timer()
        else:
            self._fail(httpx.ReadTimeout("no complete reply within the call's timeout"))

    def _has_waiter(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _fail(self, error: httpx.TransportError) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's, so this cannot be checked.
        self._transport = cast(asyncio.Transport, transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is not None:
            only_now = not tls.context.post_handshake_auth
            self._handshake_may_fail = tls.version() == "TLSv1.3" and only_now
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            self.abort()  # no call is in flight
            return
        self._handshake_may_fail = False
        try:
            reply = self._reader.feed(data)
        except httpx.RemoteProtocolError as error:
            self._fail(error)
        else:
            if reply is not None:
                self._waiter.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
        if self._handshake_may_fail and getattr(exc, "reason", None) in CERTIFICATE_ALERTS:
            self._fail(httpx.ConnectError(f"the handshake was refused, and nothing read: {exc}"))
        elif exc is not None:
            self._fail(httpx.ReadError(f"the connection broke: {describe_os_error(exc)}"))
        elif self._waiter is not None and not self._waiter.done():
            self._end_reply(self._waiter)

    def _end_reply(self, waiter: asyncio.Future[Response]) -> None:
        try:
            waiter.set_result(self._reader.finish())
        except httpx.RemoteProtocolError as error:
            waiter.set_exception(error)
