"""A database by host name: silent name servers and hosts delay its connections only briefly."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from saga_orchestrator.eventstore.postgres.addresses import DatabaseAddresses
from saga_orchestrator.eventstore.postgres.connection import connect
from saga_orchestrator.tests.integration.participants.names import black_hole
from saga_orchestrator.tests.support.tcp_proxy import TcpProxy

HERE, NOWHERE, REFUSING = "127.0.0.1", "127.0.0.3", "127.0.0.2"
AT_ONCE = timedelta(milliseconds=50)


class Names:
    """A name server that never answers for names that it does not know."""

    def __init__(self, known: Mapping[str, Sequence[str]]) -> None:
        self.known = dict(known)
        self.asked: list[str] = []

    async def look_up(self, host: str, port: str) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.known:
            await asyncio.get_running_loop().create_future()
        return self.known[host]

    def addresses(self) -> DatabaseAddresses:
        return DatabaseAddresses(self.look_up, AT_ONCE)


@pytest.fixture
def port() -> Iterator[str]:
    with socket.create_server((HERE, 0)) as door:
        yield str(door.getsockname()[1])


def in_order(parameters: Mapping[str, str]) -> list[tuple[str, ...]]:
    parts = (parameters[name].split(",") for name in ("host", "hostaddr", "port"))
    return list(zip(*parts, strict=True))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"host": "/run/postgresql"},
        {"host": "/run/postgresql,db"},
        {"host": "@abstract"},
        {"host": HERE, "port": "1"},
        {"host": "::1"},
        {"host": "db", "hostaddr": HERE},
        {"host": "a,b", "port": "1,2,3"},
    ],
)
async def test_host_that_needs_no_lookup_is_left_as_it_is(given: Mapping[str, str]) -> None:
    assert await Names({}).addresses().connection_parameters(given) == {}


async def test_a_name_leads_to_its_address_with_a_default_port() -> None:
    found = await Names({"db": [HERE]}).addresses().connection_parameters({"host": "db"})

    assert found == {"host": "db", "hostaddr": HERE, "port": "5432"}


async def test_a_host_that_the_environment_names_is_looked_up_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGHOST", "db")
    monkeypatch.setenv("PGPORT", "6543")

    found = await Names({"db": [HERE]}).addresses().connection_parameters({})

    assert found == {"host": "db", "hostaddr": HERE, "port": "6543"}


async def test_a_silent_name_server_is_given_up_soon() -> None:
    with pytest.raises(psycopg.OperationalError, match="no address of db was found"):
        await Names({}).addresses().connection_parameters({"host": "db"})


async def test_last_known_address_serves_while_a_name_server_is_silent() -> None:
    names = Names({"db": [HERE]})
    addresses = names.addresses()
    before = await addresses.connection_parameters({"host": "db"})
    names.known.clear()

    assert await addresses.connection_parameters({"host": "db"}) == before

    assert names.asked == ["db", "db"]


async def test_lookup_is_shared_by_all_connections() -> None:
    names = Names({})
    addresses = names.addresses()

    await asyncio.gather(
        *(addresses.connection_parameters({"host": "db"}) for _ in range(20)),
        return_exceptions=True,
    )

    assert names.asked == ["db"]


async def test_connections_of_an_event_loop_share_known_addresses() -> None:
    async def shared() -> DatabaseAddresses:
        return DatabaseAddresses.of_running_loop()

    here, again = await shared(), await shared()
    elsewhere = await asyncio.to_thread(asyncio.run, shared())

    assert here is again
    assert here is not elsewhere


async def test_answering_addresses_come_before_silent_ones_in_their_order(
    port: str,
) -> None:
    names = Names({"db1": [NOWHERE, REFUSING], "db2": [HERE]})
    addresses = names.addresses()

    with black_hole(NOWHERE, int(port)):
        found = await addresses.connection_parameters({"host": "db1,db2", "port": port})
        again = await addresses.connection_parameters({"host": "db1,db2", "port": f"{port},{port}"})

    expected = [("db1", REFUSING, port), ("db2", HERE, port), ("db1", NOWHERE, port)]
    assert in_order(found) == in_order(again) == expected


async def test_addresses_that_are_all_silent_keep_their_order(port: str) -> None:
    addresses = Names({"db": [NOWHERE, "127.0.0.4"]}).addresses()

    with black_hole(NOWHERE, int(port)), black_hole("127.0.0.4", int(port)):
        found = await addresses.connection_parameters({"host": "db", "port": port})

    assert [address for _, address, _ in in_order(found)] == [NOWHERE, "127.0.0.4"]


async def test_a_connection_does_not_wait_for_a_silent_host(
    postgres_server: str, database_url: str
) -> None:
    place = parse_qs(urlsplit(postgres_server).query)
    with TcpProxy(f"{place['host'][0]}/.s.PGSQL.{place['port'][0]}").running() as wire:
        user, database = urlsplit(database_url).username, urlsplit(database_url).path
        port = wire.address.rpartition(":")[2]
        url = f"postgresql://{user}@{NOWHERE}:{port},{HERE}:{port}{database}"
        with black_hole(NOWHERE, int(port)):
            async with asyncio.timeout(4):  # less than the connect timeout of one host
                connection = await connect(url, "test")
        await connection.close()
