"""The connections to one origin: a bounded number, the last used one first.

A *slot* is the right to have a connection. Whoever holds one either takes an idle connection or
opens one, and gives the slot back when the call ends, however it ends. Callers wait (first come,
first served) only while all slots are held, and a slot given back goes straight to the first of
them, who finds the connection that came with it among the idle ones.

Idle connections are dropped before a usual server would drop them, since a request that crosses
the server's goodbye is lost: nobody can tell whether it was read. The last used first leaves the
others to age, and keeps the idle ones in order of age, so that one timer serves all. Every step is
O(1).

A connection has a greatest age, since a name is looked up only when one is opened: a participant
that has moved is followed within it, however steady the calls are. The ages differ a little, so
that connections which were opened together are not opened anew together.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import httpx
from aiohappyeyeballs import AddrInfoType, start_connection

from ...fsm.answer import Reply
from .base_url import Origin
from .connection import Connection
from .limits import Patience, TransportLimits
from .reach import MayReach, reachable
from .reply_reader import KnownHeads
from .resolver import LookupTimeout, Resolver
from .system_errors import in_words

# RFC 8305, section 5: how long one address is tried alone before the next one is tried as well.
ATTEMPT_DELAY = timedelta(milliseconds=250)
# Multiples of it lie far apart within 0 to 1.
GOLDEN_RATIO = 0.618034
AGE_SPREAD = 0.25


class NoTurn(httpx.PoolTimeout):
    """The name of the origin was not looked up: others were before it until the time was over."""


class Pool:
    """Runs calls to one origin; `on_empty` is called when it holds nothing and may be forgotten.

    With `may_reach` each address of its host is looked at before it is connected to.
    """

    def __init__(
        self,
        origin: Origin,
        limits: TransportLimits,
        resolver: Resolver,
        tls: ssl.SSLContext | None,
        on_empty: Callable[[Pool], None],
        may_reach: MayReach | None = None,
    ) -> None:
        self.origin = origin
        self._limits = limits
        self._resolver = resolver
        self._tls = tls
        self._on_empty = on_empty
        self._may_reach = may_reach
        self._loop = asyncio.get_running_loop()
        self._known_heads = KnownHeads()
        self._slots_held = 0
        self._opened = 0
        self._idle: deque[Connection] = deque()  # the longest idle one is the first
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._sweep_alarm: asyncio.TimerHandle | None = None
        self._is_open = True

    async def exchange(self, request: bytes, within: timedelta, patience: Patience) -> Reply:
        """One call. Raises as `ParticipantTransport.exchange` does."""
        deadline = self._loop.time() + within.total_seconds()
        if self._slots_held < self._limits.connections_per_origin:
            self._slots_held += 1
        else:
            await self._slot(self._sooner(deadline, patience.slot))
        connection: Connection | None = None
        try:
            connection = self._freshest() or await self._connect(
                self._sooner(deadline, patience.connect)
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
        connection = self._freshest()
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
                if self._sweep_alarm is None:
                    keep_alive = self._limits.keep_alive.total_seconds()
                    self._sweep_alarm = self._loop.call_later(keep_alive, self._sweep)
            else:
                connection.abort()
        while self._waiting:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self._slots_held -= 1
        if not self._idle:
            self._maybe_empty()

    async def aclose(self) -> None:
        """Drop the idle connections, turn the waiting away; what is in use ends with its call."""
        self._is_open = False
        if self._sweep_alarm is not None:
            self._sweep_alarm.cancel()
        for turn in self._waiting:
            self._turn_away(turn)
        while self._idle:
            connection = self._idle.pop()
            connection.abort()
            await connection.wait_closed()

    def _sooner(self, deadline: float, patience: timedelta) -> float:
        return min(deadline, self._loop.time() + patience.total_seconds())

    def _freshest(self) -> Connection | None:
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
                return await self._dial(found)
        except LookupTimeout as error:
            if error.begun:
                raise httpx.ConnectTimeout(f"no connection to {self.origin}: {error}") from error
            raise NoTurn(str(error)) from error
        except TimeoutError as error:
            self._resolver.forget(host)
            raise httpx.ConnectTimeout(f"no connection to {self.origin} in time") from error
        except (OSError, ValueError) as error:  # ValueError: a name that DNS cannot hold
            self._resolver.forget(host)
            raise httpx.ConnectError(
                f"no connection to {self.origin}: {in_words(error)}"
            ) from error

    async def _addresses(self, deadline: float) -> Sequence[AddrInfoType]:
        found = await self._resolver.addresses(self.origin.host, self.origin.port, deadline)
        return reachable(found, self.origin, self._may_reach) if self._may_reach else found

    async def _dial(self, found: Sequence[AddrInfoType]) -> Connection:
        delay = ATTEMPT_DELAY.total_seconds()
        sock = await start_connection(found, happy_eyeballs_delay=delay, loop=self._loop)
        try:
            _, connection = await self._loop.create_connection(
                partial(Connection, self._loop, self._limits.max_body_bytes, self._known_heads),
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

    async def _slot(self, deadline: float) -> None:
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting[turn] = None
        alarm = self._loop.call_at(deadline, self._turn_away, turn)
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

    def _turn_away(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            turn.set_exception(httpx.PoolTimeout("every connection stayed busy"))

    def _sweep(self) -> None:
        keep_alive = self._limits.keep_alive.total_seconds()
        now = self._loop.time()
        while self._idle and self._idle[0].idle_since + keep_alive <= now:
            self._idle.popleft().abort()
        self._sweep_alarm = None
        if self._idle:
            due = self._idle[0].idle_since + keep_alive
            self._sweep_alarm = self._loop.call_at(due, self._sweep)
        self._maybe_empty()

    def _maybe_empty(self) -> None:
        if not self._slots_held and not self._idle:
            self._on_empty(self)
