"""Fixtures: the house, and a second node on its log; both drive shards when a test begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import psycopg
import pytest
from saga_orchestrator.tests.acceptance.house import House
from saga_orchestrator.tests.acceptance.program import Program, client
from saga_orchestrator.tests.acceptance.waiting import until

OWNERS = "select node_id::text, count(*) from shard_owner group by node_id"
COMPLETED = "select stream_id::text, epoch from event where type = 'SagaCompleted' order by 1"


@dataclass(frozen=True, slots=True)
class Pair:
    """The house's own service, and another node beside it."""

    house: House
    other: Program

    def shares(self) -> list[int]:
        """How many shards each node has."""
        with psycopg.connect(self.house.database.url) as connection:
            return sorted(many for _, many in connection.execute(OWNERS.encode()).fetchall())

    def completed(self) -> dict[str, int]:
        """The sagas that are, with the epoch in which each was."""
        with psycopg.connect(self.house.database.url) as connection:
            return dict(connection.execute(COMPLETED.encode()).fetchall())

    def await_shares(self, *shares: int) -> None:
        until(lambda: self.shares() == sorted(shares), f"the nodes have {shares} shards")

    def await_ready(self) -> None:
        """Each drives something."""
        with self.beside() as beside:
            until(lambda: self.house.web.get("/readyz").is_success, "the first node is ready")
            until(lambda: beside.get("/readyz").is_success, "the other node is ready")

    def beside(self) -> httpx.Client:
        """A client of the other node."""
        return client(self.other.url)


@pytest.fixture
def pair(house: House) -> Iterator[Pair]:
    with house.heir() as other:
        pair = Pair(house, other)
        pair.await_shares(64)
        other.start()
        pair.await_shares(32, 32)
        pair.await_ready()
        yield pair
