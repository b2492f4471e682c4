"""If-Match: who has seen one version of a saga acts on that one, and on no other."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from saga_orchestrator.tests.support.in_memory_service import InMemoryService

from .situations import waiting

BODIES: dict[str, Any] = {
    "pause": {},
    "cancel": {"reason": "customer called"},
    "abandon": {"reason": "customer called"},
    "signals/approval": {"by": "alice"},
    "compensate": {},
}


@pytest.mark.parametrize("verb", BODIES)
@pytest.mark.parametrize("tags", ['"3"', '"44"', '"3", "5"', 'W/"4", "3"', '"abc"'])
async def test_command_for_another_version_is_refused(
    client: httpx.AsyncClient, service: InMemoryService, verb: str, tags: str
) -> None:
    saga_id = await waiting(service)
    headers = {"If-Match": tags}

    response = await client.post(f"/sagas/{saga_id}/{verb}", json=BODIES[verb], headers=headers)

    assert (response.status_code, response.json()["code"]) == (412, "version-mismatch")
    assert len(service.events) == 4


@pytest.mark.parametrize("verb", BODIES)
@pytest.mark.parametrize(
    ("tags", "write"),
    [("4", '"4"'), ('W/"4"', '"4"'), ("abc", '"6"'), ('"4', '"4"'), ('"4" "5"', '"4"')],
)
async def test_invalid_entity_tag_is_refused_with_its_correction(
    client: httpx.AsyncClient, service: InMemoryService, verb: str, tags: str, write: str
) -> None:
    saga_id = await waiting(service)
    path, headers = f"/sagas/{saga_id}/{verb}", {"If-Match": tags}

    response = await client.post(path, json=BODIES[verb], headers=headers)

    assert (response.status_code, response.json()["code"]) == (400, "invalid-if-match")
    assert f"write If-Match: {write}, and not {tags}" in response.json()["detail"]
    assert len(service.events) == 4


@pytest.mark.parametrize("tags", ['"4"', '"3", "4"', "*"])
async def test_command_for_the_current_version_is_executed(
    client: httpx.AsyncClient, service: InMemoryService, tags: str
) -> None:
    saga_id = await waiting(service)

    response = await client.post(f"/sagas/{saga_id}/pause", headers={"If-Match": tags})

    assert (response.status_code, response.headers["etag"]) == (200, '"5"')


async def test_concurrent_commands_for_one_version_have_one_winner(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await waiting(service)
    await client.post(f"/sagas/{saga_id}/pause")
    path, headers = f"/sagas/{saga_id}/signals/approval", {"If-Match": '"5"'}

    responses = await asyncio.gather(*(client.post(path, headers=headers) for _ in range(10)))

    assert sorted(response.status_code for response in responses) == [200] + [412] * 9
    assert {response.json()["code"] for response in responses if response.is_error} == {
        "version-mismatch"
    }
    assert [event.type for event in service.events[5:]] == ["SignalReceived"]


async def test_concurrent_commands_for_any_version_all_succeed(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await waiting(service)
    await client.post(f"/sagas/{saga_id}/pause")
    path, headers = f"/sagas/{saga_id}/signals/approval", {"If-Match": "*"}

    responses = await asyncio.gather(*(client.post(path, headers=headers) for _ in range(10)))

    assert {response.status_code for response in responses} == {200}
