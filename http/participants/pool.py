"""The connections to one origin: a bounded number, the last used one first.

A *slot* is the right to have a connection. A call with a slot takes an idle connection or opens
one, and releases the slot when it ends, however it ends. Calls wait in order of their arrival while
all slots are taken; a released slot goes to the first of them, which finds the connection that came
with it among the idle ones.

Idle connections are closed before a usual server would close them, because a request that is sent
while the server closes is lost: whether it was read is unknown. Using the last used one first lets
the others age and keeps the idle ones in order of age, so that one timer serves all. Every step is
O(1).

A connection has a maximum age, because a name is looked up only when a connection is opened: a
participant that has moved is followed within that age, however steady the calls are. Ages differ a
little, so that connections which were opened together are not replaced together.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import httpx
from aiohappyeyeballs import AddrInfoType, start_connection

from ...fsm.call_outcome import Response
from ...fsm.runtime.concurrency import FairSemaphore
from .base_url import Origin
from .connection import Connection
from .resolver import AddressPolicy, LookupTimeout, Resolver, permitted_addresses
from .response_parser import ResponseHeadCache
from .system_errors import describe_os_error

# RFC 8305, section 5: how long one address is tried alone before the next one is tried as well.
ATTEMPT_DELAY = timedelta(milliseconds=250)
# Multiples of it lie far apart within 0 to 1.
GOLDEN_RATIO = 0.618034
AGE_SPREAD = 0.25


@dataclass(frozen=True, slots=True)
class ConnectTimeouts:
    """The time limits of a call until its first byte leaves, within its own deadline."""

    # A participant that is up accepts within a round trip; a lost SYN is sent again after 1 s.
    connect: timedelta = timedelta(seconds=3)
    slot: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """The limits of the outgoing transport."""

    # Enough for a thousand calls a second to a participant that responds within 100 ms.
    connections_per_origin: int = 100
    connect_timeouts: ConnectTimeouts = ConnectTimeouts()
    # For httpx requests without a timeout of their own.
    call_timeout: timedelta = timedelta(seconds=10)
    # uvicorn and Node close an idle connection after 5 s; ours must be closed before.
    keep_alive: timedelta = timedelta(seconds=4)
    # Names of services change their address within about a minute (their usual TTL).
    max_age: timedelta = timedelta(seconds=60)
    max_body_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        assert self.connections_per_origin > 0
        assert self.max_body_bytes > 0


class LookupQueueTimeout(httpx.PoolTimeout):
    """The lookup of the origin's name did not start in time: other names were before it."""


class Pool:
    """Runs calls to one origin. `on_empty` is called when the pool has no connection and no call.

    With an `address_policy`, only addresses that it permits are connected to.
    """

    def __init__(
        self,
        origin: Origin,
        limits: TransportLimits,
        resolver: Resolver,
        tls: ssl.SSLContext | None,
        on_empty: Callable[[Pool], None],
        address_policy: AddressPolicy | None = None,
    ) -> None:
        self.origin = origin
        self._limits = limits
        self._resolver = resolver
        self._tls = tls
        self._on_empty = on_empty
        self._address_policy = address_policy
        self._loop = asyncio.get_running_loop()
        self._head_cache = ResponseHeadCache()
        self._slots = FairSemaphore(limits.connections_per_origin)
        self._opened = 0
        self._idle: deque[Connection] = deque()  # in order of age, the oldest first
        self._expiry_timer: asyncio.TimerHandle | None = None
        self._is_open = True

    @property
    def idle_connections(self) -> Sequence[Connection]:
        return tuple(self._idle)

    async def exchange(
        self, request: bytes, within: timedelta, timeouts: ConnectTimeouts
    ) -> Response:
        """Run one call. Raises as `ParticipantTransport.exchange` does."""
        deadline = self._loop.time() + within.total_seconds()
        if not self._slots.try_acquire():
            await self._wait_for_slot(self._earlier(deadline, timeouts.slot))
        connection: Connection | None = None
        try:
            connection = self._pop_idle() or await self._connect(
                self._earlier(deadline, timeouts.connect)
            )
            return await connection.send(request, deadline - self._loop.time())
        finally:
            self._release(connection)

    async def aclose(self) -> None:
        """Close the idle connections. A connection in use is closed when its call ends."""
        self._is_open = False
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()
        while self._idle:
            connection = self._idle.pop()
            connection.abort()
            await connection.wait_closed()

    async def _wait_for_slot(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("every connection stayed busy") from None
        if not self._is_open:
            self._slots.release()
            raise httpx.PoolTimeout("the transport was closed")

    def _release(self, connection: Connection | None) -> None:
        """Release the slot of a call, and its connection if there was one."""
        if connection is not None:
            now = self._loop.time()
            if self._is_open and connection.is_clean() and now < connection.use_until:
                connection.idle_since = now
                self._idle.append(connection)
                if self._expiry_timer is None:
                    keep_alive = self._limits.keep_alive.total_seconds()
                    self._expiry_timer = self._loop.call_later(keep_alive, self._drop_expired)
            else:
                connection.abort()
        self._slots.release()
        self._notify_if_empty()

    def _earlier(self, deadline: float, limit: timedelta) -> float:
        return min(deadline, self._loop.time() + limit.total_seconds())

    def _pop_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fresh():
                return connection
            connection.abort()
        return None

    async def _connect(self, deadline: float) -> Connection:
        host = self.origin.host
        try:
            addresses = await self._addresses(deadline)
            async with asyncio.timeout_at(deadline):
                return await self._open_connection(addresses)
        except LookupTimeout as error:
            if error.begun:
                raise httpx.ConnectTimeout(f"no connection to {self.origin}: {error}") from error
            raise LookupQueueTimeout(str(error)) from error
        except TimeoutError as error:
            self._resolver.invalidate(host)
            raise httpx.ConnectTimeout(f"no connection to {self.origin} in time") from error
        except (OSError, ValueError) as error:  # ValueError: a name that DNS cannot hold
            self._resolver.invalidate(host)
            raise httpx.ConnectError(
                f"no connection to {self.origin}: {describe_os_error(error)}"
            ) from error

    async def _addresses(self, deadline: float) -> Sequence[AddrInfoType]:
        addresses = await self._resolver.addresses(self.origin.host, self.origin.port, deadline)
        if self._address_policy is None:
            return addresses
        return permitted_addresses(addresses, self.origin, self._address_policy)

    async def _open_connection(self, addresses: Sequence[AddrInfoType]) -> Connection:
        delay = ATTEMPT_DELAY.total_seconds()
        sock = await start_connection(addresses, happy_eyeballs_delay=delay, loop=self._loop)
        try:
            _, connection = await self._loop.create_connection(
                partial(Connection, self._loop, self._limits.max_body_bytes, self._head_cache),
                sock=sock,
                ssl=self._tls,
                server_hostname=self.origin.host if self._tls else None,
            )
        except BaseException:
            sock.close()
            raise
        self._opened += 1
        spread = AGE_SPREAD * (self._opened * GOLDEN_RATIO % 1)
        age = self._limits.max_age.total_seconds() * (1 - spread)
        connection.use_until = self._loop.time() + age
        return connection

    def _drop_expired(self) -> None:
        keep_alive = self._limits.keep_alive.total_seconds()
        now = self._loop.time()
        while self._idle and self._idle[0].idle_since + keep_alive <= now:
            self._idle.popleft().abort()
        self._expiry_timer = None
        if self._idle:
            due = self._idle[0].idle_since + keep_alive
            self._expiry_timer = self._loop.call_at(due, self._drop_expired)
        self._notify_if_empty()

    def _notify_if_empty(self) -> None:
        if not self._idle and not self._slots.acquired:
            self._on_empty(self)
