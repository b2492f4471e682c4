"""Where a name leads, looked up so that one silent name server holds up nobody else.

Names are looked up by the operating system, so that `/etc/hosts`, search domains and name services
work as everywhere on the machine. Its `getaddrinfo` blocks, for half a minute if the name server is
silent, and cannot be cancelled; in the few threads that an event loop has for it, lookups of one
such name would soon occupy them all. Here a name has one lookup at a time, which all who ask for it
share, in a thread of its own. The number of threads is bounded: names beyond it wait in order of
their arrival, and one that was never begun is told apart from one that was not answered. An answer
is kept for seconds, so that a participant that has moved is followed.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

from aiohappyeyeballs import AddrInfoType

LookUp: TypeAlias = Callable[[str], Sequence[AddrInfoType]]

MOST_KEPT: Final = 1000  # names; callback URLs may bring any number of them
# More than there are participants, and each thread only waits.
LOOKUPS_AT_A_TIME: Final = 64
KEPT_FOR: Final = timedelta(seconds=5)


def system_lookup(name: str) -> Sequence[AddrInfoType]:
    """The addresses of `name` in the order to try them. Raises OSError, ValueError."""
    return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)


class LookupTimeout(TimeoutError):
    """The name was not looked up in time; `begun` says whether its lookup has had its turn."""

    def __init__(self, name: str, *, begun: bool) -> None:
        self.begun = begun
        waited = "its name server did not answer" if begun else "other names were looked up"
        super().__init__(f"{name} was not looked up in time: {waited}")


@dataclass(slots=True)
class _Lookup:
    name: str
    answer: asyncio.Future[Sequence[AddrInfoType]]
    begun: bool = False
    waiting: int = 0


class Resolver:
    """Belongs to the event loop that first uses it."""

    def __init__(
        self,
        look_up: LookUp = system_lookup,
        *,
        at_a_time: int = LOOKUPS_AT_A_TIME,
        kept_for: timedelta = KEPT_FOR,
    ) -> None:
        self._look_up = look_up
        self._places = at_a_time
        self._kept_for = kept_for.total_seconds()
        self._kept: dict[str, tuple[float, Sequence[AddrInfoType]]] = {}
        self._under_way: dict[str, _Lookup] = {}
        self._queue: deque[_Lookup] = deque()

    async def addresses(self, name: str, port: int, deadline: float) -> list[AddrInfoType]:
        """One at least, in the order to try them; `deadline` is the event loop's time.

        Raises LookupTimeout, OSError, ValueError.
        """
        found = _of_number(name) or self._remembered(name) or await self._share(name, deadline)
        return [
            (family, kind, protocol, "", (address[0], port, *address[2:]))
            for family, kind, protocol, _, address in found
        ]

    def forget(self, name: str) -> None:
        """Look `name` up again the next time: nobody answers where it leads to."""
        self._kept.pop(name, None)

    def _remembered(self, name: str) -> Sequence[AddrInfoType] | None:
        until, found = self._kept.get(name, (0.0, ()))
        return found if asyncio.get_running_loop().time() < until else None

    async def _share(self, name: str, deadline: float) -> Sequence[AddrInfoType]:
        loop = asyncio.get_running_loop()
        lookup = self._under_way.get(name)
        if lookup is None:
            lookup = self._under_way[name] = _Lookup(name, loop.create_future())
            self._queue.append(lookup)
        lookup.waiting += 1
        self._begin_next(loop)
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(lookup.answer)
        except TimeoutError as error:
            raise LookupTimeout(name, begun=lookup.begun) from error
        finally:
            lookup.waiting -= 1

    def _begin_next(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._places and self._queue:
            lookup = self._queue.popleft()
            if not lookup.waiting:
                del self._under_way[lookup.name]
                continue
            self._places -= 1
            lookup.begun = True
            # Not a pool of the standard library: the end of the process would wait for its threads.
            thread = threading.Thread(target=self._run, args=(lookup, loop), daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the process may have no more of them
                loop.call_soon(self._end, lookup, OSError(str(error)), loop)

    def _run(self, lookup: _Lookup, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread."""
        found: Sequence[AddrInfoType] | Exception
        try:
            found = self._look_up(lookup.name)
        except (OSError, ValueError) as error:  # ValueError: a name that DNS cannot hold
            found = error
        except Exception as error:  # noqa: BLE001 (whatever it is, the name must stay usable)
            found = OSError(repr(error))
        with suppress(RuntimeError):  # the event loop has been closed meanwhile
            loop.call_soon_threadsafe(self._end, lookup, found, loop)

    def _end(
        self,
        lookup: _Lookup,
        found: Sequence[AddrInfoType] | Exception,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._places += 1
        del self._under_way[lookup.name]
        if isinstance(found, Exception):
            lookup.answer.set_exception(found)
            lookup.answer.exception()  # perhaps nobody waits for it any more
        else:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[lookup.name] = (loop.time() + self._kept_for, found)
            lookup.answer.set_result(found)
        self._begin_next(loop)


def _of_number(name: str) -> Sequence[AddrInfoType] | None:
    """What `name` is itself, if it is an address in any spelling: that needs no lookup."""
    try:
        return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, ValueError):
        return None
