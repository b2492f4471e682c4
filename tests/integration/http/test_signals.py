"""Signals: heard at once or kept, once for each key, and never lost or half taken."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from saga_orchestrator.fsm.decider.operator_commands import MAX_BUFFERED_SIGNALS
from saga_orchestrator.http.wire.responses import ProblemDetails
from saga_orchestrator.tests.support.asgi_requests import JSON
from saga_orchestrator.tests.support.in_memory_service import InMemoryService
from saga_orchestrator.tests.support.virtual_time import await_idle

from .situations import SECRET, SITUATIONS, backing_off, paused, started, waiting

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
TWO_SIGNALS = """
saga: two_signals
version: 1
steps:
  - {name: approve, wait_for: {signal: approval, timeout: 24h}}
  - {name: release, wait_for: {signal: go, timeout: 24h}}
"""


async def outputs(client: httpx.AsyncClient, saga_id: str) -> object:
    return (await client.get(f"/sagas/{saga_id}")).json()["outputs"]


@pytest.mark.parametrize(("content", "output"), BODIES)
async def test_whatever_a_signal_says_is_what_its_step_has_heard(
    client: httpx.AsyncClient, world: InMemoryService, content: bytes, output: object
) -> None:
    saga_id = await waiting(world)

    response = await client.post(
        f"/sagas/{saga_id}/signals/approval", content=content, headers={**JSON, "Prefer": "wait=10"}
    )

    assert (response.status_code, response.json()["status"]) == (200, "completed")
    assert response.json()["steps"][1]["output"] == output


async def test_a_signal_that_is_early_is_kept(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await backing_off(world)

    early = await client.post(f"/sagas/{saga_id}/signals/approval", json={"by": "alice"})
    await client.post(f"/sagas/{saga_id}/retry")
    await await_idle(world.driver)

    assert (early.status_code, early.json()["status"]) == (200, "running")
    assert (await world.await_rest(saga_id)).outputs["approve"] == {"by": "alice"}


async def test_a_signal_that_no_step_waits_for_is_refused_with_those_that_are_known(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await waiting(world)
    before = len(world.events)

    response = await client.post(f"/sagas/{saga_id}/signals/aproval")

    problem = ProblemDetails.model_validate_json(response.content)
    assert (response.status_code, problem.code) == (422, "unknown-signal")
    assert problem.known == ["approval"]
    assert len(world.events) == before


async def test_a_key_counts_once_also_when_the_saga_has_gone_on(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await waiting(world)
    path, headers = f"/sagas/{saga_id}/signals/approval", {"Idempotency-Key": "k"}
    await client.post(path, json=1, headers=headers)
    await await_idle(world.driver)
    before = len(world.events)

    again = await client.post(path, json=1, headers={"Idempotency-Key": '"k"'})

    assert (again.status_code, again.json()["status"]) == (200, "completed")
    assert len(world.events) == before


async def test_many_at_once_with_one_key_are_one_signal(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await paused(world)
    path, headers = f"/sagas/{saga_id}/signals/approval", {"Idempotency-Key": "k"}

    responses = await asyncio.gather(*(client.post(path, headers=headers) for _ in range(10)))

    assert {one.status_code for one in responses} == {200}
    assert [one.type for one in world.events].count("SignalReceived") == 1


async def test_one_key_for_two_signals_loses_neither(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await started(world, TWO_SIGNALS)
    headers = {"Idempotency-Key": "order-7"}

    await client.post(f"/sagas/{saga_id}/signals/approval", json=1, headers=headers)
    await client.post(f"/sagas/{saga_id}/signals/go", json=2, headers=headers)
    await await_idle(world.driver)

    assert await outputs(client, saga_id) == {"approve": 1, "release": 2}


async def test_without_a_key_each_one_counts(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await paused(world)

    for _ in range(2):
        await client.post(f"/sagas/{saga_id}/signals/approval")

    assert [one.type for one in world.events].count("SignalReceived") == 2


async def test_no_more_are_kept_than_anybody_needs(
    client: httpx.AsyncClient, world: InMemoryService
) -> None:
    saga_id = await paused(world)

    for _ in range(MAX_BUFFERED_SIGNALS):
        assert (await client.post(f"/sagas/{saga_id}/signals/approval")).status_code == 200
    one_more = await client.post(f"/sagas/{saga_id}/signals/approval")

    assert (one_more.status_code, one_more.json()["code"]) == (409, "too-many-signals")
    assert "100 signals approval are kept already" in one_more.json()["detail"]


@pytest.mark.parametrize("situation", ["completed", "compensated", "parked_back", "abandoned"])
async def test_a_saga_at_rest_hears_nothing(
    client: httpx.AsyncClient, world: InMemoryService, situation: str
) -> None:
    saga_id = await SITUATIONS[situation](world)
    before = len(world.events)

    response = await client.post(f"/sagas/{saga_id}/signals/approval")

    assert (response.status_code, response.json()["code"]) == (409, "not-allowed")
    assert "signal" not in response.json()["allowed_actions"]
    assert len(world.events) == before


NAMES = ["%00", "%EF%BF%BD", "a" * 64, "1a", "a%20b", "a%0A", "%C3%BC", "a.b"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_that_no_signal_can_have(
    client: httpx.AsyncClient, world: InMemoryService, name: str
) -> None:
    saga_id = await waiting(world)

    response = await client.post(f"/sagas/{saga_id}/signals/{name}")

    assert (response.status_code, response.json()["code"]) == (422, "invalid-signal-name")
    assert len(world.events) == 4


@pytest.mark.parametrize("key", ["", "a b", '"open', "x" * 256])
async def test_a_key_that_is_none(
    client: httpx.AsyncClient, world: InMemoryService, key: str
) -> None:
    saga_id = await waiting(world)

    response = await client.post(
        f"/sagas/{saga_id}/signals/approval", headers={"Idempotency-Key": key}
    )

    assert (response.status_code, response.json()["code"]) == (422, "invalid-idempotency-key")
    assert len(world.events) == 4


@pytest.mark.parametrize("content", [b"{", b"NaN", b'"\\u0000"', b'"\\ud800"', b"1e999", b"\xff"])
async def test_a_body_that_is_no_json(
    client: httpx.AsyncClient, world: InMemoryService, content: bytes
) -> None:
    saga_id = await waiting(world)

    response = await client.post(
        f"/sagas/{saga_id}/signals/approval", content=content, headers=JSON
    )

    assert (response.status_code, response.json()["code"]) == (400, "not-json")
    assert len(world.events) == 4
