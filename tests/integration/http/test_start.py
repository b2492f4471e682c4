from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from saga_orchestrator.eventstore.event import StreamId
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.fsm.runtime.concurrency import SharedTimeout
from saga_orchestrator.http.participants.webhook_sender import WebhookPolicy
from saga_orchestrator.http.state import AppState
from saga_orchestrator.http.wire.headers import former_digest, request_digest
from saga_orchestrator.tests.integration.http.clients import client_of
from saga_orchestrator.tests.support.asgi_requests import JSON
from saga_orchestrator.tests.support.in_memory_service import (
    NOON,
    ORDER_PROCESSING,
    ORDER_STEP_DATA,
    InMemoryService,
    definition_from_yaml,
)

from .situations import START

NOBODY = "018f0000-0000-7000-8000-000000000003"
NO_MONEY = Response(402, {}, b'{"detail": "card declined"}')


def without_id(response: httpx.Response) -> dict[str, Any]:
    answer: dict[str, Any] = response.json()
    del answer["saga_id"]
    return answer


async def test_start_waits_for_the_end_and_returns_the_outputs(client: httpx.AsyncClient) -> None:
    response = await client.post("/sagas/start", json=START)

    output = {"order_id": 7, "payment_id": 8}
    assert response.status_code == 200
    assert without_id(response) == {
        "success": True,
        "saga_type": "order_processing",
        "entity_id": 123,
        "status": "completed",
        "error": None,
        "outputs": {"create_order": output, "process_payment": output, "confirm_order": output},
    }


async def test_start_of_a_compensated_saga_returns_the_reason(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    service.participants.will_reply("process_payment", NO_MONEY)

    response = await client.post("/sagas/start", json=START)

    assert response.status_code == 200
    assert without_id(response) == {
        "success": False,
        "saga_type": "order_processing",
        "entity_id": 123,
        "status": "compensated",
        "error": "process_payment was rejected: 402 card declined",
        "outputs": {},
    }


async def test_start_of_a_running_saga_is_accepted_with_its_location(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    service.participants.hold("create_order")

    response = await client.post("/sagas/start", json=START, headers={"Prefer": "wait=0"})

    saga_id = response.json()["saga_id"]
    assert response.status_code == 202
    assert response.headers["location"] == f"/sagas/{saga_id}/status"
    assert response.headers["retry-after"] == "1"
    assert response.headers["preference-applied"] == "wait=0"
    assert without_id(response) == {
        "success": False,
        "saga_type": "order_processing",
        "entity_id": 123,
        "status": "running",
        "error": "still running",
        "outputs": {},
    }


async def test_repeated_key_and_body_return_the_same_saga(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    first = await client.post("/sagas/start", json=START, headers={"Idempotency-Key": "k-1"})
    recorded = len(service.events)
    body = b'{ "step_data": %b, "entity_id":123,"saga_type" : "order_processing"}'
    again = await client.post(
        "/sagas/start",
        content=body % httpx.Request("POST", "http://x", json=ORDER_STEP_DATA).content,
        headers={**JSON, "Idempotency-Key": '"k-1"'},
    )

    assert again.status_code == 200
    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content
    assert len(service.events) == recorded


async def test_replayed_start_of_a_saga_at_rest_is_200_without_waiting(
    client: httpx.AsyncClient,
) -> None:
    headers = {"Idempotency-Key": "k", "Prefer": "respond-async"}
    await client.post("/sagas/start", json=START, headers={"Idempotency-Key": "k"})

    again = await client.post("/sagas/start", json=START, headers=headers)

    assert again.status_code == 200
    assert "preference-applied" not in again.headers


async def test_key_with_another_body_is_refused(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    headers = {"Idempotency-Key": "k"}
    await client.post("/sagas/start", json=START, headers=headers)

    other = await client.post("/sagas/start", json={**START, "entity_id": 9}, headers=headers)

    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert [event.type for event in service.events].count("SagaStarted") == 1


async def stricter_definition(state: AppState) -> AppState:
    """Version 2 needs what the first start did not give."""
    document = ORDER_PROCESSING.replace("version: 1", "version: 2", 1)
    document = document.replace("path: /orders,", 'path: "/${input.branch}",', 1)
    assert "input.branch" in document
    await state["orchestrator"].register(definition_from_yaml(document))
    return state


async def stricter_callbacks(state: AppState) -> AppState:
    """As after a restart with other settings."""
    return {**state, "webhook_policy": WebhookPolicy([], loopback=False)}


@pytest.mark.parametrize("become_stricter", [stricter_definition, stricter_callbacks])
async def test_repeated_start_is_answered_whatever_starts_need_meanwhile(
    state: AppState,
    service: InMemoryService,
    become_stricter: Callable[[AppState], Awaitable[AppState]],
) -> None:
    start = {**START, "callback_url": "http://127.0.0.1:9001/api/told"}
    keyed = {"Idempotency-Key": "k"}
    async with client_of(state) as client:
        first = await client.post("/sagas/start", json=start, headers=keyed)
    recorded = len(service.events)

    async with client_of(await become_stricter(state)) as client:
        unkeyed = await client.post("/sagas/start", json=start)
        new = await client.post("/sagas/start", json=start, headers={"Idempotency-Key": "n"})
        other = await client.post("/sagas/start", json={**start, "entity_id": 9}, headers=keyed)
        again = await client.post("/sagas/start", json=start, headers=keyed)

    assert [response.status_code for response in (first, unkeyed, new, other)] == [
        200,
        422,
        422,
        422,
    ]
    assert new.json()["code"] == unkeyed.json()["code"] != "idempotency-key-reused"
    assert other.json()["code"] == "idempotency-key-reused"
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert len(service.events) == recorded
    assert set(service.log.store.keys) == {"k"}


async def test_key_recorded_by_an_older_version_still_works(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    keyed = {"Idempotency-Key": "k"}
    first = await client.post("/sagas/start", json=START, headers=keyed)
    keys = service.log.store.keys
    keys["k"] = replace(keys["k"], digest=former_digest(START))

    again = await client.post("/sagas/start", json=START, headers=keyed)
    other = await client.post("/sagas/start", json={**START, "tags": {}}, headers=keyed)

    assert (again.status_code, again.content) == (200, first.content)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


async def test_key_of_an_unrecorded_start_is_checked_like_a_new_one(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    start: dict[str, Any] = {**START, "step_data": []}
    key = request_digest(start)
    await service.log.claim_key("k", digest=key, stream_id=StreamId(NOBODY), claimed_at=NOON)

    response = await client.post("/sagas/start", json=start, headers={"Idempotency-Key": "k"})

    assert (response.status_code, response.json()["code"]) == (422, "invalid-input")
    assert service.events == []


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256, '"open', '""', '"a";b=1'])
async def test_invalid_key_is_refused(
    client: httpx.AsyncClient, service: InMemoryService, key: str
) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    response = await client.post("/sagas/start", json=START, headers=headers)

    assert (response.status_code, response.json()["code"]) == (422, "invalid-idempotency-key")
    assert service.events == []


async def test_members_of_a_start_are_kept(client: httpx.AsyncClient) -> None:
    start = {
        **START,
        "entity_id": "order/ü",
        "input": {"customer": {"vip": True}},
        "version": 1,
        "tags": {"region": "eu"},
        "deadline": "90s",
        "start_at": "2026-03-01T14:00:00+01:00",
    }
    saga_id = (await client.post("/sagas/start", json=start, headers={"Prefer": "wait=0"})).json()[
        "saga_id"
    ]

    saga = (await client.get(f"/sagas/{saga_id}")).json()

    assert saga["status"] == "pending"
    assert saga["entity_id"] == "order/ü"
    assert saga["input"] == {"customer": {"vip": True}, "step_data": ORDER_STEP_DATA}
    assert saga["tags"] == {"region": "eu"}
    assert saga["start_at"] == "2026-03-01T13:00:00.000000Z"
    assert saga["deadline"] == "2026-03-01T13:01:30.000000Z"


async def test_stopping_service_refuses_starts(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    service.driver.begin_stop()

    response = await client.post("/sagas/start", json=START)

    assert (response.status_code, response.json()["code"]) == (503, "not-serving")
    assert response.json()["retryable"] is True
    assert response.headers["retry-after"] == "1"
    assert service.events == []


async def test_start_that_takes_too_long_is_unconfirmed(
    client: httpx.AsyncClient, service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Idempotency-Key": "k"}
    monkeypatch.setattr(service.orchestrator, "_recording", SharedTimeout(timedelta()))
    late = await client.post("/sagas/start", json=START, headers=headers)
    monkeypatch.undo()

    again = await client.post("/sagas/start", json=START, headers=headers)

    assert (late.status_code, late.json()["code"]) == (503, "start-unconfirmed")
    assert "same Idempotency-Key" in late.json()["detail"]
    assert (again.status_code, again.json()["status"]) == (200, "completed")
    assert [event.type for event in service.events].count("SagaStarted") == 1


NO_TIME = [
    {"deadline": "0s"},
    {"deadline": "2026-03-01T11:59:59Z"},
    {"deadline": "2026-03-01T12:00:00Z"},
    {"deadline": "2026-03-01T13:00:00Z", "start_at": "2026-03-01T13:00:00Z"},
]


@pytest.mark.parametrize("given", NO_TIME)
async def test_deadline_before_the_start_is_refused(
    client: httpx.AsyncClient, service: InMemoryService, given: dict[str, str]
) -> None:
    response = await client.post("/sagas/start", json={**START, **given})

    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["/deadline"]
    assert service.events == []


async def test_repeated_start_is_answered_after_its_deadline(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    start, key = {**START, "deadline": "2026-03-01T12:00:01Z"}, {"Idempotency-Key": "k-1"}
    first = await client.post("/sagas/start", json=start, headers=key)
    service.clock.advance(timedelta(hours=1))

    again = await client.post("/sagas/start", json=start, headers=key)

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    other = await client.post("/sagas/start", json=start, headers={"Idempotency-Key": "k-2"})
    assert other.status_code == 422


@pytest.mark.parametrize("first", [[], ORDER_STEP_DATA, None])
async def test_step_data_given_twice_is_refused(
    client: httpx.AsyncClient, service: InMemoryService, first: object
) -> None:
    response = await client.post("/sagas/start", json={**START, "input": {"step_data": first}})

    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["/input/step_data"]
    assert service.events == []
    one_is_null = {**START, "step_data": None, "input": {"step_data": ORDER_STEP_DATA}}
    assert (await client.post("/sagas/start", json=one_is_null)).status_code == 200
