from __future__ import annotations

import httpx
import pytest
from saga_orchestrator.fsm.instructions import child_id_of
from saga_orchestrator.tests.support.in_memory_service import InMemoryService

from .situations import SITUATIONS, started

UNDONE = ["POST /payments/8/compensate", "POST /orders/7/compensate"]
PARENT = """
saga: parent
version: 1
steps:
  - {name: order, saga: {type: order_processing, input: "${input}"}}
  - name: mail
    participant: mail
    action: {path: /mail}
    compensation:
      path: /mail/undo
      body: {order: "${steps.order.output.create_order.order_id}"}
"""


async def a_completed(service: InMemoryService, saga_type: str = "order_processing") -> str:
    saga = await service.start(saga_type)
    return (await service.await_rest(saga.state.saga_id)).state.saga_id


async def test_completed_saga_is_compensated(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await a_completed(service)

    response = await client.post(
        f"/sagas/{saga_id}/compensate",
        json={"reason": "customer left"},
        headers={"Prefer": "wait=10"},
    )

    assert (response.status_code, response.json()["status"]) == (200, "compensated")
    assert response.json()["error"] == "compensation was requested: customer left"
    assert response.headers["preference-applied"] == "wait=10"
    assert service.participants.paths[3:] == UNDONE


async def test_response_without_waiting_says_that_the_saga_compensates(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await a_completed(service)
    service.participants.hold("undo process_payment")

    response = await client.post(f"/sagas/{saga_id}/compensate")

    assert (response.status_code, response.json()["status"]) == (202, "compensating")
    assert response.headers["location"] == f"/sagas/{saga_id}/status"
    assert response.headers["retry-after"] == "1"
    assert response.headers["etag"] == f'"{response.json()["version"]}"'


async def test_dry_run_lists_the_calls_and_sends_none(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await a_completed(service)

    response = await client.post(f"/sagas/{saga_id}/compensate?dry_run=true")

    assert response.json() == {
        "calls": [
            {
                "step": "process_payment",
                "method": "POST",
                "path": "/payments/8/compensate",
                "body": None,
            },
            {
                "step": "create_order",
                "method": "POST",
                "path": "/orders/7/compensate",
                "body": None,
            },
        ],
        "cannot_undo": [],
    }
    assert len(service.participants.sent) == 3
    assert len(service.events) == 8


async def test_dry_run_lists_the_compensation_of_a_child_saga(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await started(service, PARENT)
    child_id = child_id_of(saga_id, "order")
    before = len(service.events)

    response = await client.post(f"/sagas/{saga_id}/compensate?dry_run=true")

    assert response.json() == {
        "calls": [
            {"step": "mail", "method": "POST", "path": "/mail/undo", "body": {"order": 7}},
            {
                "step": "order",
                "method": "POST",
                "path": f"/sagas/{child_id}/compensate",
                "body": None,
            },
        ],
        "cannot_undo": [],
    }
    assert len(service.events) == before
    assert (await client.get(f"/sagas/{child_id}/status")).json()["status"] == "completed"


async def test_dry_run_checks_the_expected_version(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await a_completed(service)

    response = await client.post(
        f"/sagas/{saga_id}/compensate?dry_run=true", headers={"If-Match": '"7"'}
    )

    assert (response.status_code, response.json()["code"]) == (412, "version-mismatch")


@pytest.mark.parametrize(
    ("situation", "legal"),
    [
        ("parked_back", ["retry", "abandon", "resolve"]),
        ("parked_forward", ["retry", "abandon", "skip", "resolve"]),
        ("abandoned", []),
        ("past_pivot", []),
    ],
)
@pytest.mark.parametrize("query", ["", "?dry_run=true"])
async def test_saga_that_cannot_be_compensated_refuses(
    client: httpx.AsyncClient,
    service: InMemoryService,
    situation: str,
    legal: list[str],
    query: str,
) -> None:
    saga_id = await SITUATIONS[situation](service)
    before = len(service.events)

    response = await client.post(f"/sagas/{saga_id}/compensate{query}")

    assert (response.status_code, response.json()["code"]) == (409, "saga-not-compensatable")
    assert response.json()["allowed_actions"] == legal
    assert len(service.events) == before
