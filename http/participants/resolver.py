"""Host names to permitted addresses, looked up so that a silent name server delays no other name.

Names are looked up by the operating system, so that `/etc/hosts`, search domains and name services
work as everywhere on the machine. Its `getaddrinfo` blocks, for half a minute if the name server is
silent, and cannot be cancelled; in the few threads that an event loop has for it, lookups of one
such name would soon occupy them all. Here a name has one lookup at a time, shared by all
callers, in a thread of its own. The number of threads is limited: further names wait in order of
their arrival, and a lookup that never began is distinguished from one that got no answer. A result
is cached for seconds, so that a participant that has moved is followed.
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

from .base_url import Origin

LookUp: TypeAlias = Callable[[str], Sequence[AddrInfoType]]

MAX_CACHED_NAMES: Final = 1000  # callback URLs may bring any number of names
# More than there are participants, and each thread only waits.
MAX_CONCURRENT_LOOKUPS: Final = 64
CACHE_TTL: Final = timedelta(seconds=5)


def system_lookup(name: str) -> Sequence[AddrInfoType]:
    """Return the addresses of `name` in the order to try them. Raises OSError, ValueError."""
    return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)


class LookupTimeout(TimeoutError):
    """The name was not looked up in time; `begun` is False if its lookup was still queued."""

    def __init__(self, name: str, *, begun: bool) -> None:
        self.begun = begun
        waited = "its name server did not answer" if begun else "other names were looked up"
        super().__init__(f"{name} was not looked up in time: {waited}")


@dataclass(slots=True)
class _Lookup:
    name: str
    result: asyncio.Future[Sequence[AddrInfoType]]
    started: bool = False
    waiters: int = 0


class Resolver:
    """Resolves host names, one lookup per name at a time, and caches the results.

    It belongs to the event loop that first uses it.
    """

    def __init__(
        self,
        look_up: LookUp = system_lookup,
        *,
        at_a_time: int = MAX_CONCURRENT_LOOKUPS,
        kept_for: timedelta = CACHE_TTL,
    ) -> None:
        self._look_up = look_up
        self._free_threads = at_a_time
        self._cache_seconds = kept_for.total_seconds()
        self._cache: dict[str, tuple[float, Sequence[AddrInfoType]]] = {}
        self._lookups: dict[str, _Lookup] = {}
        self._queue: deque[_Lookup] = deque()

    async def addresses(self, name: str, port: int, deadline: float) -> list[AddrInfoType]:
        """Return addresses in the order to try them; `deadline` is the event loop's time.

        Raises LookupTimeout, OSError, ValueError.
        """
        addresses = (
            _literal_address(name) or self._cached(name) or await self._join_lookup(name, deadline)
        )
        return [
            (family, kind, protocol, "", (address[0], port, *address[2:]))
            for family, kind, protocol, _, address in addresses
        ]

    def invalidate(self, name: str) -> None:
        """Look `name` up again the next time, because its addresses do not respond."""
        self._cache.pop(name, None)

    def _cached(self, name: str) -> Sequence[AddrInfoType] | None:
        until, addresses = self._cache.get(name, (0.0, ()))
        return addresses if asyncio.get_running_loop().time() < until else None

    async def _join_lookup(self, name: str, deadline: float) -> Sequence[AddrInfoType]:
        loop = asyncio.get_running_loop()
        lookup = self._lookups.get(name)
        if lookup is None:
            lookup = self._lookups[name] = _Lookup(name, loop.create_future())
            self._queue.append(lookup)
        lookup.waiters += 1
        self._start_next(loop)
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(lookup.result)
        except TimeoutError as error:
            raise LookupTimeout(name, begun=lookup.started) from error
        finally:
            lookup.waiters -= 1

    def _start_next(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._free_threads and self._queue:
            lookup = self._queue.popleft()
            if not lookup.waiters:
                del self._lookups[lookup.name]
                continue
            self._free_threads -= 1
            lookup.started = True
            # Not a pool of the standard library: the end of the process would wait for its threads.
            thread = threading.Thread(target=self._run_in_thread, args=(lookup, loop), daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the process may have no more of them
                loop.call_soon(self._finish, lookup, OSError(str(error)), loop)

    def _run_in_thread(self, lookup: _Lookup, loop: asyncio.AbstractEventLoop) -> None:
        """Look the name up. Runs in a thread."""
        outcome: Sequence[AddrInfoType] | Exception
        try:
            outcome = self._look_up(lookup.name)
        except (OSError, ValueError) as error:  # ValueError: a name that DNS cannot hold
            outcome = error
        except Exception as error:  # noqa: BLE001 (whatever it is, the name must stay usable)
            outcome = OSError(repr(error))
        with suppress(RuntimeError):  # the event loop has been closed meanwhile
            loop.call_soon_threadsafe(self._finish, lookup, outcome, loop)

    def _finish(
        self,
        lookup: _Lookup,
        outcome: Sequence[AddrInfoType] | Exception,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._free_threads += 1
        del self._lookups[lookup.name]
        if isinstance(outcome, Exception):
            lookup.result.set_exception(outcome)
            lookup.result.exception()  # retrieved here, because its callers may have given up
        else:
            if len(self._cache) >= MAX_CACHED_NAMES:
                self._cache.clear()
            self._cache[lookup.name] = (loop.time() + self._cache_seconds, outcome)
            lookup.result.set_result(outcome)
        self._start_next(loop)


def _literal_address(name: str) -> Sequence[AddrInfoType] | None:
    """Return the address that `name` is in some spelling, or None: an address needs no lookup."""
    try:
        return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, ValueError):
        return None


AddressPolicy: TypeAlias = Callable[[Origin, str], bool]  # the address is that of the origin's host


def permitted_addresses(
    addresses: Sequence[AddrInfoType], origin: Origin, address_policy: AddressPolicy
) -> Sequence[AddrInfoType]:
    """Return the addresses of `found` that the policy permits. Raises PermissionError for none."""
    allowed = [address for address in addresses if address_policy(origin, str(address[4][0]))]
    if not allowed:
        raise PermissionError("its addresses are not permitted")
    return allowed
