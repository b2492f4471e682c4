"""The open connections of one server: their number, and the deadlines of their clients.

An idle client costs a file descriptor. Half of those that the process may have are for clients, so
that the database, participants and files always get one. When all of these are taken, the
connection that has been idle for longest is closed for the next client.
"""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass
from typing import Final, Protocol

from ..fsm.runtime.logging import logger

MAX_CONNECTIONS: Final = 10_000  # a thousand keep a process busy, and each takes some 10 KB
MIN_CONNECTIONS: Final = 16
CHECK_INTERVAL_SECONDS: Final = 1.0  # between looks for what is late
REPORT_INTERVAL_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """The limits of one connection, in bytes and seconds.

    `silent_seconds` is the time until its first byte: browsers keep a connection that they opened
    in advance for ten. `head_seconds` is the time from the first byte of a head to its last: a head
    is a few packets. `body_seconds` is longer than endpoints wait for a body, because their
    response explains more. `write_seconds` is how long a client may leave a response unread.
    `linger_seconds` is how long the input of a refused client is discarded: if the connection were
    closed at once, the client would see a broken connection and no response.
    """

    head_bytes: int = 64 * 1024
    silent_seconds: float = 30.0
    head_seconds: float = 10.0
    body_seconds: float = 40.0
    write_seconds: float = 60.0
    linger_seconds: float = 5.0


class TimedConnection(Protocol):
    """A connection with deadlines."""

    def on_read_timeout(self) -> None:
        """Handle a client that has not sent in time."""

    def on_write_timeout(self) -> None:
        """Handle a client that has not read in time."""

    def evict(self) -> None:
        """Close the connection, which is idle, for another client."""


class OpenConnections:
    def __init__(
        self, loop: asyncio.AbstractEventLoop, limits: ConnectionLimits, most: int
    ) -> None:
        self.limits, self.max_connections = limits, most
        self._loop = loop
        self._open: set[TimedConnection] = set()
        self.idle: dict[TimedConnection, None] = {}  # without a request, the longest idle first
        self._read_deadlines: dict[TimedConnection, float] = {}  # on the loop's clock
        self._write_deadlines: dict[TimedConnection, float] = {}
        self._next_check: asyncio.TimerHandle | None = None
        self._report_again_at = 0.0

    def admit(self, connection: TimedConnection) -> bool:
        """Admit a connection, if need be in place of an idle one. Return False if all are busy."""
        if len(self._open) >= self.max_connections:
            idlest = next(iter(self.idle), None)
            if idlest is None:
                self._log_refusal()
                return False
            self.remove(idlest)
            idlest.evict()
        self._open.add(connection)
        self.idle[connection] = None
        return True

    def remove(self, connection: TimedConnection) -> None:
        self._open.discard(connection)
        for where in (self.idle, self._read_deadlines, self._write_deadlines):
            where.pop(connection, None)
        if not self._open and self._next_check is not None:
            self._next_check.cancel()
            self._next_check = None

    def set_read_deadline(self, connection: TimedConnection, within: float) -> None:
        """Set the deadline `within` seconds from now, in place of an earlier one."""
        self._read_deadlines[connection] = self._loop.time() + within
        self._schedule_check()

    def clear_read_deadline(self, connection: TimedConnection) -> None:
        self._read_deadlines.pop(connection, None)

    def set_write_deadline(self, connection: TimedConnection, within: float) -> None:
        self._write_deadlines[connection] = self._loop.time() + within
        self._schedule_check()

    def clear_write_deadline(self, connection: TimedConnection) -> None:
        self._write_deadlines.pop(connection, None)

    def _log_refusal(self) -> None:
        """Log the refusal, but not more than once in a while: it must not fill the log."""
        now = self._loop.time()
        if now >= self._report_again_at:
            self._report_again_at = now + REPORT_INTERVAL_SECONDS
            facts = {"connections": self.max_connections}
            logger.warning("connection refused: all connections are busy", extra=facts)

    def _schedule_check(self) -> None:
        if self._next_check is None:
            self._next_check = self._loop.call_later(CHECK_INTERVAL_SECONDS, self._expire)

    def _expire(self) -> None:
        self._next_check, now = None, self._loop.time()
        for connection in [key for key, end in self._read_deadlines.items() if end <= now]:
            self.clear_read_deadline(connection)
            connection.on_read_timeout()
        for connection in [key for key, end in self._write_deadlines.items() if end <= now]:
            self.clear_write_deadline(connection)
            connection.on_write_timeout()
        if self._read_deadlines or self._write_deadlines:
            self._schedule_check()


def raise_descriptor_limit() -> None:
    """Raise the limit of file descriptors to what MAX_CONNECTIONS need, or as far as this process
    may.

    The default of most systems is 1,024, for programs that cannot use more; any process may raise
    it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = (
        2 * MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else min(2 * MAX_CONNECTIONS, hard)
    )
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


def connection_limit() -> int:
    """Return how many connections half of the file descriptors of this process allow."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(MIN_CONNECTIONS, descriptors // 2))
