"""Any node takes any request: what another one drives is asked of it by post."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import pytest
from saga_orchestrator.eventstore.cluster.inbox import Message
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.event import StreamId, shard_of
from saga_orchestrator.fsm.inputs import Pause, StartSaga
from saga_orchestrator.fsm.runtime.errors import IdempotencyKeyReused, SagaNotFound, VersionConflict
from saga_orchestrator.fsm.runtime.orchestrator import IdempotencyKey
from saga_orchestrator.fsm.runtime.sharding.node_protocol import (
    RemoteCommand,
    decode_result,
    encode_request,
)
from saga_orchestrator.tests.support.in_memory_cluster import InMemoryCluster, Node
from saga_orchestrator.tests.support.in_memory_service import NOON, ORDER_STEP_DATA

NAP = """
saga: nap
version: 1
steps:
  - {name: book, participant: order-service, action: {path: /orders}, compensation: {path: /undo}}
  - {name: sleep, sleep: 10m}
  - {name: approve, wait_for: {signal: approval, timeout: 1h}}
"""
KEY = IdempotencyKey("a key", b"digest")
REQUEST = StartSaga(
    entity_id=1,
    input={"step_data": ORDER_STEP_DATA},
    deadline=timedelta(minutes=5),
    tags={"a": "b"},
)
Result = TypeVar("Result")


@pytest.fixture
async def cluster() -> AsyncIterator[InMemoryCluster]:
    made = InMemoryCluster()
    yield made
    await made.close()


async def two(cluster: InMemoryCluster) -> tuple[Node, Node]:
    nodes = await cluster.join("anne", NAP), await cluster.join("bert", NAP)
    await cluster.settle()
    return nodes


async def settled(cluster: InMemoryCluster, work: Awaitable[Result]) -> Result:
    """What comes of it while the nodes look after their post."""
    asked = asyncio.ensure_future(work)
    while not asked.done():
        await cluster.settle()
    return await asked


async def napping(cluster: InMemoryCluster, node: Node) -> StreamId:
    saga = await node.service.start("nap")
    await cluster.settle()
    return StreamId(saga.state.saga_id)


async def test_expected_version_is_checked_at_the_driving_node(cluster: InMemoryCluster) -> None:
    anne, bert = await two(cluster)
    saga_id = await napping(cluster, bert)
    orchestrator = anne.service.orchestrator

    with pytest.raises(VersionConflict):
        await settled(cluster, orchestrator.execute(saga_id, Pause(), expected_version=1))

    version = (await orchestrator.saga(saga_id)).state.version
    asked = orchestrator.execute(saga_id, Pause(), expected_version=version)
    paused = await settled(cluster, asked)
    assert paused.state.paused_at is not None


async def test_command_on_an_unknown_saga_is_not_found(cluster: InMemoryCluster) -> None:
    anne, bert = await two(cluster)
    nobody = anne.service.clock.new_saga_id(min(bert.shards), 64)

    with pytest.raises(SagaNotFound):
        await anne.service.orchestrator.execute(nobody, Pause())
    assert cluster.nodes.messages == {}


async def test_repeated_message_is_not_refused_for_the_version_it_made(
    cluster: InMemoryCluster,
) -> None:
    anne, bert = await two(cluster)
    saga_id = await napping(cluster, bert)
    version = (await anne.service.orchestrator.saga(saga_id)).state.version
    question = RemoteCommand(saga_id=saga_id, input=Pause(), expected_version=version)

    answer = await answered_anew(cluster, anne, question)

    saga = await anne.service.orchestrator.saga(saga_id)
    assert saga.state.paused_at is not None
    assert decode_result(answer).version == saga.state.version


async def answered_anew(cluster: InMemoryCluster, anne: Node, question: RemoteCommand) -> bytes:
    """What anne answers to a question that bert has taken and not answered."""
    message = Message(
        message_id=anne.service.clock.new_saga_id(0, 1),
        shard_id=shard_of(question.saga_id),
        sender="anne",
        body=encode_request(question),
    )
    await anne.ownership.messenger.inbox.send(message)
    await cluster.settle()
    del cluster.nodes.answers[message.message_id]
    await cluster.kill("bert")
    await cluster.settle()
    return cluster.nodes.answers[message.message_id]


async def test_request_to_a_dead_node_is_executed_by_its_successor(
    cluster: InMemoryCluster,
) -> None:
    anne, bert = await two(cluster)
    saga_id = await napping(cluster, bert)
    asked = asyncio.ensure_future(anne.service.orchestrator.execute(saga_id, Pause()))
    await asyncio.sleep(0)

    await cluster.kill("bert")
    await cluster.settle()

    assert (await asked).state.paused_at is not None


async def test_request_with_an_unknown_outcome_is_executed_again(
    cluster: InMemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    anne, bert = await two(cluster)
    saga_id = await napping(cluster, bert)
    append = bert.service.log.append

    async def append_unheard(*append_this: Any) -> NoReturn:
        await append(*append_this)
        raise LogUnavailable("closing")

    monkeypatch.setattr(bert.service.log, "append", append_unheard)
    asked = await settled(cluster, anne.service.orchestrator.execute(saga_id, Pause()))

    assert asked.state.paused_at is not None
    types = [event.type for event in cluster.store.streams[saga_id]]
    assert types.count("ForwardedInputApplied") == 1


async def test_saga_started_with_a_key_is_found_on_any_node(cluster: InMemoryCluster) -> None:
    anne, bert = await two(cluster)
    started = await settled(
        cluster, anne.service.orchestrator.start("order_processing", REQUEST, key=KEY)
    )

    found = await settled(cluster, bert.service.orchestrator.find_started(KEY))

    assert found is not None
    assert (found.saga.state.saga_id, found.replayed) == (started.saga.state.saga_id, True)
    assert await bert.service.orchestrator.find_started(IdempotencyKey("another", b"")) is None
    with pytest.raises(IdempotencyKeyReused):
        await bert.service.orchestrator.find_started(IdempotencyKey(KEY.key, b"another"))


async def test_start_with_a_key_claimed_by_a_dead_node_runs_at_the_shard_owner(
    cluster: InMemoryCluster,
) -> None:
    anne, bert = await two(cluster)
    saga_id = StreamId(bert.service.clock.new_saga_id(min(bert.shards), 64))
    await bert.service.log.claim_key(KEY.key, digest=KEY.digest, stream_id=saga_id, claimed_at=NOON)

    orchestrator = anne.service.orchestrator
    started = await settled(cluster, orchestrator.start("order_processing", REQUEST, key=KEY))

    state = started.saga.state
    assert (state.saga_id, started.replayed) == (saga_id, False)
    assert (state.deadline, state.tags) == (NOON + timedelta(minutes=5), {"a": "b"})
