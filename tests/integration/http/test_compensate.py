from __future__ import annotations

import asyncio

import httpx
import pytest
from saga_orchestrator.fsm.instructions import child_id_of
from saga_orchestrator.http.wire.responses import ProblemDetails
from saga_orchestrator.tests.support.asgi_requests import JSON
from saga_orchestrator.tests.support.in_memory_service import InMemoryService, definition_from_yaml
from saga_orchestrator.tests.support.virtual_time import await_idle

from .situations import SITUATIONS, started, waiting

UNDONE = ["POST /payments/8/compensate", "POST /orders/7/compensate"]
WITH_PIVOT = """
saga: with_pivot
version: 1
steps:
  - {name: pay, participant: bank, action: {path: /pay}, pivot: true}
"""
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


async def a_completed(world: InMemoryService, saga_type: str = "order_processing") -> str:
    saga = await world.start(saga_type)
    return (await world.await_rest(saga.state.saga_id)).state.saga_id


async def test_a_completed_saga_is_undone(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await a_completed(world)

    response = await client.post(
        f"/sagas/{saga_id}/compensate",
        json={"reason": "customer left"},
        headers={"Prefer": "wait=10"},
    )

    assert (response.status_code, response.json()["status"]) == (200, "compensated")
    assert response.json()["error"] == "compensation was requested: customer left"
    assert response.headers["preference-applied"] == "wait=10"
    assert world.participants.paths[3:] == UNDONE


async def test_who_does_not_wait_is_told_that_it_compensates(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await a_completed(world)
    world.participants.hold("undo process_payment")

    response = await client.post(f"/sagas/{saga_id}/compensate")

    assert (response.status_code, response.json()["status"]) == (202, "compensating")
    assert response.headers["location"] == f"/sagas/{saga_id}/status"
    assert response.headers["retry-after"] == "1"
    assert response.headers["etag"] == f'"{response.json()["version"]}"'


async def test_a_second_time_changes_nothing(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await a_completed(world)
    first = await client.post(f"/sagas/{saga_id}/compensate", headers={"Prefer": "wait=10"})

    second = await client.post(f"/sagas/{saga_id}/compensate")

    assert (second.status_code, second.json()) == (200, first.json())
    assert world.participants.paths[3:] == UNDONE


async def test_a_running_saga_settles_first(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    world.participants.hold("process_payment")
    saga_id = (await world.start("order_processing")).state.saga_id
    await world.participants.await_call("process_payment")

    response = await client.post(f"/sagas/{saga_id}/compensate")
    world.participants.release("process_payment")
    saga = await world.await_rest(saga_id)

    assert response.status_code == 202
    assert saga.state.status == "compensated"
    assert world.participants.paths[2:] == UNDONE


async def test_a_dry_run_tells_the_calls_and_makes_none(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await a_completed(world)

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
    assert len(world.participants.sent) == 3
    assert len(world.events) == 8


async def test_a_dry_run_of_a_step_that_is_a_saga_says_what_is_asked_of_it(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await started(world, PARENT)
    child_id = child_id_of(saga_id, "order")
    before = len(world.events)

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
    assert len(world.events) == before
    assert (await client.get(f"/sagas/{child_id}/status")).json()["status"] == "completed"


async def test_a_step_that_is_a_saga_is_undone_as_the_dry_run_said(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await started(world, PARENT)
    child_id = child_id_of(saga_id, "order")

    await client.post(f"/sagas/{saga_id}/compensate")
    await await_idle(world.driver)

    child = (await client.get(f"/sagas/{child_id}/status")).json()
    assert (await world.await_rest(saga_id)).state.status == "compensated"
    assert child["status"] == "compensated"
    assert child["error"] == f"compensation was requested: its parent {saga_id} is undone"
    assert world.participants.paths[4:] == ["POST /mail/undo", *UNDONE]


async def test_a_dry_run_of_a_saga_that_waits_for_its_child(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    world.participants.hold("process_payment")
    starting = asyncio.ensure_future(started(world, PARENT))
    await world.participants.await_call("process_payment")
    saga_id = next(one.stream_id for one in world.events if b'"parent"' not in one.payload)

    plan = (await client.post(f"/sagas/{saga_id}/compensate?dry_run=true")).json()
    world.participants.release("process_payment")
    await starting

    path = f"/sagas/{child_id_of(saga_id, 'order')}/compensate"
    assert [(one["step"], one["path"]) for one in plan["calls"]] == [("order", path)]


async def test_a_dry_run_of_a_saga_that_waits_says_what_was_done(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await waiting(world)

    plan = (await client.post(f"/sagas/{saga_id}/compensate?dry_run=true")).json()

    assert [one["path"] for one in plan["calls"]] == ["/release"]
    assert plan["cannot_undo"] == []


async def test_a_dry_run_checks_the_version_too(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await a_completed(world)

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
    ],
)
@pytest.mark.parametrize("query", ["", "?dry_run=true"])
async def test_where_there_is_no_way_back(
    client: httpx.AsyncClient, world: InMemoryService, situation: str, legal: list[str], query: str
) -> None:
    saga_id = await SITUATIONS[situation](world)
    before = len(world.events)

    response = await client.post(f"/sagas/{saga_id}/compensate{query}")

    assert (response.status_code, response.json()["code"]) == (409, "saga-not-compensatable")
    assert response.json()["allowed_actions"] == legal
    assert len(world.events) == before


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
async def test_after_a_pivot_it_is_not_possible(
    client: httpx.AsyncClient, world: InMemoryService, query: str
) -> None:
    await world.registry.register(definition_from_yaml(WITH_PIVOT))
    saga_id = await a_completed(world, "with_pivot")

    response = await client.post(f"/sagas/{saga_id}/compensate{query}")

    problem = ProblemDetails.model_validate_json(response.content)
    assert (problem.status, problem.code) == (409, "saga-not-compensatable")
    assert response.json()["allowed_actions"] == []


async def test_only_the_version_that_was_seen_is_undone(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await a_completed(world)
    path = f"/sagas/{saga_id}/compensate"

    other = await client.post(path, headers={"If-Match": '"7"'})
    weak = await client.post(path, headers={"If-Match": 'W/"8"'})
    same = await client.post(path, headers={"If-Match": '"7", "8"', "Prefer": "wait=10"})

    assert (other.status_code, other.json()["code"]) == (412, "version-mismatch")
    assert (weak.status_code, weak.json()["code"]) == (400, "invalid-if-match")
    assert same.status_code == 200


@pytest.mark.parametrize(
    "body", [b'{"reason": 1}', b'{"reason": "%s"}' % (b"x" * 1001), b'{"why": ""}', b"[]"]
)
async def test_a_body_that_does_not_fit(
    client: httpx.AsyncClient, world: InMemoryService, body: bytes
) -> None:
    saga_id = await a_completed(world)

    response = await client.post(f"/sagas/{saga_id}/compensate", content=body, headers=JSON)

    assert (response.status_code, response.json()["code"]) == (422, "invalid-request")
    assert len(world.events) == 8
