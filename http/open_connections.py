"""The connections of all clients of one server: how many there may be, and until when each must
have said or taken something.

A descriptor is what an idle client costs. Half of those that the process may have are for clients,
so that the database, participants and files always find one. When all of these are taken, the
connection that has been without a request for longest makes room for the next one.
"""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass
from typing import Final, Protocol

from ..fsm.runtime.logging import logger

MAX_CONNECTIONS: Final = 10_000  # a process is busy with a thousand, and each takes some 10 KB
MIN_CONNECTIONS: Final = 16
CHECK_INTERVAL_SECONDS: Final = 1.0  # between looks for what is late
REPORT_INTERVAL_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Of one connection, in bytes and seconds.

    `silent_seconds` is until its first byte: browsers keep a connection that they opened in advance
    for ten. `head_seconds` is from the first byte of a head to its last: a head is a few packets.
    `body_seconds` is longer than an endpoint waits for a body, which has a better answer.
    `write_seconds` is how long a client may not read what it has asked for. `linger_seconds` is how
    long is read and thrown away what a client still sends when it is refused: hung up on at once,
    it would see a broken connection and no answer.
    """

    head_bytes: int = 64 * 1024
    silent_seconds: float = 30.0
    head_seconds: float = 10.0
    body_seconds: float = 40.0
    write_seconds: float = 60.0
    linger_seconds: float = 5.0


class TimedConnection(Protocol):
    """A connection with something to wait for."""

    def on_read_timeout(self) -> None:
        """It has not said in time what it should have."""

    def on_write_timeout(self) -> None:
        """It has not taken in time what it was sent."""

    def evict(self) -> None:
        """It is idle, and another client wants to connect."""


class OpenConnections:
    def __init__(
        self, loop: asyncio.AbstractEventLoop, limits: ConnectionLimits, most: int
    ) -> None:
        self.limits, self.max_connections = limits, most
        self._loop = loop
        self._open: set[TimedConnection] = set()
        self.idle: dict[TimedConnection, None] = {}  # those without a request, the idlest first
        self._read_deadlines: dict[TimedConnection, float] = {}  # until when, on the loop's clock
        self._write_deadlines: dict[TimedConnection, float] = {}
        self._next_check: asyncio.TimerHandle | None = None
        self._report_again_at = 0.0

    def admit(self, connection: TimedConnection) -> bool:
        """Whether there is room for it, perhaps that of an idle one."""
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
        """Seconds, from now on; an earlier term is over."""
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
        """Once in a while: those who cause it must not fill the log too."""
        now = self._loop.time()
        if now >= self._report_again_at:
            self._report_again_at = now + REPORT_INTERVAL_SECONDS
            facts = {"connections": self.max_connections}
            logger.warning("connection refused: all are busy", extra=facts)

    def _schedule_check(self) -> None:
        if self._next_check is None:
            self._next_check = self._loop.call_later(CHECK_INTERVAL_SECONDS, self._expire)

    def _expire(self) -> None:
        self._next_check, now = None, self._loop.time()
        for connection in [one for one, end in self._read_deadlines.items() if end <= now]:
            self.clear_read_deadline(connection)
            connection.on_read_timeout()
        for connection in [one for one, end in self._write_deadlines.items() if end <= now]:
            self.clear_write_deadline(connection)
            connection.on_write_timeout()
        if self._read_deadlines or self._write_deadlines:
            self._schedule_check()


def raise_descriptor_limit() -> None:
    """Up to what MOST_CONNECTIONS need, as far as this process may. Systems give 1,024 to programs
    that could not use more, and let others have them for the asking."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = (
        2 * MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else min(2 * MAX_CONNECTIONS, hard)
    )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connection_limit() -> int:
    """Half of the descriptors that this process may have."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(MIN_CONNECTIONS, descriptors // 2))
