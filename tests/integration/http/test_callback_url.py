"""Where whoever starts a saga wants to be told of its rest: looked at before it is recorded."""

from __future__ import annotations

import httpx
import pytest
from saga_orchestrator.http.wire.responses import ProblemDetails
from saga_orchestrator.tests.support.in_memory_service import (
    InMemoryService,
    ScriptedWebhooks,
)
from saga_orchestrator.tests.support.virtual_time import await_idle

from .situations import START


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8009/bulk",
        "http://127.0.0.1:9002/told",
        "https://user:secret@shop.example/told",
        "https://shop.example/" + "x" * 500_000,
    ],
)
async def test_forbidden_callback_url_is_refused_and_nothing_is_recorded(
    client: httpx.AsyncClient, service: InMemoryService, url: str
) -> None:
    response = await client.post(
        "/sagas/start", json={**START, "callback_url": url}, headers={"Idempotency-Key": "k"}
    )

    problem = ProblemDetails.model_validate_json(response.content)
    assert (response.status_code, problem.code) == (422, "invalid-request")
    assert [(error.pointer, error.code) for error in problem.errors] == [
        ("/callback_url", "bad-callback")
    ]
    assert "secret" not in response.text
    assert len(response.content) < 2000
    assert (service.events, service.log.store.keys) == ([], {})


@pytest.mark.parametrize(
    "url", ["https://shop.example/told?saga=1", "http://127.0.0.1:9001/told", None]
)
async def test_allowed_callback_url_receives_the_status_at_rest(
    client: httpx.AsyncClient, service: InMemoryService, url: str | None
) -> None:
    response = await client.post("/sagas/start", json={**START, "callback_url": url})
    await await_idle(service.driver)

    sender = service.driver.webhooks.sender
    assert isinstance(sender, ScriptedWebhooks)
    assert response.status_code == 200
    assert [saga.state.callback_url for saga in sender.delivered] == ([url] if url else [])
