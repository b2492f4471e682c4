"""How much and how long: every bound of the way out, with the reason for its number."""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import httpx
from aiohappyeyeballs import AddrInfoType, start_connection

from ...fsm.call_outcome import Response
from .base_url import Origin
from .connection import Connection
from .resolver import AddressPolicy, LookupTimeout, Resolver, permitted_addresses
from .response_parser import ResponseHeadCache
from .system_errors import describe_os_error


@dataclass(frozen=True, slots=True)
class ConnectTimeouts:
    """How long a call may wait before its first byte leaves; its own deadline holds besides."""

    # A participant that is up accepts within a round trip; a lost SYN is sent again after 1 s.
    connect: timedelta = timedelta(seconds=3)
    slot: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    # Enough to keep a participant with 100 ms an answer at a thousand calls a second.
    connections_per_origin: int = 100
    connect_timeouts: ConnectTimeouts = ConnectTimeouts()
    # For httpx requests that bring no timeout of their own.
    call_timeout: timedelta = timedelta(seconds=10)
    # uvicorn and Node drop an idle connection after 5 s; ours must be gone before.
    keep_alive: timedelta = timedelta(seconds=4)
    # Names of services lead elsewhere within about a minute after a change (their usual TTL).
    max_age: timedelta = timedelta(seconds=60)
    max_body_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        assert self.connections_per_origin > 0
        assert self.max_body_bytes > 0


# RFC 8305, section 5: how long one address is tried alone before the next one is tried as well.
ATTEMPT_DELAY = timedelta(milliseconds=250)
# Multiples of it lie far apart within 0 to 1.
GOLDEN_RATIO = 0.618034
AGE_SPREAD = 0.25


class LookupQueueTimeout(httpx.PoolTimeout):
    """The name of the origin was not looked up: others were before it until the time was over."""


class Pool:
    """Runs calls to one origin; `on_empty` is called when it holds nothing and may be forgotten.

    With `allows` each address of its host is looked at before it is connected to.
    """

    def __init__(
        self,
        origin: Origin,
        limits: TransportLimits,
        resolver: Resolver,
        tls: ssl.SSLContext | None,
        on_empty: Callable[[Pool], None],
        may_reach: AddressPolicy | None = None,
    ) -> None:
        self.origin = origin
        self._limits = limits
        self._resolver = resolver
        self._tls = tls
        self._on_empty = on_empty
        self._address_policy = may_reach
        self._loop = asyncio.get_running_loop()
        self._head_cache = ResponseHeadCache()
        self._slots_held = 0
        self._opened = 0
        self._idle: deque[Connection] = deque()  # the longest idle one is the first
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._expiry_timer: asyncio.TimerHandle | None = None
        self._is_open = True

    async def exchange(
        self, request: bytes, within: timedelta, patience: ConnectTimeouts
    ) -> Response:
        """One call. Raises as `ParticipantTransport.exchange` does."""
        deadline = self._loop.time() + within.total_seconds()
        if self._slots_held < self._limits.connections_per_origin:
            self._slots_held += 1
        else:
            await self._acquire_slot(self._earlier(deadline, patience.slot))
        connection: Connection | None = None
        try:
            connection = self._pop_idle() or await self._connect(
                self._earlier(deadline, patience.connect)
            )
            return await connection.send(request, deadline - self._loop.time())
        finally:
            self.give_back(connection)

    def take(self) -> Connection | None:
        """A connection that may be written to at once, if one is idle and nobody need wait.

        Whoever takes it gives it back.
        """
        if self._slots_held == self._limits.connections_per_origin:
            return None
        connection = self._pop_idle()
        if connection is not None:
            self._slots_held += 1
        return connection

    def give_back(self, connection: Connection | None) -> None:
        """End a call, however it went: its slot, and the connection if there was one."""
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
        while self._waiting:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self._slots_held -= 1
        if not self._idle:
            self._notify_if_empty()

    async def aclose(self) -> None:
        """Drop the idle connections, turn the waiting away; what is in use ends with its call."""
        self._is_open = False
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()
        for turn in self._waiting:
            self._time_out(turn)
        while self._idle:
            connection = self._idle.pop()
            connection.abort()
            await connection.wait_closed()

    def _earlier(self, deadline: float, patience: timedelta) -> float:
        return min(deadline, self._loop.time() + patience.total_seconds())

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
            found = await self._addresses(deadline)
            async with asyncio.timeout_at(deadline):
                return await self._open_connection(found)
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
        found = await self._resolver.addresses(self.origin.host, self.origin.port, deadline)
        return (
            permitted_addresses(found, self.origin, self._address_policy)
            if self._address_policy
            else found
        )

    async def _open_connection(self, found: Sequence[AddrInfoType]) -> Connection:
        delay = ATTEMPT_DELAY.total_seconds()
        sock = await start_connection(found, happy_eyeballs_delay=delay, loop=self._loop)
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

    async def _acquire_slot(self, deadline: float) -> None:
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting[turn] = None
        alarm = self._loop.call_at(deadline, self._time_out, turn)
        try:
            await turn
        except asyncio.CancelledError:
            # The slot may have come in the very moment the caller was cancelled.
            if not turn.cancelled() and turn.exception() is None:
                self.give_back(None)
            raise
        finally:
            alarm.cancel()
            self._waiting.pop(turn, None)

    def _time_out(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            turn.set_exception(httpx.PoolTimeout("every connection stayed busy"))

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
        if not self._slots_held and not self._idle:
            self._on_empty(self)
