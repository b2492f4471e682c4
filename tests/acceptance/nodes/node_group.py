"""Fixtures: the deployment with one or two more nodes, all of which own shards as a test begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from saga_orchestrator.eventstore.event import SHARD_COUNT
from saga_orchestrator.tests.acceptance.deployment import Deployment
from saga_orchestrator.tests.acceptance.nodes.deferring_participant import (
    DeferringParticipant,
    deferring_participant,
)
from saga_orchestrator.tests.acceptance.process import ServerProcess, http_client
from saga_orchestrator.tests.support.tcp_proxy import TcpProxy
from saga_orchestrator.tests.support.waiting import wait_until

OWNERS = "select node_id::text, count(*) from shard_owner group by node_id"
COMPLETED = "select stream_id::text, epoch from event where type = 'SagaCompleted' order by 1"
SESSIONS = (
    "select distinct split_part(application_name, ' ', 2) from pg_stat_activity"
    " where datname = current_database() and application_name like 'node %'"
)


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """The service of a deployment, and further nodes on the same log."""

    deployment: Deployment
    others: Sequence[ServerProcess]

    @property
    def other(self) -> ServerProcess:
        """The second node of a pair."""
        (other,) = self.others
        return other

    def shares(self) -> list[int]:
        """Return the number of shards of each node."""
        return sorted(self._owners().values())

    def completed(self) -> dict[str, int]:
        """Return the completed sagas, each with the epoch of its last event."""
        with psycopg.connect(self.deployment.database.url) as connection:
            return dict(connection.execute(COMPLETED.encode()).fetchall())

    def await_shares(self, *shares: int) -> None:
        wait_until(lambda: self.shares() == sorted(shares), f"the nodes have {shares} shards")

    def await_even_shares(self) -> None:
        number = len(self.others) + 1
        each, left = divmod(SHARD_COUNT, number)
        self.await_shares(*(each + (place < left) for place in range(number)))

    def await_ready(self) -> None:
        """Wait until every node is ready."""
        with self.clients() as apis:
            for api in apis:
                wait_until(lambda api=api: api.get("/readyz").is_success, "a node is ready")  # type: ignore[misc]

    def await_only_owners_connected(self) -> None:
        """Wait until only nodes that own shards are connected to the database."""
        wait_until(
            lambda: self._with_sessions() == set(self._owners()), "only owners have sessions"
        )

    def client_of_other(self) -> httpx.Client:
        """Return a client of the second node of a pair."""
        return http_client(self.other.url)

    @contextmanager
    def clients(self) -> Iterator[list[httpx.Client]]:
        """Yield a client of each node."""
        with ExitStack() as stack:
            urls = [self.deployment.service.url, *(node.url for node in self.others)]
            yield [stack.enter_context(http_client(url)) for url in urls]

    def _owners(self) -> dict[str, int]:
        with psycopg.connect(self.deployment.database.url) as connection:
            return dict(connection.execute(OWNERS.encode()).fetchall())

    def _with_sessions(self) -> set[str]:
        with psycopg.connect(self.deployment.database.url) as connection:
            return {node_id for (node_id,) in connection.execute(SESSIONS.encode()).fetchall()}


@dataclass(frozen=True, slots=True)
class ProxiedPair:
    """A pair whose second node reaches the database through a proxy; `deployment` uses that one."""

    nodes: NodeGroup
    deployment: Deployment
    database_proxy: TcpProxy


@contextmanager
def more_nodes(deployment: Deployment, number: int, **settings: str) -> Iterator[NodeGroup]:
    """Start `number` more nodes with these settings."""
    with ExitStack() as stack:
        others = [stack.enter_context(deployment.successor(**settings)) for _ in range(number)]
        nodes = NodeGroup(deployment, others)
        nodes.await_shares(SHARD_COUNT)
        for node in others:
            node.start()
        nodes.await_even_shares()
        nodes.await_ready()
        yield nodes


@pytest.fixture
def pair(deployment: Deployment) -> Iterator[NodeGroup]:
    with more_nodes(deployment, 1) as nodes:
        yield nodes


@pytest.fixture
def trio(deployment: Deployment) -> Iterator[NodeGroup]:
    with more_nodes(deployment, 2) as nodes:
        yield nodes


@pytest.fixture
def proxied_pair(deployment: Deployment) -> Iterator[ProxiedPair]:
    parts = urlsplit(deployment.database.url)
    place = parse_qs(parts.query)
    participants = (str(each.base_url) for each in (deployment.orders, deployment.payments))
    with TcpProxy(f"{place['host'][0]}/.s.PGSQL.{place['port'][0]}").running() as database_proxy:
        url = f"postgresql://{parts.username}@{database_proxy.address}{parts.path}"
        with (
            more_nodes(deployment, 1, DATABASE_URL=url) as nodes,
            closing(
                Deployment(nodes.other, deployment.database, deployment.proxy, *participants)
            ) as through,
        ):
            yield ProxiedPair(nodes, through, database_proxy)


@pytest.fixture
def deferring(deployment: Deployment) -> Iterator[DeferringParticipant]:
    with deferring_participant(deployment) as deferring:
        yield deferring
