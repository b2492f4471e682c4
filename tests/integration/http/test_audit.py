"""Whether the log is what was written, as whoever asks is told."""

from __future__ import annotations

import httpx
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


async def test_unchanged_log_is_valid(client: httpx.AsyncClient, world: InMemoryService) -> None:
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


async def test_altered_log_names_its_first_bad_event(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    await waiting(world)
    shard = await a_shard(world)
    payload = shard[3].payload.replace(b"7", b"8")
    assert payload != shard[3].payload
    shard[3] = shard[3]._replace(payload=payload)

    answer = await verdict(client)

    assert (answer.valid, answer.events, answer.heads) == (False, None, None)
    assert answer.first_bad is not None
    assert (answer.first_bad.shard_id, answer.first_bad.seq) == (shard[0].shard_id, 4)
    assert answer.first_bad.saga_id == shard[-1].stream_id
    assert answer.first_bad.why == "this event, or the one before it, is not as it was recorded"


async def test_unavailable_log_is_a_problem(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    async def away(shard_id: int, *, after_seq: int = 0, limit: int = 0) -> Shard:
        raise LogUnavailable("no answer")

    world.log.read_shard = away  # type: ignore[method-assign]

    response = await client.get("/audit/verify")

    assert (response.status_code, response.json()["code"]) == (503, "read-model-unavailable")
    assert response.json()["retryable"] is True
