"""HTTP/1.1 to participants over asyncio, which distinguishes "certainly not sent" from "maybe
done".

`httpx.ConnectError`, `ConnectTimeout` and `PoolTimeout` (and `LocalProtocolError`,
`UnsupportedProtocol` for what must not be sent at all) are raised only while no byte of the
request has left, or if it was refused unread with the TLS handshake. Whatever goes wrong later is a
`ReadError`, `ReadTimeout` or `RemoteProtocolError`. It follows no redirects, keeps no cookies and
repeats nothing: whether a call may be repeated is for the saga to decide.

`exchange` takes the request as bytes, because building httpx's request and response costs more than
the call itself. `handle_async_request` offers the same through httpx's own interface.
"""

from __future__ import annotations

import ssl
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import httpx

from ...fsm.call_outcome import Response
from ...fsm.definitions.reserved_headers import FRAMING_HEADERS
from .base_url import Origin
from .pool import ConnectTimeouts, Pool, TransportLimits
from .request_encoder import encode
from .resolver import AddressPolicy, Resolver


class ParticipantTransport(httpx.AsyncBaseTransport):
    """Pools of connections by origin. Belongs to the event loop that first uses it.

    `tls` replaces the default context, which trusts what httpx trusts. Without an `address_policy`
    every address may be connected to. Without a `resolver` the transport has its own.
    """

    def __init__(
        self,
        limits: TransportLimits | None = None,
        tls: ssl.SSLContext | None = None,
        address_policy: AddressPolicy | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._limits = limits or TransportLimits()
        self._resolver = resolver or Resolver()
        self._tls = tls
        self._address_policy = address_policy
        self._pools: dict[Origin, Pool] = {}
        self._is_open = True

    def exchange(
        self,
        origin: Origin,
        request: bytes,
        within: timedelta,
        patience: ConnectTimeouts | None = None,
    ) -> Coroutine[Any, Any, Response]:
        """Send the encoded `request` to `origin`, and return its complete response.

        Raises httpx.TransportError as the module describes.
        """
        return self.pool(origin).exchange(
            request, within, patience or self._limits.connect_timeouts
        )

    def pool(self, origin: Origin) -> Pool:
        """Return the pool of `origin`. Raises httpx.ConnectError if the transport is closed."""
        if not self._is_open:
            raise httpx.ConnectError("the transport is closed")
        return self._pools.get(origin) or self._new_pool(origin)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Do the same for httpx. The request's read timeout limits the whole call, not one read.

        httpx cannot express a response without its end: one that is too large raises
        RemoteProtocolError.
        """
        body = await request.aread()
        seconds = request.extensions.get("timeout", {})
        whole = seconds.get("read")
        reply = await self.exchange(
            _origin(request.url),
            _encode(request, body),
            self._limits.call_timeout if whole is None else timedelta(seconds=whole),
            self._connect_timeouts(seconds.get("connect"), seconds.get("pool")),
        )
        if reply.too_large:
            raise httpx.RemoteProtocolError("the reply is too large", request=request)
        # In bytes, because httpx refuses text that is not ASCII.
        headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in reply.headers.items()
        ]
        return httpx.Response(reply.status, headers=headers, stream=httpx.ByteStream(reply.body))

    def origins(self) -> tuple[Origin, ...]:
        """Return the origins that have a connection now."""
        return tuple(self._pools)

    async def aclose(self) -> None:
        """Refuse new calls, and close idle connections. Calls in flight run to their end."""
        self._is_open = False
        for pool in list(self._pools.values()):
            await pool.aclose()

    def _new_pool(self, origin: Origin) -> Pool:
        tls = self._context() if origin.scheme == "https" else None
        made = Pool(origin, self._limits, self._resolver, tls, self._discard, self._address_policy)
        self._pools[origin] = made
        return made

    def _context(self) -> ssl.SSLContext:
        # Shared, because loading the trusted certificates takes some 20 ms.
        if self._tls is None:
            self._tls = httpx.create_ssl_context()
        return self._tls

    def _discard(self, pool: Pool) -> None:
        # Webhooks may go to any origin, so pools must not stay for ever.
        if self._pools.get(pool.origin) is pool:
            del self._pools[pool.origin]

    def _connect_timeouts(self, connect: float | None, slot: float | None) -> ConnectTimeouts:
        default = self._limits.connect_timeouts
        return ConnectTimeouts(
            default.connect if connect is None else timedelta(seconds=connect),
            default.slot if slot is None else timedelta(seconds=slot),
        )


def _origin(url: httpx.URL) -> Origin:
    try:
        return Origin.from_url(url)
    except ValueError as error:
        raise httpx.UnsupportedProtocol(str(error)) from error


def _encode(request: httpx.Request, body: bytes) -> bytes:
    fields = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.headers.raw
        if name.decode("latin-1").lower() not in FRAMING_HEADERS
    ]
    try:
        return encode(
            request.method,
            request.url.raw_path.decode("ascii"),
            request.headers.get("host") or request.url.netloc.decode("ascii"),
            tuple(name for name, _ in fields),
            tuple(value for _, value in fields),
            body or None,
        )
    except ValueError as error:
        raise httpx.LocalProtocolError(str(error)) from error
