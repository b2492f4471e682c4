"""A start whose log went away before it answered: neither a yes nor a no, and the client knows."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.event import NewEvent, RecordedEvent, StreamId
from saga_orchestrator.eventstore.memory import InMemoryLog
from saga_orchestrator.tests.support.in_memory_service import InMemoryService

from .situations import START


class AmbiguousLog(InMemoryLog):
    """Records, and cannot tell."""

    async def append(
        self, stream_id: StreamId, expected_version: int, events: Sequence[NewEvent]
    ) -> Sequence[RecordedEvent]:
        await super().append(stream_id, expected_version, events)
        raise LogUnavailable("the connection broke during the commit")


def ambiguous(service: InMemoryService) -> AmbiguousLog:
    """Return a log with the epochs of that of the service, to stand in its place."""
    log = AmbiguousLog(service.log.store)
    log._epochs = service.log._epochs
    return log


async def test_unconfirmed_start_can_be_repeated_with_its_key(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    headers = {"Idempotency-Key": "k", "Prefer": "wait=0"}
    service.driver.repository.log = ambiguous(service)

    late = await client.post("/sagas/start", json=START, headers=headers)
    service.driver.repository.log = service.log
    again = await client.post("/sagas/start", json=START, headers=headers)

    assert (late.status_code, late.json()["code"]) == (503, "start-unconfirmed")
    assert "same Idempotency-Key" in late.json()["detail"]
    assert again.headers["idempotency-replayed"] == "true"
    assert [event.type for event in service.events].count("SagaStarted") == 1


async def test_unconfirmed_start_without_a_key_says_to_look_first(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    service.driver.repository.log = ambiguous(service)

    response = await client.post("/sagas/start", json=START)

    assert "look for it before you start it again" in response.json()["detail"]
