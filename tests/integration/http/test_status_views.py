"""The status of a saga that does not simply go on: what it waits for, and what it left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from saga_orchestrator.fsm.codec import format_time
from saga_orchestrator.http.wire.responses import SagaResponse, SagaStatusResponse
from saga_orchestrator.tests.support.in_memory_service import NOON, InMemoryService

from .situations import (
    SITUATIONS,
    backing_off,
    parked_forward,
    paused,
    pending,
    waiting,
)

AT_NOON = format_time(NOON)
UNTOUCHED = {
    "status": "pending",
    "attempts": 0,
    "started_at": None,
    "finished_at": None,
    "next_attempt_at": None,
    "last_error": None,
    "output": None,
}
RESERVED = {
    **UNTOUCHED,
    "name": "reserve",
    "status": "succeeded",
    "attempts": 1,
    "started_at": AT_NOON,
    "finished_at": AT_NOON,
    "output": {"order_id": 7, "payment_id": 8},
}
ALL = ["reserve", "approve", "notify"]


async def status_of(client: httpx.AsyncClient, saga_id: str) -> dict[str, Any]:
    response = await client.get(f"/sagas/{saga_id}/status")
    SagaStatusResponse.model_validate_json(response.content)
    answer: dict[str, Any] = response.json()
    return answer


async def test_status_of_a_waiting_saga_names_its_wait(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    status = await status_of(client, saga_id := await waiting(service))

    approve = {
        **UNTOUCHED,
        "name": "approve",
        "status": "waiting",
        "started_at": AT_NOON,
        "next_attempt_at": format_time(NOON + timedelta(hours=24)),
    }
    assert status == {
        "saga_id": saga_id,
        "saga_type": "offer",
        "definition_version": 1,
        "entity_id": 1,
        "status": "running",
        "current_step": "approve",
        "error": None,
        "success": False,
        "steps": [RESERVED, approve, {**UNTOUCHED, "name": "notify"}],
        "remaining_steps": ["approve", "notify"],
        "version": 4,
        "deadline": None,
        "created_at": AT_NOON,
        "updated_at": AT_NOON,
        "paused": False,
        "parked": None,
    }


async def test_scheduled_saga_has_no_current_step(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await pending(service)

    status = await status_of(client, saga_id)
    everything = (await client.get(f"/sagas/{saga_id}")).json()

    assert (status["status"], status["current_step"]) == ("pending", None)
    assert status["remaining_steps"] == ALL
    assert everything["start_at"] == format_time(NOON + timedelta(hours=1))


async def test_step_in_back_off_shows_its_next_attempt_and_error(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    status = await status_of(client, await backing_off(service))

    reserve = status["steps"][0]
    assert (status["status"], status["current_step"]) == ("running", "reserve")
    assert (reserve["status"], reserve["attempts"]) == ("backing_off", 1)
    assert reserve["last_error"] == "500 out of order"
    assert reserve["next_attempt_at"] > AT_NOON


async def test_paused_saga_is_shown_as_paused_and_running(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await paused(service)
    service.clock.advance(timedelta(hours=1))

    halted = await status_of(client, saga_id)
    await client.post(f"/sagas/{saga_id}/resume")
    resumed = await status_of(client, saga_id)

    later = format_time(NOON + timedelta(hours=25))
    assert (halted["status"], halted["paused"]) == ("running", True)
    assert (resumed["status"], resumed["paused"]) == ("running", False)
    assert resumed["steps"][1]["next_attempt_at"] == later


async def test_parked_saga_names_the_steps_that_are_not_done(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    status = await status_of(client, await parked_forward(service))

    why = "pay has an unknown outcome: 500 out of order"
    assert (status["status"], status["success"], status["error"]) == ("parked", False, why)
    assert status["parked"] == {
        "reason": why,
        "since": AT_NOON,
        "not_done": ["pay", "thank"],
        "not_undone": [],
    }
    assert (status["current_step"], status["remaining_steps"]) == (None, ["pay", "thank"])
    assert [step["status"] for step in status["steps"]] == ["succeeded", "unknown", "pending"]


@pytest.mark.parametrize("situation", SITUATIONS)
async def test_status_equals_that_of_the_log_in_every_situation(
    client: httpx.AsyncClient, service: InMemoryService, situation: str
) -> None:
    saga_id = await SITUATIONS[situation](service)

    now = await status_of(client, saga_id)
    as_of_now = await client.get(f"/sagas/{saga_id}/status?at_version={now['version']}")
    everything = await client.get(f"/sagas/{saga_id}")

    assert as_of_now.json() == now
    assert SagaResponse.model_validate_json(everything.content).version == len(service.events)
