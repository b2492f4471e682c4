"""The contract of membership, for PostgreSQL, the portable mode and memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore.cluster.membership import Membership
from saga_orchestrator.eventstore.cluster.memory import InMemoryMembership, MemoryCluster
from saga_orchestrator.eventstore.cluster.postgres import PostgresMembership
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.tests.support.event_builders import NOON

ANNE, BERT, CARL = (f"0000000{n}-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
LONG = timedelta(seconds=10)

Join = Callable[[str], Membership]
DATABASES = {"postgres": "database_url", "portable": "portable_database_url"}


@pytest.fixture(params=["memory", "postgres", "portable"])
async def join(request: pytest.FixtureRequest) -> AsyncIterator[Join]:
    """Return a function that makes nodes of one cluster."""
    joined: list[Membership] = []
    nodes = MemoryCluster()
    url = request.getfixturevalue(DATABASES[request.param]) if request.param in DATABASES else ""
    liveness_locks = request.param == "postgres"
    readers = ReaderPool(url, LONG, mode="postgresql" if liveness_locks else "portable")

    def join_one(node_id: str) -> Membership:
        if url:
            made: Membership = PostgresMembership(
                url, readers, node_id, liveness_locks=liveness_locks
            )
        else:
            made = InMemoryMembership(nodes, node_id, lambda: NOON)
        joined.append(made)
        return made

    yield join_one
    for membership in joined:
        await membership.close()
    await readers.close()


async def test_node_sees_itself_and_all_nodes_with_a_heartbeat(join: Join) -> None:
    anne, bert = join(ANNE), join(BERT)
    await bert.heartbeat()

    roster = await anne.heartbeat()

    assert roster.staying_nodes == [ANNE, BERT]
    assert roster.owners == {}


async def test_a_node_that_leaves_says_so_and_is_not_expected_any_more(join: Join) -> None:
    anne, bert = join(ANNE), join(BERT)
    await bert.heartbeat(leaving=True)
    assert (await anne.heartbeat()).staying_nodes == [ANNE]

    await bert.leave()

    assert set((await anne.heartbeat()).nodes) == {ANNE}


async def test_two_nodes_that_want_a_free_shard_have_one_winner(join: Join) -> None:
    anne, bert = join(ANNE), join(BERT)

    got = await asyncio.gather(anne.acquire([1, 2], []), bert.acquire([1, 2], []))

    assert sorted(got[0]) + sorted(got[1]) in ([1, 2], [1, 2])
    owners = (await anne.heartbeat()).owners
    assert sorted(owners) == [1, 2]
    assert len(set(owners.values())) == 1 or set(owners.values()) == {ANNE, BERT}


async def test_a_shard_of_a_living_node_is_not_given_away(join: Join) -> None:
    anne, bert = join(ANNE), join(BERT)
    await anne.acquire([1], [])

    assert await bert.acquire([1], [CARL]) == []
    assert (await bert.heartbeat()).owners == {1: ANNE}


async def test_shard_of_a_dead_node_is_acquired_by_another(join: Join) -> None:
    anne, bert = join(ANNE), join(BERT)
    await anne.acquire([1, 2], [])

    assert await bert.acquire([2], [ANNE]) == [2]
    assert (await bert.heartbeat()).owners == {1: ANNE, 2: BERT}


async def test_a_shard_is_handed_over_by_its_owner_only(join: Join) -> None:
    anne, bert = join(ANNE), join(BERT)
    await anne.acquire([1, 2], [])
    await bert.acquire([3], [])

    await anne.transfer({1: CARL, 3: CARL})

    assert (await anne.heartbeat()).owners == {1: CARL, 2: ANNE, 3: BERT}


async def test_shards_of_a_node_that_left_are_free(join: Join) -> None:
    anne, bert = join(ANNE), join(BERT)
    await anne.heartbeat()
    await anne.acquire([1, 2], [])

    await anne.leave()

    assert await bert.acquire([1, 2], []) == [1, 2]


async def test_notification_ends_waiting(join: Join, request: pytest.FixtureRequest) -> None:
    if "portable" in request.node.name:
        pytest.skip("nobody is nudged there")
    anne, bert = join(ANNE), join(BERT)
    await bert.heartbeat()
    await anne.acquire([1], [])

    waiting = asyncio.create_task(bert.wait_for_notification(LONG))
    await anne.transfer({1: BERT})

    async with asyncio.timeout(LONG.total_seconds() / 2):
        assert await waiting


async def test_waiting_for_a_notification_is_bounded(join: Join) -> None:
    anne = join(ANNE)
    await anne.heartbeat()

    async with asyncio.timeout(LONG.total_seconds()):
        assert not await anne.wait_for_notification(timedelta(milliseconds=1))


async def test_released_liveness_lock_is_seen_by_other_nodes(
    join: Join, request: pytest.FixtureRequest
) -> None:
    if "portable" in request.node.name:
        pytest.skip("there is none")
    anne, bert = join(ANNE), join(BERT)
    await bert.heartbeat()
    assert (await anne.heartbeat()).nodes[BERT].holds_liveness_lock

    await bert.close()

    async with asyncio.timeout(LONG.total_seconds()):  # the server has to notice
        while (await anne.heartbeat()).nodes[BERT].holds_liveness_lock:
            await anne.wait_for_notification(timedelta(milliseconds=10))
