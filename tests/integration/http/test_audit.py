"""Whether the log is what was written, as whoever asks is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.event import RecordedEvent
from saga_orchestrator.http.wire.responses import AuditResponse
from saga_orchestrator.tests.support.in_memory_service import InMemoryService

from .situations import completed, waiting

Shard = list[RecordedEvent]


async def verdict(client: httpx.AsyncClient) -> AuditResponse:
    response = await client.get("/audit/verify")
    assert response.status_code == 200
    return AuditResponse.model_validate_json(response.content)


async def a_shard(world: InMemoryService) -> Shard:
    """Of a saga with eight events, after the one of its owner."""
    saga_id = await completed(world)
    return next(one for one in world.log.store.shards.values() if one[-1].stream_id == saga_id)


def paid_less(shard: Shard) -> int:
    payload = shard[3].payload.replace(b"7", b"8")
    assert payload != shard[3].payload
    shard[3] = shard[3]._replace(payload=payload)
    return 4


def dated_back(shard: Shard) -> int:
    shard[2] = shard[2]._replace(recorded_at=shard[2].recorded_at - timedelta(days=1))
    return 3


def renamed(shard: Shard) -> int:
    shard[3] = shard[3]._replace(type="StepRejected")
    return 4


def left_out(shard: Shard) -> int:
    del shard[4]
    return 6


def swapped(shard: Shard) -> int:
    shard[3], shard[4] = shard[4], shard[3]
    return 5


def doubled(shard: Shard) -> int:
    shard.insert(4, shard[3])
    return 4


async def test_a_log_that_nobody_touched(client: httpx.AsyncClient, world: InMemoryService) -> None:
    await completed(world)
    await waiting(world)

    answer = await verdict(client)

    shards = world.log.store.shards.values()
    assert (answer.valid, answer.first_bad) == (True, None)
    assert answer.events == sum(len(one) for one in shards)
    assert answer.heads is not None
    told = {int(shard_id): (one.seq, one.hash) for shard_id, one in answer.heads.items()}
    heads = await world.log.heads()
    assert told == {shard_id: (one.seq, one.hash.hex()) for shard_id, one in heads.items()}


@pytest.mark.parametrize("alter", [paid_less, dated_back, renamed, left_out, swapped, doubled])
async def test_a_log_that_was_altered_names_the_first_bad_event(
    client: httpx.AsyncClient, world: InMemoryService, alter: Callable[[Shard], int]
) -> None:
    await waiting(world)
    shard = await a_shard(world)
    seq = alter(shard)

    answer = await verdict(client)

    assert (answer.valid, answer.events, answer.heads) == (False, None, None)
    assert answer.first_bad is not None
    assert answer.first_bad.shard_id == shard[0].shard_id
    assert answer.first_bad.seq == seq
    assert answer.first_bad.saga_id == shard[-1].stream_id
    assert answer.first_bad.why == "this event, or the one before it, is not as it was recorded"


async def test_a_log_that_does_not_answer(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    async def away(shard_id: int, *, after_seq: int = 0, limit: int = 0) -> Shard:
        raise LogUnavailable("no answer")

    world.log.read_shard = away  # type: ignore[method-assign]

    response = await client.get("/audit/verify")

    assert (response.status_code, response.json()["code"]) == (503, "read-model-unavailable")
    assert response.json()["retryable"] is True


async def test_a_query_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.get("/audit/verify?shard=1")

    assert (response.status_code, response.json()["code"]) == (422, "invalid-query")
