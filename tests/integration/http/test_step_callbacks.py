"""Callbacks of participants: believed with the token of the call, and counted once."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest
from saga_orchestrator.http.wire.responses import SagaStatusResponse
from saga_orchestrator.tests.support.asgi_requests import JSON
from saga_orchestrator.tests.support.in_memory_service import TOKENS, InMemoryService

from .situations import SECRET, UNKNOWN_SAGA, accepted


def token_of(saga_id: str, step: str = "ship") -> Mapping[str, str]:
    return {"Saga-Callback-Token": TOKENS.issue(saga_id, step)}


@pytest.mark.parametrize(
    ("body", "output"),
    [(b"", None), (b"{}", None), (b'{"output": 7}', 7), (b'{"output": {"id": "x"}}', {"id": "x"})],
)
async def test_callback_completes_its_step_with_an_output(
    client: httpx.AsyncClient, service: InMemoryService, body: bytes, output: object
) -> None:
    saga_id = await accepted(service)

    response = await client.post(
        f"/sagas/{saga_id}/steps/ship/complete", content=body, headers={**JSON, **token_of(saga_id)}
    )

    answer = SagaStatusResponse.model_validate_json(response.content)
    assert (response.status_code, answer.status) == (200, "completed")
    assert answer.steps[1].output == output
    assert response.headers["location"] == f"/sagas/{saga_id}/status"
    served = await client.get(f"/sagas/{saga_id}/steps/ship/output")
    assert (served.status_code, served.json()) == (200, output)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (None, "the participant reported a failure"),
        ({}, "the participant reported a failure"),
        ({"reason": "no van"}, "no van"),
    ],
)
async def test_callback_that_fails_its_step_starts_compensation(
    client: httpx.AsyncClient, service: InMemoryService, body: object, why: str
) -> None:
    saga_id = await accepted(service)
    service.participants.hold("undo reserve")
    content = None if body is None else httpx.Request("POST", "http://x", json=body).content

    response = await client.post(
        f"/sagas/{saga_id}/steps/ship/fail", content=content, headers={**JSON, **token_of(saga_id)}
    )

    assert (response.status_code, response.json()["status"]) == (200, "compensating")
    assert response.json()["error"] == f"ship was rejected: {why}"
    service.participants.release("undo reserve")
    assert (await service.await_rest(saga_id)).state.status == "compensated"
    assert service.participants.paths[2:] == ["POST /release"]


@pytest.mark.parametrize("verb", ["complete", "fail"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Saga-Callback-Token": ""},
        {"Saga-Callback-Token": "0" * 64},
        {"Saga-Callback-Token": "\xfc".encode("latin-1")},
        token_of(UNKNOWN_SAGA),
    ],
)
async def test_callback_without_the_token_is_refused(
    client: httpx.AsyncClient, service: InMemoryService, verb: str, headers: Mapping[str, str]
) -> None:
    saga_id = await accepted(service)
    before = len(service.events)

    response = await client.post(f"/sagas/{saga_id}/steps/ship/{verb}", headers=headers)

    assert (response.status_code, response.json()["code"]) == (403, "wrong-callback-token")
    assert TOKENS.issue(saga_id, "ship") not in response.text
    assert len(service.events) == before


@pytest.mark.parametrize("step", ["reserve", "pack"])
async def test_step_without_callbacks_is_not_found(
    client: httpx.AsyncClient, service: InMemoryService, step: str
) -> None:
    saga_id = await accepted(service)

    response = await client.post(
        f"/sagas/{saga_id}/steps/{step}/complete", headers=token_of(saga_id, step)
    )

    assert (response.status_code, response.json()["code"]) == (404, "unknown-step")


@pytest.mark.parametrize("spelling", [SECRET, SECRET.replace("/", "%2F"), "the token"])
async def test_secret_in_a_callback_is_not_recorded(
    client: httpx.AsyncClient, service: InMemoryService, spelling: str
) -> None:
    saga_id = await accepted(service)
    secret = TOKENS.issue(saga_id, "ship") if spelling == "the token" else spelling
    body = {"output": {secret: f"sent with {secret}"}}

    response = await client.post(
        f"/sagas/{saga_id}/steps/ship/complete", json=body, headers=token_of(saga_id)
    )

    assert response.json()["steps"][1]["output"] == {"[secret]": "sent with [secret]"}
    assert secret not in str(service.events)


async def test_secret_in_a_failure_is_redacted_in_the_reason(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await accepted(service)

    response = await client.post(
        f"/sagas/{saga_id}/steps/ship/fail",
        json={"reason": f"wrong key {SECRET}"},
        headers={**token_of(saga_id), "Prefer": "wait=10"},
    )

    assert response.json()["error"] == "ship was rejected: wrong key [secret]"
