"""Who asks, as a header claims, stands in the audit trail; without it nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from saga_orchestrator.fsm.runtime.bulk import BulkJobs
from saga_orchestrator.http.app import ROUTES
from saga_orchestrator.http.wire.headers import ACTOR_HEADER
from saga_orchestrator.http.wire.responses import EventModel, ProblemDetails
from saga_orchestrator.http.wire.route import RouteSpec
from saga_orchestrator.tests.support.in_memory_service import (
    TOKENS,
    InMemoryService,
)
from saga_orchestrator.tests.support.virtual_time import await_idle

from .conftest import ScriptedListing
from .situations import ACCEPTED, DELIVERY, SITUATIONS, START, accepted, started, waiting
from .test_bulk import listed
from .test_verbs import BODIES

ANNA: Mapping[str, str] = {ACTOR_HEADER: "anna"}
ASKED = [
    ("waiting", "pause"),
    ("paused", "resume"),
    ("waiting", "cancel"),
    ("waiting", "compensate"),
    ("waiting", "abandon"),
    ("waiting", "steps/notify/skip"),
    ("waiting", "signals/approval"),
    ("backing_off", "retry"),
    ("parked_forward", "retry"),
    ("parked_forward", "steps/pay/resolve"),
    ("parked_back", "steps/reserve/resolve"),
]
WITH_AN_ACTOR = [route for route in ROUTES if ACTOR_HEADER in route.headers]


async def first_since(client: httpx.AsyncClient, saga_id: str, version: int) -> EventModel:
    answer = await client.get(f"/sagas/{saga_id}/events?after={version}&limit=1")
    (event,) = answer.json()["events"]
    return EventModel.model_validate(event)


@pytest.mark.parametrize(("situation", "verb"), ASKED)
async def test_actor_of_a_command_is_recorded_in_its_event(
    client: httpx.AsyncClient, service: InMemoryService, situation: str, verb: str
) -> None:
    saga_id = await SITUATIONS[situation](service)
    before, body = len(service.events), BODIES.get(verb, {})

    response = await client.post(f"/sagas/{saga_id}/{verb}", json=body, headers=ANNA)

    assert response.status_code in (200, 202)
    assert (await first_since(client, saga_id, before)).actor == "anna"


async def test_command_without_an_actor_is_recorded_without_one(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    saga_id = await waiting(service)
    before = len(service.events)

    await client.post(f"/sagas/{saga_id}/pause")

    assert (await first_since(client, saga_id, before)).actor is None


async def test_name_of_an_actor_is_utf_8(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    headers = {ACTOR_HEADER.encode(): "Anna Müller, 王".encode()}

    saga_id = (await client.post("/sagas/start", json=START, headers=headers)).json()["saga_id"]

    assert (await first_since(client, saga_id, 0)).actor == "Anna Müller, 王"


@pytest.mark.parametrize(
    ("verb", "recorded"), [("complete", "StepSucceeded"), ("fail", "StepRejected")]
)
async def test_actor_of_a_callback_is_recorded_in_what_follows(
    client: httpx.AsyncClient, service: InMemoryService, verb: str, recorded: str
) -> None:
    saga_id = await accepted(service)
    before = len(service.events)
    headers = {**ANNA, "Saga-Callback-Token": TOKENS.issue(saga_id, "ship")}

    for _ in range(2):
        await client.post(f"/sagas/{saga_id}/steps/ship/{verb}", headers=headers)
        await await_idle(service.driver)

    event = await first_since(client, saga_id, before)
    late = await first_since(client, saga_id, len(service.events) - 1)
    assert [(recorded_event.type, recorded_event.actor) for recorded_event in (event, late)] == [
        (recorded, "anna"),
        ("LateReplyIgnored", "anna"),
    ]


async def test_actor_of_an_early_callback_is_kept_with_it(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    service.participants.hold("ship")
    service.participants.will_reply("ship", ACCEPTED)
    asking = asyncio.ensure_future(started(service, DELIVERY))
    await service.participants.await_call("ship")
    saga_id = service.participants.sent[0].headers["saga-id"]
    before = len(service.events)
    headers = {**ANNA, "Saga-Callback-Token": TOKENS.issue(saga_id, "ship")}

    await client.post(f"/sagas/{saga_id}/steps/ship/complete", headers=headers)

    event = await first_since(client, saga_id, before)
    assert (event.type, event.actor) == ("CallbackReceived", "anna")
    service.participants.release("ship")
    await asking


async def test_actor_of_a_bulk_job_is_recorded_with_each_saga(
    client: httpx.AsyncClient, service: InMemoryService, listing: ScriptedListing, bulk: BulkJobs
) -> None:
    sagas = [await waiting(service) for _ in range(3)]
    listed(listing, *sagas)
    wanted = {"action": "pause", "filter": {}, "reason": "a fire"}

    await client.post("/bulk", json=wanted, headers=ANNA)
    await bulk.step()

    for saga_id in sagas:
        events = (await client.get(f"/sagas/{saga_id}/events")).json()["events"]
        assert [event["actor"] for event in events if event["type"] == "SagaPaused"] == ["anna"]


def test_every_command_accepts_an_actor() -> None:
    silent = {"put_definition", "verify_definition"}
    assert {route.name for route in ROUTES if route.method != "GET"} - silent == {
        route.name for route in WITH_AN_ACTOR
    }


@pytest.mark.parametrize("route", WITH_AN_ACTOR, ids=lambda route: str(route.name))
@pytest.mark.parametrize(
    "claims", [[b""], [b"x" * 201], [b"an\x1bna"], [b"\xff"], [b"anna", b"bob"]]
)
async def test_invalid_actor_is_refused_and_nothing_is_recorded(
    client: httpx.AsyncClient, service: InMemoryService, route: RouteSpec, claims: list[bytes]
) -> None:
    saga_id = await accepted(service)
    before = len(service.events)
    step = "ship" if route.path.endswith(("complete", "fail")) else "reserve"
    path = route.path.format(saga_id=saga_id, step=step, name="approval", job_id="x")
    bodies: dict[str, Any] = {
        "start": START,
        "bulk": {"action": "cancel", "filter": {}, "reason": "why"},
        "abandon": {"reason": "why"},
        "resolve": {"outcome": "done", "evidence": "seen"},
    }
    headers = [(ACTOR_HEADER.encode(), claim) for claim in claims]
    headers += [(b"saga-callback-token", TOKENS.issue(saga_id, step).encode())]

    response = await client.post(path, json=bodies.get(route.name, {}), headers=headers)

    problem = ProblemDetails.model_validate_json(response.content)
    assert (response.status_code, problem.code) == (422, "invalid-actor")
    assert len(service.events) == before
