from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.tests.support.in_memory_service import InMemoryService

NO_MONEY = Response(402, {}, b'{"detail": "card declined"}')


async def a_completed(service: InMemoryService) -> str:
    saga = await service.start("order_processing")
    return (await service.await_rest(saga.state.saga_id)).state.saga_id


async def test_status_of_a_completed_saga_is_final(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await a_completed(service)

    response = await client.get(f"/sagas/{saga_id}/status")

    status = response.json()
    assert response.headers["etag"] == '"8"'
    assert (status["status"], status["success"], status["version"]) == ("completed", True, 8)
    assert [step["status"] for step in status["steps"]] == ["succeeded"] * 3
    assert (status["current_step"], status["remaining_steps"]) == (None, [])


@pytest.mark.parametrize("tags", ['"8"', 'W/"8"', '"7", "8"', "*"])
async def test_client_with_the_current_version_gets_304(
    client: httpx.AsyncClient, service: InMemoryService, tags: str
) -> None:
    saga_id = await a_completed(service)

    for path in (f"/sagas/{saga_id}/status", f"/sagas/{saga_id}"):
        response = await client.get(path, headers={"If-None-Match": tags})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == '"8"'


@pytest.mark.parametrize("tags", ['"7"', "8", '"88"', "nonsense"])
async def test_client_with_another_version_gets_the_status(
    client: httpx.AsyncClient, service: InMemoryService, tags: str
) -> None:
    saga_id = await a_completed(service)

    response = await client.get(f"/sagas/{saga_id}/status", headers={"If-None-Match": tags})

    assert response.status_code == 200


async def test_status_is_returned_as_of_a_version(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await a_completed(service)

    response = await client.get(f"/sagas/{saga_id}/status?at_version=2")

    status = response.json()
    assert response.headers["etag"] == '"2"'
    assert (status["status"], status["version"]) == ("running", 2)
    assert [step["status"] for step in status["steps"]] == ["calling", "pending", "pending"]


async def test_status_is_returned_as_of_a_time(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = (await service.start_held("create_order")).state.saga_id
    before = service.clock.time
    service.clock.advance(timedelta(seconds=5))
    service.participants.release("create_order")
    await service.await_rest(saga_id)

    then = await client.get(f"/sagas/{saga_id}/status", params={"at": before.isoformat()})
    now = await client.get(f"/sagas/{saga_id}/status?at=2026-03-01T12:00:05Z")

    assert (then.json()["status"], now.json()["status"]) == ("running", "completed")


async def test_client_can_wait_for_a_version_over_http(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = (await service.start_held("create_order")).state.saga_id
    asking = asyncio.ensure_future(client.get(f"/sagas/{saga_id}/status?min_version=8"))
    service.participants.release("create_order")

    response = await asking

    assert (response.status_code, response.json()["version"]) == (200, 8)


async def test_client_waits_for_a_version_no_longer_than_preferred(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = (await service.start_held("create_order")).state.saga_id

    response = await client.get(
        f"/sagas/{saga_id}/status?min_version=8", headers={"Prefer": "wait=0"}
    )

    assert (response.status_code, response.json()["code"]) == (409, "version-not-reached")
    assert response.json()["retryable"] is True


async def test_details_of_a_saga_are_complete(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    service.participants.will_reply("process_payment", NO_MONEY)
    saga_id = await a_completed(service)

    saga = (await client.get(f"/sagas/{saga_id}")).json()

    assert saga["status"] == "compensated"
    assert saga["definition"]["saga"] == "order_processing"
    assert saga["input"]["step_data"][2] == {"order_id": 123}
    assert (saga["tags"], saga["outputs"], saga["start_at"]) == ({}, {}, None)


async def test_events_are_returned_in_order_and_in_pages(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await a_completed(service)
    path, trail = f"/sagas/{saga_id}/events?limit=3", []
    while path:
        response = await client.get(path)
        trail += response.json()["events"]
        path = response.links.get("next", {}).get("url", "")

    assert [event["version"] for event in trail] == list(range(1, 9))
    assert [event["type"] for event in trail][:3] == ["SagaStarted", "StepCalled", "StepSucceeded"]
    assert trail[1]["data"] == {"step": "create_order", "attempt": 1}


async def test_page_after_the_last_event_is_empty(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await a_completed(service)

    response = await client.get(f"/sagas/{saga_id}/events?after=8")

    assert (response.json(), "link" in response.headers) == ({"events": []}, False)


async def test_reason_of_an_event_is_beside_its_data(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await a_completed(service)
    await client.post(f"/sagas/{saga_id}/compensate", json={"reason": "sent twice"})

    events = (await client.get(f"/sagas/{saga_id}/events?after=8&limit=1")).json()["events"]

    assert events[0]["type"] == "CompensationStarted"
    assert events[0]["reason"] == "sent twice"
    assert "reason" not in events[0]["data"]
