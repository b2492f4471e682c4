"""Fixtures: the house, and one or two nodes more on its log; all drive shards as a test begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from saga_orchestrator.eventstore import SHARDS
from saga_orchestrator.tests.acceptance.house import House
from saga_orchestrator.tests.acceptance.nodes.desk import Desk, a_desk
from saga_orchestrator.tests.acceptance.program import Program, client
from saga_orchestrator.tests.acceptance.reliability.wire import Wire
from saga_orchestrator.tests.acceptance.waiting import until

OWNERS = "select node_id::text, count(*) from shard_owner group by node_id"
COMPLETED = "select stream_id::text, epoch from event where type = 'SagaCompleted' order by 1"
SESSIONS = (
    "select distinct split_part(application_name, ' ', 2) from pg_stat_activity"
    " where datname = current_database() and application_name like 'node %'"
)


@dataclass(frozen=True, slots=True)
class Nodes:
    """The house's own service, and others beside it."""

    house: House
    others: Sequence[Program]

    @property
    def other(self) -> Program:
        """Of a pair."""
        (other,) = self.others
        return other

    def shares(self) -> list[int]:
        """How many shards each node has."""
        return sorted(self._owners().values())

    def completed(self) -> dict[str, int]:
        """The sagas that are, with the epoch in which each was."""
        with psycopg.connect(self.house.database.url) as connection:
            return dict(connection.execute(COMPLETED.encode()).fetchall())

    def await_shares(self, *shares: int) -> None:
        until(lambda: self.shares() == sorted(shares), f"the nodes have {shares} shards")

    def await_even_shares(self) -> None:
        number = len(self.others) + 1
        each, left = divmod(SHARDS, number)
        self.await_shares(*(each + (place < left) for place in range(number)))

    def await_ready(self) -> None:
        """Each drives something."""
        with self.doors() as doors:
            for door in doors:
                until(lambda door=door: door.get("/readyz").is_success, "a node is ready")  # type: ignore[misc]

    def await_sessions_of_owners_alone(self) -> None:
        """Nobody else has a connection to the database."""
        until(lambda: self._with_sessions() == set(self._owners()), "others have no session left")

    def beside(self) -> httpx.Client:
        """A client of the other node."""
        return client(self.other.url)

    @contextmanager
    def doors(self) -> Iterator[list[httpx.Client]]:
        """A client of each node."""
        with ExitStack() as stack:
            urls = [self.house.service.url, *(one.url for one in self.others)]
            yield [stack.enter_context(client(url)) for url in urls]

    def _owners(self) -> dict[str, int]:
        with psycopg.connect(self.house.database.url) as connection:
            return dict(connection.execute(OWNERS.encode()).fetchall())

    def _with_sessions(self) -> set[str]:
        with psycopg.connect(self.house.database.url) as connection:
            return {one for (one,) in connection.execute(SESSIONS.encode()).fetchall()}


@dataclass(frozen=True, slots=True)
class Far:
    """A pair, one of them at the end of a wire; `house` is what is seen through that one."""

    nodes: Nodes
    house: House
    wire: Wire


@contextmanager
def nodes_beside(house: House, number: int, **settings: str) -> Iterator[Nodes]:
    """As many more, all with these settings."""
    with ExitStack() as stack:
        others = [stack.enter_context(house.heir(**settings)) for _ in range(number)]
        nodes = Nodes(house, others)
        nodes.await_shares(SHARDS)
        for one in others:
            one.start()
        nodes.await_even_shares()
        nodes.await_ready()
        yield nodes


@pytest.fixture
def pair(house: House) -> Iterator[Nodes]:
    with nodes_beside(house, 1) as nodes:
        yield nodes


@pytest.fixture
def trio(house: House) -> Iterator[Nodes]:
    with nodes_beside(house, 2) as nodes:
        yield nodes


@pytest.fixture
def far(house: House) -> Iterator[Far]:
    parts = urlsplit(house.database.url)
    place = parse_qs(parts.query)
    participants = (str(one.base_url) for one in (house.orders, house.payments))
    with Wire(f"{place['host'][0]}/.s.PGSQL.{place['port'][0]}").running() as wire:
        url = f"postgresql://{parts.username}@{wire.address}{parts.path}"
        with (
            nodes_beside(house, 1, DATABASE_URL=url) as nodes,
            closing(House(nodes.other, house.database, house.relay, *participants)) as through,
        ):
            yield Far(nodes, through, wire)


@pytest.fixture
def desk(house: House) -> Iterator[Desk]:
    with a_desk(house) as desk:
        yield desk
