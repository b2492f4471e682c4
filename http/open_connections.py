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

from ..fsm.runtime.log import logger

MOST_CONNECTIONS: Final = 10_000  # a process is busy with a thousand, and each takes some 10 KB
FEWEST_CONNECTIONS: Final = 16
LOOK_SECONDS: Final = 1.0  # between looks for what is late
REPORT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
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


class Timed(Protocol):
    """A connection with something to wait for."""

    def read_too_late(self) -> None:
        """It has not said in time what it should have."""

    def write_too_late(self) -> None:
        """It has not taken in time what it was sent."""

    def make_room(self) -> None:
        """It is idle, and another client wants to connect."""


class OpenConnections:
    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, most: int) -> None:
        self.limits, self.most = limits, most
        self._loop = loop
        self._open: set[Timed] = set()
        self.idle: dict[Timed, None] = {}  # those without a request, the idlest first
        self._reading: dict[Timed, float] = {}  # until when, on the loop's clock
        self._writing: dict[Timed, float] = {}
        self._look: asyncio.TimerHandle | None = None
        self._report_again_at = 0.0

    def admit(self, connection: Timed) -> bool:
        """Whether there is room for it, perhaps that of an idle one."""
        if len(self._open) >= self.most:
            idlest = next(iter(self.idle), None)
            if idlest is None:
                self._report()
                return False
            self.forget(idlest)
            idlest.make_room()
        self._open.add(connection)
        self.idle[connection] = None
        return True

    def forget(self, connection: Timed) -> None:
        self._open.discard(connection)
        for where in (self.idle, self._reading, self._writing):
            where.pop(connection, None)
        if not self._open and self._look is not None:
            self._look.cancel()
            self._look = None

    def must_say(self, connection: Timed, within: float) -> None:
        """Seconds, from now on; an earlier term is over."""
        self._reading[connection] = self._loop.time() + within
        self._look_later()

    def has_said(self, connection: Timed) -> None:
        self._reading.pop(connection, None)

    def must_take(self, connection: Timed, within: float) -> None:
        self._writing[connection] = self._loop.time() + within
        self._look_later()

    def has_taken(self, connection: Timed) -> None:
        self._writing.pop(connection, None)

    def _report(self) -> None:
        """Once in a while: those who cause it must not fill the log too."""
        now = self._loop.time()
        if now >= self._report_again_at:
            self._report_again_at = now + REPORT_SECONDS
            facts = {"connections": self.most}
            logger.warning("connection refused: all are busy", extra=facts)

    def _look_later(self) -> None:
        if self._look is None:
            self._look = self._loop.call_later(LOOK_SECONDS, self._find_late)

    def _find_late(self) -> None:
        self._look, now = None, self._loop.time()
        for connection in [one for one, end in self._reading.items() if end <= now]:
            self.has_said(connection)
            connection.read_too_late()
        for connection in [one for one, end in self._writing.items() if end <= now]:
            self.has_taken(connection)
            connection.write_too_late()
        if self._reading or self._writing:
            self._look_later()


def raise_descriptor_limit() -> None:
    """Up to what MOST_CONNECTIONS need, as far as this process may. Systems give 1,024 to programs
    that could not use more, and let others have them for the asking."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = (
        2 * MOST_CONNECTIONS if hard == resource.RLIM_INFINITY else min(2 * MOST_CONNECTIONS, hard)
    )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """Half of the descriptors that this process may have."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(FEWEST_CONNECTIONS, descriptors // 2))
