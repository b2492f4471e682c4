"""What people ask of a saga: done and recorded with its reason, or refused with what they can."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from saga_orchestrator.fsm.instructions import child_id_of
from saga_orchestrator.fsm.runtime.concurrency import SharedTimeout
from saga_orchestrator.http.wire.responses import ProblemDetails, SagaStatusResponse
from saga_orchestrator.tests.support.in_memory_service import InMemoryService
from saga_orchestrator.tests.support.virtual_time import await_idle

from .situations import (
    PURCHASE,
    SITUATIONS,
    compensating,
    parked_forward,
    started,
    waiting,
)

WHY = {"reason": "customer called"}
BODIES: dict[str, Any] = {
    "retry": WHY,
    "pause": WHY,
    "resume": WHY,
    "cancel": WHY,
    "abandon": WHY,
    "steps/notify/skip": WHY,
    "steps/reserve/resolve": {"outcome": "undone", "evidence": "ticket 7", **WHY},
    "steps/pay/resolve": {"outcome": "done", "output": {"id": 9}, "evidence": "ticket 7", **WHY},
    "signals/approval": {"by": "alice"},
}
UNDOING = ["CompensationCalled", "CompensationSucceeded", "SagaCompensated"]
FORWARD = ["StepCalled", "StepSucceeded"]
POSSIBLE = [
    ("pending", "pause", "pending", ["SagaPaused"]),
    ("pending", "cancel", "compensated", ["CompensationStarted", "SagaCompensated"]),
    ("pending", "abandon", "abandoned", ["SagaAbandoned"]),
    ("pending", "steps/notify/skip", "pending", ["StepSkipped"]),
    ("waiting", "pause", "running", ["SagaPaused"]),
    ("waiting", "cancel", "compensated", ["CompensationStarted", "StepRejected", *UNDOING]),
    ("waiting", "abandon", "abandoned", ["SagaAbandoned"]),
    ("waiting", "steps/notify/skip", "running", ["StepSkipped"]),
    ("backing_off", "retry", "running", ["RetryRequested", *FORWARD, "WaitStarted"]),
    ("backing_off", "cancel", "compensated", ["CompensationStarted", "StepUnknown", *UNDOING]),
    ("accepted", "pause", "running", ["SagaPaused"]),
    ("paused", "pause", "running", []),
    ("paused", "resume", "running", ["SagaResumed"]),
    ("paused", "cancel", "compensated", ["CompensationStarted", "StepRejected", *UNDOING]),
    ("paused", "steps/notify/skip", "running", ["StepSkipped"]),
    ("parked_forward", "retry", "completed", ["SagaUnparked", *FORWARD, *FORWARD, "SagaCompleted"]),
    ("parked_forward", "abandon", "abandoned", ["SagaAbandoned"]),
    (
        "parked_forward",
        "steps/pay/resolve",
        "completed",
        ["StepResolved", "SagaUnparked", *FORWARD, "SagaCompleted"],
    ),
    ("parked_back", "retry", "compensated", ["SagaUnparked", *UNDOING]),
    ("parked_back", "abandon", "abandoned", ["SagaAbandoned"]),
    (
        "parked_back",
        "steps/reserve/resolve",
        "compensated",
        ["StepResolved", "SagaUnparked", "SagaCompensated"],
    ),
    ("compensated", "cancel", "compensated", []),
]
BEFORE_IT_STARTS = ["compensate", "cancel", "pause", "abandon", "skip", "signal"]
ON_THE_WAY = ["compensate", "cancel", "pause", "abandon"]
PARKED = ["retry", "abandon", "skip", "resolve"]
PARKED_BACK = ["retry", "abandon", "resolve"]
IMPOSSIBLE = [
    ("pending", ["retry", "resume", "steps/reserve/resolve"], BEFORE_IT_STARTS),
    ("waiting", ["retry", "resume", "steps/reserve/resolve"], BEFORE_IT_STARTS),
    ("accepted", ["retry", "resume", "steps/reserve/resolve"], ON_THE_WAY),
    ("paused", ["retry"], ["compensate", "cancel", "resume", "abandon", "skip", "signal"]),
    ("parked_forward", ["pause", "resume", "cancel", "steps/reserve/resolve"], PARKED),
    ("parked_back", ["pause", "resume", "cancel", "steps/notify/skip"], PARKED_BACK),
    ("compensating", ["retry", "resume", "steps/notify/skip"], ["pause", "abandon", "signal"]),
    ("completed", ["retry", "pause", "resume", "cancel", "abandon"], ["compensate"]),
    ("completed", ["steps/notify/skip", "steps/reserve/resolve"], ["compensate"]),
    ("past_pivot", ["retry", "pause", "cancel", "abandon", "steps/pay/resolve"], []),
    ("compensated", ["retry", "pause", "resume", "abandon", "steps/notify/skip"], []),
    ("abandoned", ["retry", "pause", "resume", "cancel", "abandon"], []),
]
REFUSALS = [(where, verb, legal) for where, verbs, legal in IMPOSSIBLE for verb in verbs]


def types_since(service: InMemoryService, version: int) -> list[str]:
    return [event.type for event in service.events[version:]]


@pytest.mark.parametrize(("situation", "verb", "status", "recorded"), POSSIBLE)
async def test_allowed_command_is_executed_and_recorded(
    client: httpx.AsyncClient,
    service: InMemoryService,
    situation: str,
    verb: str,
    status: str,
    recorded: list[str],
) -> None:
    saga_id = await SITUATIONS[situation](service)
    before = len(service.events)

    response = await client.post(f"/sagas/{saga_id}/{verb}", json=BODIES[verb])

    answer = SagaStatusResponse.model_validate_json(response.content)
    assert (response.status_code, answer.status) == (200, status)
    assert types_since(service, before) == recorded
    assert response.headers["etag"] == f'"{before + len(recorded)}"'
    assert response.headers["location"] == f"/sagas/{saga_id}/status"
    if recorded:
        events = await client.get(f"/sagas/{saga_id}/events?after={before}&limit=1")
        assert events.json()["events"][0]["reason"] == WHY["reason"]


@pytest.mark.parametrize(("situation", "verb", "legal"), REFUSALS)
async def test_refused_command_names_the_allowed_ones(
    client: httpx.AsyncClient, service: InMemoryService, situation: str, verb: str, legal: list[str]
) -> None:
    saga_id = await SITUATIONS[situation](service)
    before = len(service.events)

    response = await client.post(f"/sagas/{saga_id}/{verb}", json=BODIES[verb])

    problem = ProblemDetails.model_validate_json(response.content)
    assert (response.status_code, problem.code) == (409, "not-allowed")
    assert problem.allowed_actions == legal
    assert problem.retryable is False
    assert len(service.events) == before


@pytest.mark.parametrize(
    ("situation", "step", "outcome"),
    [("parked_forward", "pay", "not_done"), ("parked_back", "reserve", "undone")],
)
async def test_output_of_a_step_that_is_not_done_is_refused(
    client: httpx.AsyncClient, service: InMemoryService, situation: str, step: str, outcome: str
) -> None:
    saga_id = await SITUATIONS[situation](service)
    before = len(service.events)
    path, resolve = f"/sagas/{saga_id}/steps/{step}/resolve", {"outcome": outcome, "evidence": "e"}

    response = await client.post(path, json={**resolve, "output": {"id": 9}})

    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["/output"]
    assert len(service.events) == before
    assert (await client.post(path, json={**resolve, "output": None})).status_code in (200, 202)


@pytest.mark.parametrize("verb", ["steps/pack/skip", "steps/pack/resolve", "steps/%00/resolve"])
@pytest.mark.parametrize("situation", ["waiting", "parked_back", "completed"])
async def test_unknown_step_is_not_found(
    client: httpx.AsyncClient, service: InMemoryService, situation: str, verb: str
) -> None:
    saga_id = await SITUATIONS[situation](service)
    body = BODIES["steps/pay/resolve"] if verb.endswith("resolve") else WHY

    response = await client.post(f"/sagas/{saga_id}/{verb}", json=body)

    assert (response.status_code, response.json()["code"]) == (404, "unknown-step")


async def test_resolution_is_recorded_with_evidence_and_output(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await parked_forward(service)
    before = len(service.events)

    await client.post(f"/sagas/{saga_id}/steps/pay/resolve", json=BODIES["steps/pay/resolve"])

    event = (await client.get(f"/sagas/{saga_id}/events?after={before}")).json()["events"][0]
    everything = (await client.get(f"/sagas/{saga_id}")).json()
    assert (event["type"], event["reason"]) == ("StepResolved", WHY["reason"])
    assert event["data"] == {
        "step": "pay",
        "verdict": "done",
        "evidence": "ticket 7",
        "output": {"id": 9},
    }
    assert everything["outputs"]["pay"] == {"id": 9}


@pytest.mark.parametrize("verb", BODIES)
async def test_command_refuses_a_query(
    client: httpx.AsyncClient, service: InMemoryService, verb: str
) -> None:
    saga_id = await parked_forward(service)
    before = len(service.events)

    response = await client.post(f"/sagas/{saga_id}/{verb}?dry_run=true", json=BODIES[verb])

    assert (response.status_code, response.json()["code"]) == (422, "invalid-query")
    assert len(service.events) == before


async def test_cancel_is_accepted_with_a_time_to_retry(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await waiting(service)
    service.participants.hold("undo reserve")

    response = await client.post(f"/sagas/{saga_id}/cancel", json=WHY)

    assert (response.status_code, response.json()["status"]) == (202, "compensating")
    assert response.headers["retry-after"] == "1"
    assert response.json()["error"] == "compensation was requested: customer called"


async def test_cancel_with_a_preferred_wait_returns_the_end(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await waiting(service)
    service.participants.hold("undo reserve")
    headers = {"Prefer": "wait=10"}
    asking = asyncio.ensure_future(client.post(f"/sagas/{saga_id}/cancel", headers=headers))
    await service.participants.await_call("undo reserve")
    service.participants.release("undo reserve")

    response = await asking

    assert (response.status_code, response.json()["status"]) == (200, "compensated")
    assert response.headers["preference-applied"] == "wait=10"


async def test_cancel_while_the_pivot_is_uncertain_is_accepted(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    service.participants.hold("pay")
    asking = asyncio.ensure_future(started(service, PURCHASE))
    await service.participants.await_call("pay")
    saga_id = service.participants.sent[0].headers["saga-id"]

    response = await client.post(f"/sagas/{saga_id}/cancel")
    service.participants.release("pay")

    assert (response.status_code, response.json()["status"]) == (202, "running")
    assert response.headers["retry-after"] == "1"
    assert await asking == saga_id
    assert (await service.await_rest(saga_id)).state.status == "completed"


@pytest.mark.parametrize(("given", "status"), [({"output": None}, 200), ({}, 404)])
async def test_resolution_with_null_gives_an_output_and_one_without_none(
    client: httpx.AsyncClient, service: InMemoryService, given: dict[str, None], status: int
) -> None:
    saga_id = await SITUATIONS["parked_forward"](service)
    resolution = {"outcome": "done", "evidence": "ticket 7", **given}

    await client.post(f"/sagas/{saga_id}/steps/pay/resolve", json=resolution)

    served = await client.get(f"/sagas/{saga_id}/steps/pay/output")
    assert served.status_code == status


@pytest.mark.parametrize(
    ("situation", "legal"), {where: legal for where, _, legal in IMPOSSIBLE}.items()
)
async def test_details_name_the_allowed_commands(
    client: httpx.AsyncClient, service: InMemoryService, situation: str, legal: list[str]
) -> None:
    saga_id = await SITUATIONS[situation](service)

    everything = (await client.get(f"/sagas/{saga_id}")).json()

    assert everything["allowed_actions"] == legal


async def test_command_without_confirmation_is_unconfirmed(
    client: httpx.AsyncClient, service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    saga_id = await waiting(service)
    monkeypatch.setattr(service.orchestrator, "_recording", SharedTimeout(timedelta()))

    late = await client.post(f"/sagas/{saga_id}/pause")

    assert (late.status_code, late.json()["code"]) == (503, "unconfirmed")
    assert late.json()["retryable"] is True


UNMAPPED = """
saga: unmapped
version: 1
steps:
  - {name: pay, participant: bank, action: {path: /pay}, pivot: true}
  - {name: ship, participant: post, action: {path: "/ship/${steps.pay.output.ticket}"}}
"""


async def test_missing_output_is_supplied_with_evidence(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await started(service, UNMAPPED)
    status = (await client.get(f"/sagas/{saga_id}/status")).json()
    assert (status["status"], status["parked"]["not_done"]) == ("parked", ["ship"])
    assert "the output of pay has no ticket" in status["parked"]["reason"]
    path, said = f"/sagas/{saga_id}/steps/pay/resolve", {"outcome": "done", "output": {"ticket": 7}}

    without_evidence = await client.post(path, json=said)
    response = await client.post(path, json={**said, "evidence": "receipt 7"})
    await await_idle(service.driver)

    assert without_evidence.status_code == 422
    assert response.status_code == 200
    assert service.participants.paths == ["POST /pay", "POST /ship/7"]


async def test_retry_that_cannot_work_names_what_is_missing(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await started(service, UNMAPPED)

    merely = await client.post(f"/sagas/{saga_id}/retry")
    of_nothing = await client.post(f"/sagas/{saga_id}/retry", json={"step": "nothing"})

    assert (merely.status_code, merely.json()["code"]) == (409, "not-allowed")
    assert "the output of pay" in merely.json()["detail"]
    assert merely.json()["allowed_actions"] == ["retry", "abandon", "skip", "resolve"]
    assert (of_nothing.status_code, of_nothing.json()["code"]) == (404, "unknown-step")


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_pause_of_a_compensating_saga_is_complete_when_recorded(
    client: httpx.AsyncClient, service: InMemoryService, verb: str
) -> None:
    saga_id = await compensating(service)
    await client.post(f"/sagas/{saga_id}/pause")

    response = await client.post(f"/sagas/{saga_id}/{verb}")

    assert (response.status_code, response.json()["status"]) == (200, "compensating")
    assert response.json()["paused"] == (verb == "pause")


FAMILY = """
saga: family
version: 1
steps:
  - {name: trip, saga: {type: offer}}
  - {name: ship, participant: post, action: {path: /ship}, effect: none}
"""


async def test_abandon_of_a_parent_needs_a_policy_for_its_children(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    await waiting(service)  # which registers the definition of the child
    saga_id = await started(service, FAMILY)
    child_id = child_id_of(saga_id, "trip")
    path = f"/sagas/{saga_id}/abandon"

    refused = await client.post(path, json=WHY)
    problem = ProblemDetails.model_validate_json(refused.content)
    assert (refused.status_code, problem.code) == (409, "children-under-way")
    assert problem.children == [child_id]
    assert (await client.post(path, json={**WHY, "children": "sell"})).status_code == 422

    response = await client.post(path, json={**WHY, "children": "cancel"})
    await await_idle(service.driver)
    assert (response.status_code, response.json()["status"]) == (200, "abandoned")
    child = (await client.get(f"/sagas/{child_id}/status")).json()
    assert child["status"] == "compensated"
    events = (await client.get(f"/sagas/{saga_id}/events")).json()["events"]
    (given_up,) = [event for event in events if event["type"] == "SagaAbandoned"]
    assert given_up["data"]["children"] == [child_id]


@pytest.mark.parametrize("verb", ["compensate", "compensate?dry_run=true", "cancel", "abandon"])
async def test_command_that_ends_a_child_is_refused_with_its_parent(
    client: httpx.AsyncClient, service: InMemoryService, verb: str
) -> None:
    await waiting(service)
    saga_id = await started(service, FAMILY)
    child_id = child_id_of(saga_id, "trip")

    response = await client.post(f"/sagas/{child_id}/{verb}", json=WHY)

    problem = ProblemDetails.model_validate_json(response.content)
    assert (response.status_code, problem.code) == (409, "driven-by-parent")
    assert problem.parent == saga_id
    legal = ["pause", "skip", "signal"]
    assert problem.allowed_actions == legal
    assert (await client.get(f"/sagas/{child_id}")).json()["allowed_actions"] == legal
