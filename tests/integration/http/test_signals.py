"""Signals: heard at once or kept, once for each key, and never lost or half taken."""

from __future__ import annotations

import httpx
import pytest
from saga_orchestrator.fsm.decider.operator_commands import MAX_BUFFERED_SIGNALS
from saga_orchestrator.http.wire.responses import ProblemDetails
from saga_orchestrator.tests.support.asgi_requests import JSON
from saga_orchestrator.tests.support.in_memory_service import InMemoryService
from saga_orchestrator.tests.support.virtual_time import await_idle

from .situations import SECRET, paused, waiting

BODIES = [
    (b"", None),
    (b"null", None),
    (b"0", 0),
    (b"true", True),
    (b'"yes"', "yes"),
    (b"[1, [2]]", [1, [2]]),
    (b'{"by": "alice"}', {"by": "alice"}),
    (SECRET.encode().join((b'{"with": "', b'"}')), {"with": "[secret]"}),
]


async def outputs(client: httpx.AsyncClient, saga_id: str) -> object:
    return (await client.get(f"/sagas/{saga_id}")).json()["outputs"]


@pytest.mark.parametrize(("content", "output"), BODIES)
async def test_body_of_a_signal_is_the_output_of_its_step(
    client: httpx.AsyncClient, service: InMemoryService, content: bytes, output: object
) -> None:
    saga_id = await waiting(service)

    response = await client.post(
        f"/sagas/{saga_id}/signals/approval", content=content, headers={**JSON, "Prefer": "wait=10"}
    )

    assert (response.status_code, response.json()["status"]) == (200, "completed")
    assert response.json()["steps"][1]["output"] == output


async def test_unknown_signal_is_refused_with_the_known_ones(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await waiting(service)
    before = len(service.events)

    response = await client.post(f"/sagas/{saga_id}/signals/aproval")

    problem = ProblemDetails.model_validate_json(response.content)
    assert (response.status_code, problem.code) == (422, "unknown-signal")
    assert problem.known == ["approval"]
    assert len(service.events) == before


async def test_repeated_key_of_a_signal_counts_once_after_the_saga_went_on(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await waiting(service)
    path, headers = f"/sagas/{saga_id}/signals/approval", {"Idempotency-Key": "k"}
    await client.post(path, json=1, headers=headers)
    await await_idle(service.driver)
    before = len(service.events)

    again = await client.post(path, json=1, headers={"Idempotency-Key": '"k"'})

    assert (again.status_code, again.json()["status"]) == (200, "completed")
    assert len(service.events) == before


async def test_signals_beyond_the_limit_are_refused(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await paused(service)

    for _ in range(MAX_BUFFERED_SIGNALS):
        assert (await client.post(f"/sagas/{saga_id}/signals/approval")).status_code == 200
    one_more = await client.post(f"/sagas/{saga_id}/signals/approval")

    assert (one_more.status_code, one_more.json()["code"]) == (409, "too-many-signals")
    assert "100 signals approval are kept already" in one_more.json()["detail"]


NAMES = ["%00", "%EF%BF%BD", "a" * 64, "1a", "a%20b", "a%0A", "%C3%BC", "a.b"]


@pytest.mark.parametrize("name", NAMES)
async def test_impossible_signal_name_is_refused(
    client: httpx.AsyncClient, service: InMemoryService, name: str
) -> None:
    saga_id = await waiting(service)

    response = await client.post(f"/sagas/{saga_id}/signals/{name}")

    assert (response.status_code, response.json()["code"]) == (422, "invalid-signal-name")
    assert len(service.events) == 4
