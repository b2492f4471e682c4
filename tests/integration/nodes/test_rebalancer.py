"""Nodes come, go, die and freeze: every shard has one driver, and every saga goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore.cluster.inbox import Message
from saga_orchestrator.eventstore.cluster.membership import ClusterView
from saga_orchestrator.eventstore.event import SHARD_COUNT, StreamId, shard_of
from saga_orchestrator.fsm.runtime.sharding import lease, rebalancer
from saga_orchestrator.tests.support.in_memory_cluster import InMemoryCluster, Node

ALL = set(range(SHARD_COUNT))


@pytest.fixture
async def cluster() -> AsyncIterator[InMemoryCluster]:
    made = InMemoryCluster()
    yield made
    await made.close()


async def two(cluster: InMemoryCluster) -> tuple[Node, Node]:
    nodes = await cluster.join("anne"), await cluster.join("bert")
    await cluster.settle()
    return nodes


async def held_saga(cluster: InMemoryCluster, node: Node) -> StreamId:
    """A saga whose first call has arrived and is not answered."""
    cluster.participants.hold("create_order")
    saga = await node.service.start("order_processing")
    await cluster.participants.await_call("create_order")
    return StreamId(saga.state.saga_id)


async def test_single_node_drives_all_shards(cluster: InMemoryCluster) -> None:
    anne = await cluster.join("anne")

    await cluster.settle()

    assert anne.shards == ALL
    assert anne.ownership.problem(timedelta(minutes=1)) is None


async def test_joining_node_gets_its_half_and_no_shard_has_two_drivers(
    cluster: InMemoryCluster,
) -> None:
    anne = await cluster.join("anne")
    await cluster.settle()

    bert = await cluster.join("bert")
    await cluster.settle()

    assert (len(anne.shards), len(bert.shards)) == (32, 32)
    assert anne.shards | bert.shards == ALL


async def test_woken_node_drops_lost_shards_and_gets_its_share_again(
    cluster: InMemoryCluster,
) -> None:
    anne, bert = await two(cluster)
    frozen = cluster.freeze("bert")
    await cluster.settle()

    cluster.thaw("bert", frozen)
    await cluster.settle()

    assert (len(anne.shards), len(bert.shards)) == (32, 32)
    assert anne.shards | bert.shards == ALL


async def test_lease_of_a_woken_node_is_current_after_it_dropped_lost_shards(
    cluster: InMemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log may still be at an append, and till then it holds sagas as they were."""
    _, bert = await two(cluster)
    frozen = cluster.freeze("bert")
    await cluster.settle()
    appended = asyncio.Event()
    release = bert.service.log.release

    async def release_behind_it(shard_ids: Collection[int]) -> None:
        await appended.wait()
        await release(shard_ids)

    monkeypatch.setattr(bert.service.log, "release", release_behind_it)
    bert.lease._renewed_at = None  # eleven seconds have gone by on the cluster's clock alone
    step = asyncio.ensure_future(frozen.ownership.step())
    await asyncio.sleep(0)
    assert not bert.lease.is_current
    assert bert.ownership.problem(timedelta(minutes=1)) == "no heartbeat could be sent"

    appended.set()
    await step
    assert bert.lease.is_current


async def test_node_recovers_shards_that_went_away_and_came_back_unnoticed(
    cluster: InMemoryCluster,
) -> None:
    """It had given a sign of life, and the answer was lost."""
    anne, bert = await two(cluster)
    frozen, before = cluster.freeze("bert"), bert.shards
    bert.lease._renewed_at = None  # eleven seconds have gone by on the cluster's clock alone
    await cluster.settle()
    await bert.membership.heartbeat()
    await cluster.settle()
    epochs = {shard_id: bert.service.driver.shards.epoch_of(shard_id) for shard_id in bert.shards}
    assert anne.shards == ALL - before

    cluster.thaw("bert", frozen)
    await cluster.settle()

    assert bert.shards == before
    assert all(
        bert.service.driver.shards.epoch_of(shard_id) > epochs[shard_id] for shard_id in before
    )


async def test_shard_is_handed_over_only_after_its_calls_in_flight_have_ended(
    cluster: InMemoryCluster,
) -> None:
    anne = await cluster.join("anne")
    await cluster.settle()
    for _ in range(SHARD_COUNT):  # one is in each shard
        await anne.service.start("order_processing")
    cluster.participants.hold("create_order")
    sagas = [
        (await anne.service.start("order_processing")).state.saga_id for _ in range(SHARD_COUNT)
    ]
    await asyncio.sleep(0)

    bert = await cluster.join("bert")
    await cluster.settle()
    assert (anne.shards, bert.shards) == (ALL, set())
    assert len(anne.service.driver.shards.draining) == 32

    cluster.participants.release("create_order")
    await cluster.settle()
    assert (len(anne.shards), len(bert.shards)) == (32, 32)
    for saga_id in sagas:
        assert (await anne.service.await_rest(saga_id)).state.status == "completed"
    keys = [call.headers["idempotency-key"] for call in cluster.participants.sent]
    assert len(keys) == len(set(keys)), "nothing is sent twice for a handing over"


async def test_node_without_heartbeats_reports_a_problem(cluster: InMemoryCluster) -> None:
    anne = await cluster.join("anne")

    assert anne.ownership.problem(timedelta(minutes=1)) == "no heartbeat could be sent"
    assert not anne.lease.is_current


async def test_shard_is_driven_again_if_its_hand_over_failed_and_its_new_owner_is_gone(
    cluster: InMemoryCluster,
) -> None:
    anne = await cluster.join("anne")
    await cluster.settle()
    saga_id = await held_saga(cluster, anne)
    shard_id = shard_of(saga_id)

    anne.service.driver.drain_shards([shard_id])  # and what was to hand it over has failed
    await cluster.settle()
    cluster.participants.release("create_order")

    assert anne.service.driver.drives(saga_id)
    assert (await anne.service.await_rest(saga_id)).state.status == "completed"


async def test_node_without_a_current_lease_is_not_alone(
    cluster: InMemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    anne = await cluster.join("anne")
    await cluster.settle()
    assert anne.lease.is_alone

    monkeypatch.setattr(lease, "TRUST_WINDOW", timedelta())

    assert not anne.lease.is_alone


async def test_node_sends_heartbeats_while_its_messages_cannot_be_read(
    cluster: InMemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebalancer, "HEARTBEAT_INTERVAL", timedelta())
    anne = await cluster.join("anne")
    beats, seen = asyncio.Semaphore(0), anne.membership.heartbeat

    async def beat(*, leaving: bool = False) -> ClusterView:
        beats.release()
        return await seen(leaving=leaving)

    async def never(shard_ids: Collection[int]) -> Sequence[Message]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(anne.membership, "heartbeat", beat)
    monkeypatch.setattr(anne.ownership.messenger.inbox, "unanswered", never)
    running = asyncio.create_task(anne.ownership.run())

    async with asyncio.timeout(5):
        for _ in range(5):
            await beats.acquire()

    assert anne.lease.is_current
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
