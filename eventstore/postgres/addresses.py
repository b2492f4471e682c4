"""The addresses of the hosts of a database URL, in the order in which to try them.

psycopg looks names up without a time limit, and waits for each address in turn until its connect
timeout is over. A name server or a host that does not answer would cost every connection that time.
Here a lookup has a time limit, and after it the last known addresses are used. If there are several
addresses, all are connected to at once, and those that neither accept nor refuse come last for a
while.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from ipaddress import ip_address
from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import psycopg
from psycopg.pq import Conninfo

logger = logging.getLogger(__name__)

LookUp: TypeAlias = Callable[[str, str], Awaitable[Sequence[str]]]

LOOKUP_TIMEOUT: Final = timedelta(seconds=3)
PROBE_TIMEOUT: Final = timedelta(seconds=1)
SLOWER_PROBES_TIMEOUT: Final = timedelta(milliseconds=250)  # once an address has answered
SILENT_HOST_PENALTY: Final = timedelta(seconds=10)


class HostAddress(NamedTuple):
    host: str
    address: str
    port: str


async def system_lookup(host: str, port: str) -> Sequence[str]:
    """Return the addresses of a host. Raises OSError, UnicodeError."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in infos))


class DatabaseAddresses:
    """The known addresses of the hosts of all connections. Belongs to one event loop."""

    def __init__(
        self, look_up: LookUp = system_lookup, lookup_limit: timedelta = LOOKUP_TIMEOUT
    ) -> None:
        self._look_up, self._lookup_limit = look_up, lookup_limit
        self._lookups: dict[tuple[str, str], asyncio.Future[Sequence[str]]] = {}
        self._known: dict[tuple[str, str], Sequence[str]] = {}
        self._silent_until: dict[HostAddress, float] = {}

    @classmethod
    def of_running_loop(cls) -> DatabaseAddresses:
        """Return the instance of the running event loop.

        It is shared because one name without an answer must not occupy the loop's few threads.
        """
        loop = asyncio.get_running_loop()
        shared = _shared.get(loop)
        if shared is None:
            shared = _shared[loop] = cls()
        return shared

    async def connection_parameters(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Return what to connect with instead of the host and port in `given`; empty to keep them.

        Raises psycopg.OperationalError if no host has an address.
        """
        hosts = _given_or_default(given, "host").split(",")
        ports = (_given_or_default(given, "port") or "5432").split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        is_one_address = len(hosts) == 1 and _is_address(hosts[0])
        are_names = all(map(_is_name, hosts)) and len(hosts) == len(ports)
        if _given_or_default(given, "hostaddr") or is_one_address or not are_names:
            return {}
        by_host = await asyncio.gather(*map(self._addresses_of_host, hosts, ports))
        addresses = list(chain.from_iterable(by_host))
        if not addresses:
            raise psycopg.OperationalError(f"no address of {', '.join(hosts)} was found")
        if len(addresses) > 1:
            addresses = await self._sort_silent_last(addresses)
        return {
            "host": ",".join(address.host for address in addresses),
            "hostaddr": ",".join(address.address for address in addresses),
            "port": ",".join(address.port for address in addresses),
        }

    async def _addresses_of_host(self, host: str, port: str) -> list[HostAddress]:
        addresses = [host] if _is_address(host) else await self._look_up_or_last_known(host, port)
        return [HostAddress(host, address, port) for address in addresses]

    async def _look_up_or_last_known(self, host: str, port: str) -> Sequence[str]:
        key = (host, port)
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = self._lookups[key] = asyncio.ensure_future(self._look_up(host, port))
            lookup.add_done_callback(partial(self._finish_lookup, key))
        await asyncio.wait({lookup}, timeout=self._lookup_limit.total_seconds())
        error = lookup.exception() if lookup.done() else TimeoutError("its name server is silent")
        if error is None:
            self._known[key] = lookup.result()
        else:
            logger.warning("database host not found", extra={"host": host, "error": str(error)})
        return self._known.get(key, [])

    def _finish_lookup(self, key: tuple[str, str], lookup: asyncio.Future[Sequence[str]]) -> None:
        self._lookups.pop(key, None)
        if not lookup.cancelled():
            lookup.exception()  # retrieved, because no task may be waiting for it any more

    async def _sort_silent_last(self, addresses: Sequence[HostAddress]) -> list[HostAddress]:
        loop = asyncio.get_running_loop()
        now = loop.time()
        probes = {
            asyncio.ensure_future(_probe(address)): address
            for address in addresses
            if self._silent_until.get(address, 0) <= now
        }
        if probes:
            done, silent = await asyncio.wait(
                probes,
                timeout=PROBE_TIMEOUT.total_seconds(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if done and silent:
                _, silent = await asyncio.wait(
                    silent, timeout=SLOWER_PROBES_TIMEOUT.total_seconds()
                )
            for probe in silent:
                probe.cancel()
                until = loop.time() + SILENT_HOST_PENALTY.total_seconds()
                self._silent_until[probes[probe]] = until
        return sorted(addresses, key=lambda address: self._silent_until.get(address, 0) > now)


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, DatabaseAddresses] = WeakKeyDictionary()


async def _probe(address: HostAddress) -> None:
    """Wait until the address accepts a connection or refuses it."""
    family = socket.AF_INET6 if ":" in address.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(probe, (address.address, int(address.port)))
        except OSError:
            return


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_name(host: str) -> bool:
    """True unless it is the folder of a unix socket, or empty."""
    return bool(host) and not host.startswith(("/", "@"))


def _given_or_default(given: Mapping[str, Any], name: str) -> str:
    """Return the value of the URL, else of the environment (PGHOST …), else libpq's default."""
    if value := given.get(name):
        return str(value)
    (default,) = (option for option in Conninfo.get_defaults() if option.keyword == name.encode())
    return (default.val or default.compiled or b"").decode()
