"""Participants that say a megabyte each: what clients are sent of it, and how they get the rest."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.http.wire.responses import (
    EventsResponse,
    SagaResponse,
    SagaStatusResponse,
    StartResponse,
)
from saga_orchestrator.tests.support.in_memory_service import InMemoryService, definition_from_yaml

STEPS: Final = [f"s{number}" for number in range(12)]
LARGE: Final = "x" * 900_000
SMALL: Final = "x" * 60_000
LARGEST_PAGE: Final = 4 * 1024 * 1024


@pytest.fixture
async def saga_id(client: httpx.AsyncClient, service: InMemoryService) -> str:
    """Of a saga whose steps say a lot: the first six too much for an answer, the others not."""
    steps = "".join(
        f"  - {{name: {step}, participant: airline, effect: none, action: {{path: /}}}}\n"
        for step in STEPS
    )
    await service.registry.register(
        definition_from_yaml(f"saga: talk\nversion: 1\nsteps:\n{steps}")
    )
    for number, step in enumerate(STEPS):
        text = LARGE if number < 6 else SMALL
        service.participants.will_reply(step, Response(200, {}, f'{{"text": "{text}"}}'.encode()))
    body = {"saga_type": "talk", "entity_id": 1, "input": {}}
    answer = await client.post("/sagas/start", json=body)
    started = StartResponse.model_validate_json(answer.content)
    assert (started.status, list(started.outputs)) == ("completed", STEPS[6:])
    assert list(started.outputs_by_link) == STEPS[:6]
    assert len(answer.content) < 1024 * 1024
    return started.saga_id


async def test_status_links_to_outputs_that_are_too_large(
    client: httpx.AsyncClient, saga_id: str
) -> None:
    answer = await client.get(f"/sagas/{saga_id}/status")

    status = SagaStatusResponse.model_validate_json(answer.content)
    assert [step.name for step in status.steps if step.output_link] == STEPS[:6]
    for step in status.steps[:6]:
        assert step.output_link is not None
        output = await client.get(step.output_link.href)
        assert (output.status_code, output.json()) == (200, {"text": LARGE})
        assert output.headers["content-type"] == "application/json"
        assert len(output.content) == step.output_link.bytes
    assert [step.output for step in status.steps[6:]] == [{"text": SMALL}] * 6


@pytest.mark.parametrize("query", ["at_version=25", "at=2026-03-01T12:00:00Z"])
async def test_past_status_links_to_outputs_of_its_version(
    client: httpx.AsyncClient, saga_id: str, query: str
) -> None:
    answer = await client.get(f"/sagas/{saga_id}/status?{query}")

    status = SagaStatusResponse.model_validate_json(answer.content)
    link = status.steps[0].output_link
    assert link is not None
    assert len(answer.content) < 1024 * 1024
    assert link.href.endswith(f"?at_version={status.version}")
    assert (await client.get(link.href)).json() == {"text": LARGE}


async def test_details_link_to_outputs_by_the_same_rule(
    client: httpx.AsyncClient, saga_id: str
) -> None:
    answer = await client.get(f"/sagas/{saga_id}")

    saga = SagaResponse.model_validate_json(answer.content)
    assert list(saga.outputs) == STEPS[6:]
    assert list(saga.outputs_by_link) == STEPS[:6]
    assert len(answer.content) < 1024 * 1024


async def test_response_to_a_command_is_bounded_too(
    client: httpx.AsyncClient, saga_id: str
) -> None:
    answer = await client.post(f"/sagas/{saga_id}/compensate", headers={"Prefer": "wait=10"})

    SagaStatusResponse.model_validate_json(answer.content)
    assert len(answer.content) < 1024 * 1024


@pytest.mark.parametrize(("limit", "pages"), [(1000, 2), (3, 9)])
async def test_events_come_in_pages_of_four_megabytes(
    client: httpx.AsyncClient, saga_id: str, limit: int, pages: int
) -> None:
    path, found, read = f"/sagas/{saga_id}/events?limit={limit}", list[Any](), 0
    while path:
        answer = await client.get(path)
        EventsResponse.model_validate_json(answer.content)
        assert len(answer.content) <= LARGEST_PAGE
        found += answer.json()["events"]
        path, read = answer.links.get("next", {}).get("url", ""), read + 1

    assert [event["version"] for event in found] == list(range(1, 27))
    assert [
        event["data"]["output"]["text"] for event in found if event["type"] == "StepSucceeded"
    ] == [
        *[LARGE] * 6,
        *[SMALL] * 6,
    ]
    assert read == pages


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("{saga_id}/steps/nothing/output", "unknown-step"),
        ("019ca945-0a00-7000-8000-000000000f01/steps/s0/output", "unknown-saga"),
        ("{saga_id}/steps/s0/output?at_version=2", "no-output"),
        ("{saga_id}/steps/s0/output?at_version=99", "no-such-version"),
    ],
)
async def test_missing_output_is_not_found(
    client: httpx.AsyncClient, saga_id: str, path: str, code: str
) -> None:
    answer = await client.get("/sagas/" + path.format(saga_id=saga_id))

    assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_null_is_served_as_an_output(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    service.participants.will_reply("create_order", Response(200, {}, b'{"order_id": 7}'))
    service.participants.will_reply("confirm_order", Response(200, {}, b"null"))
    saga = await service.await_rest((await service.start("order_processing")).state.saga_id)

    answer = await client.get(f"/sagas/{saga.state.saga_id}/steps/confirm_order/output")

    assert (answer.status_code, answer.content) == (200, b"null")
