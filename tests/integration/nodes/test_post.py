"""Any node takes any request: what another one drives is asked of it by post."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import pytest
from saga_orchestrator.eventstore import LogUnavailable, Message, StreamId, shard_of
from saga_orchestrator.fsm.errors import NoSuchStep, NotAllowed
from saga_orchestrator.fsm.happening import (
    CancelAsked,
    PauseAsked,
    ResumeAsked,
    SignalSent,
    SkipAsked,
    StartRequested,
)
from saga_orchestrator.fsm.runtime.errors import IdempotencyKeyReused, SagaNotFound, VersionMoved
from saga_orchestrator.fsm.runtime.message import Ask, decode_answer, encode_question
from saga_orchestrator.fsm.runtime.orchestrator import StartKey
from saga_orchestrator.tests.cluster import Cluster, Node
from saga_orchestrator.tests.world import NOON, ORDER

NAP = """
saga: nap
version: 1
steps:
  - {name: book, participant: order-service, action: {path: /orders}, compensation: {path: /undo}}
  - {name: sleep, sleep: 10m}
  - {name: approve, wait_for: {signal: approval, timeout: 1h}}
"""
KEY = StartKey("a key", b"digest")
REQUEST = StartRequested(
    entity_id=1, input={"step_data": ORDER}, deadline=timedelta(minutes=5), tags={"a": "b"}
)
Result = TypeVar("Result")


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    yield made
    await made.close()


async def two(cluster: Cluster) -> tuple[Node, Node]:
    nodes = await cluster.join("anne", NAP), await cluster.join("bert", NAP)
    await cluster.settle()
    return nodes


async def settled(cluster: Cluster, work: Awaitable[Result]) -> Result:
    """What comes of it while the nodes look after their post."""
    asked = asyncio.ensure_future(work)
    while not asked.done():
        await cluster.settle()
    return await asked


async def napping(cluster: Cluster, node: Node) -> StreamId:
    saga = await node.world.start("nap")
    await cluster.settle()
    return StreamId(saga.state.saga_id)


async def test_a_verb_is_taken_by_any_node(cluster: Cluster) -> None:
    anne, bert = await two(cluster)
    saga_id = await napping(cluster, bert)

    asked = anne.world.orchestrator.ask(saga_id, CancelAsked(actor="anna", reason="a mistake"))
    there = await settled(cluster, asked)

    assert there.state.status in ("compensating", "compensated")
    types = [one.type for one in cluster.store.streams[saga_id]]
    assert types.count("ForwardedInputApplied") == 1


async def test_a_refusal_is_told_as_if_the_saga_were_here(cluster: Cluster) -> None:
    anne, bert = await two(cluster)
    saga_id = await napping(cluster, bert)

    with pytest.raises(NotAllowed, match="not paused") as here:
        await bert.world.orchestrator.ask(saga_id, ResumeAsked())
    with pytest.raises(NotAllowed, match="not paused") as there:
        await settled(cluster, anne.world.orchestrator.ask(saga_id, ResumeAsked()))

    assert str(there.value) == str(here.value)
    assert tuple(there.value.allowed_actions) == here.value.allowed_actions
    with pytest.raises(NoSuchStep):
        await settled(cluster, anne.world.orchestrator.ask(saga_id, SkipAsked(step="nothing")))


async def test_an_expected_version_is_demanded_there(cluster: Cluster) -> None:
    anne, bert = await two(cluster)
    saga_id = await napping(cluster, bert)
    orchestrator = anne.world.orchestrator

    with pytest.raises(VersionMoved):
        await settled(cluster, orchestrator.ask(saga_id, PauseAsked(), expected_version=1))

    version = (await orchestrator.saga(saga_id)).state.version
    asked = orchestrator.ask(saga_id, PauseAsked(), expected_version=version)
    paused = await settled(cluster, asked)
    assert paused.state.paused_at is not None


async def test_a_saga_that_is_not_there_is_nobodys(cluster: Cluster) -> None:
    anne, bert = await two(cluster)
    nobody = anne.world.clock.new_saga_id(min(bert.shards), 64)

    with pytest.raises(SagaNotFound):
        await anne.world.orchestrator.ask(nobody, PauseAsked())
    assert cluster.nodes.messages == {}


async def test_a_message_that_was_taken_but_not_answered_counts_once(cluster: Cluster) -> None:
    """Its node dies in between; the next owner reads it again."""
    anne, bert = await two(cluster)
    saga_id = await napping(cluster, bert)
    signal = SignalSent(name="approval", body={"by": "anna"})

    answer = await answered_anew(cluster, anne, Ask(saga_id=saga_id, happening=signal))

    saga = await anne.world.orchestrator.saga(saga_id)
    assert len(saga.state.signals) == 1
    assert decode_answer(answer).version == saga.state.version


async def test_a_message_that_was_taken_is_not_refused_for_the_version_it_made(
    cluster: Cluster,
) -> None:
    anne, bert = await two(cluster)
    saga_id = await napping(cluster, bert)
    version = (await anne.world.orchestrator.saga(saga_id)).state.version
    question = Ask(saga_id=saga_id, happening=PauseAsked(), expected_version=version)

    answer = await answered_anew(cluster, anne, question)

    saga = await anne.world.orchestrator.saga(saga_id)
    assert saga.state.paused_at is not None
    assert decode_answer(answer).version == saga.state.version


async def answered_anew(cluster: Cluster, anne: Node, question: Ask) -> bytes:
    """What anne answers to a question that bert has taken and not answered."""
    message = Message(
        message_id=anne.world.clock.new_saga_id(0, 1),
        shard_id=shard_of(question.saga_id),
        sender="anne",
        body=encode_question(question),
    )
    await anne.ownership.post.inbox.send(message)
    await cluster.settle()
    del cluster.nodes.answers[message.message_id]
    await cluster.kill("bert")
    await cluster.settle()
    return cluster.nodes.answers[message.message_id]


async def test_a_question_to_a_node_that_dies_is_answered_by_its_heir(cluster: Cluster) -> None:
    anne, bert = await two(cluster)
    saga_id = await napping(cluster, bert)
    asked = asyncio.ensure_future(anne.world.orchestrator.ask(saga_id, PauseAsked()))
    await asyncio.sleep(0)

    await cluster.kill("bert")
    await cluster.settle()

    assert (await asked).state.paused_at is not None


async def test_a_question_is_looked_at_again_where_nobody_knows_whether_it_counted(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    anne, bert = await two(cluster)
    saga_id = await napping(cluster, bert)
    append = bert.world.log.append

    async def append_unheard(*append_this: Any) -> NoReturn:
        await append(*append_this)
        raise LogUnavailable("closing")

    monkeypatch.setattr(bert.world.log, "append", append_unheard)
    asked = await settled(cluster, anne.world.orchestrator.ask(saga_id, PauseAsked()))

    assert asked.state.paused_at is not None
    types = [one.type for one in cluster.store.streams[saga_id]]
    assert types.count("ForwardedInputApplied") == 1


async def test_equal_starts_on_two_nodes_make_one_saga(cluster: Cluster) -> None:
    nodes = await two(cluster)

    started = await settled(
        cluster,
        asyncio.gather(
            *(
                node.world.orchestrator.start("order_processing", REQUEST, key=KEY)
                for _ in range(3)
                for node in nodes
            )
        ),
    )

    assert len({one.saga.state.saga_id for one in started}) == 1
    assert [one.replayed for one in started].count(False) == 1


async def test_what_a_key_has_started_is_found_on_any_node(cluster: Cluster) -> None:
    anne, bert = await two(cluster)
    started = await settled(
        cluster, anne.world.orchestrator.start("order_processing", REQUEST, key=KEY)
    )

    found = await settled(cluster, bert.world.orchestrator.started_before(KEY))

    assert found is not None
    assert (found.saga.state.saga_id, found.replayed) == (started.saga.state.saga_id, True)
    assert await bert.world.orchestrator.started_before(StartKey("another", b"")) is None
    with pytest.raises(IdempotencyKeyReused):
        await bert.world.orchestrator.started_before(StartKey(KEY.key, b"another"))


async def test_a_start_whose_key_was_claimed_by_a_node_that_died_begins_where_it_belongs(
    cluster: Cluster,
) -> None:
    anne, bert = await two(cluster)
    saga_id = StreamId(bert.world.clock.new_saga_id(min(bert.shards), 64))
    await bert.world.log.claim_key(KEY.key, digest=KEY.digest, stream_id=saga_id, claimed_at=NOON)

    orchestrator = anne.world.orchestrator
    started = await settled(cluster, orchestrator.start("order_processing", REQUEST, key=KEY))

    state = started.saga.state
    assert (state.saga_id, started.replayed) == (saga_id, False)
    assert (state.deadline, state.tags) == (NOON + timedelta(minutes=5), {"a": "b"})
