"""Whether the log is what was written, as whoever asks is told."""

from __future__ import annotations

import httpx
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.event import RecordedEvent
from saga_orchestrator.http.wire.responses import AuditResponse
from saga_orchestrator.tests.support.in_memory_service import InMemoryService

from .situations import completed, waiting

Shard = list[RecordedEvent]


async def audit_response(client: httpx.AsyncClient) -> AuditResponse:
    response = await client.get("/audit/verify")
    assert response.status_code == 200
    return AuditResponse.model_validate_json(response.content)


async def a_shard(service: InMemoryService) -> Shard:
    """Of a saga with eight events, after the one of its owner."""
    saga_id = await completed(service)
    return next(
        shard for shard in service.log.store.shards.values() if shard[-1].stream_id == saga_id
    )


async def test_unchanged_log_is_valid(client: httpx.AsyncClient, service: InMemoryService) -> None:
    await completed(service)
    await waiting(service)

    answer = await audit_response(client)

    shards = service.log.store.shards.values()
    assert (answer.valid, answer.first_bad) == (True, None)
    assert answer.events == sum(len(shard) for shard in shards)
    assert answer.heads is not None
    served_heads = {int(shard_id): (head.seq, head.hash) for shard_id, head in answer.heads.items()}
    heads = await service.log.heads()
    assert served_heads == {
        shard_id: (head.seq, head.hash.hex()) for shard_id, head in heads.items()
    }


async def test_altered_log_names_its_first_bad_event(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    await waiting(service)
    shard = await a_shard(service)
    payload = shard[3].payload.replace(b"7", b"8")
    assert payload != shard[3].payload
    shard[3] = shard[3]._replace(payload=payload)

    answer = await audit_response(client)

    assert (answer.valid, answer.events, answer.heads) == (False, None, None)
    assert answer.first_bad is not None
    assert (answer.first_bad.shard_id, answer.first_bad.seq) == (shard[0].shard_id, 4)
    assert answer.first_bad.saga_id == shard[-1].stream_id
    assert answer.first_bad.why == "this event, or the one before it, is not as it was recorded"


async def test_unavailable_log_is_a_problem(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    async def away(shard_id: int, *, after_seq: int = 0, limit: int = 0) -> Shard:
        raise LogUnavailable("no answer")

    service.log.read_shard = away  # type: ignore[method-assign]

    response = await client.get("/audit/verify")

    assert (response.status_code, response.json()["code"]) == (503, "read-model-unavailable")
    assert response.json()["retryable"] is True
