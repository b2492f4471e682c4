from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from saga_orchestrator.tests.support.asgi_requests import JSON
from saga_orchestrator.tests.support.in_memory_service import ORDER_PROCESSING, InMemoryService
from saga_orchestrator.tests.support.in_memory_service import in_memory_service as another_service

TRIP: dict[str, Any] = {
    "saga": "trip",
    "version": 1,
    "steps": [
        {
            "name": "fly",
            "participant": "airline",
            "action": {"path": "/flights"},
            "compensation": {"path": "/flights/${steps.fly.output.id}/cancel"},
        }
    ],
}
WARNING = {
    "code": "undo-needs-own-output",
    "pointer": "/steps/0/compensation/path",
    "detail": "${steps.fly.output.id} is missing when the outcome of fly is unknown:"
    " give a fallback with ||, or use steps.fly.key",
    "severity": "warning",
}
TRIP_YAML = """
saga: trip
version: 1
steps:
  - name: fly
    participant: airline
    action: {path: /flights}
    compensation: {path: "/flights/${steps.fly.output.id}/cancel"}
"""


async def test_definition_is_registered_and_read_again(client: httpx.AsyncClient) -> None:
    put = await client.put("/definitions/trip/1", json=TRIP)
    read = await client.get("/definitions/trip/1")

    assert put.status_code == 201
    assert put.headers["location"] == "/definitions/trip/1"
    assert put.json() == {**TRIP, "findings": [WARNING]}
    assert read.json() == TRIP


async def test_repeated_registration_changes_nothing(client: httpx.AsyncClient) -> None:
    await client.put("/definitions/trip/1", json=TRIP)

    again = await client.put("/definitions/trip/1", json=TRIP)

    assert again.status_code == 200


async def test_registered_version_never_changes(client: httpx.AsyncClient) -> None:
    await client.put("/definitions/trip/1", json=TRIP)

    other = await client.put("/definitions/trip/1", json={**TRIP, "deadline": "1h"})

    assert (other.status_code, other.json()["code"]) == (409, "definition-exists")
    assert (await client.get("/definitions/trip/1")).json() == TRIP


@pytest.mark.parametrize("kind", ["application/yaml", "application/x-yaml", "text/yaml; a=b"])
async def test_yaml_is_accepted(client: httpx.AsyncClient, kind: str) -> None:
    put = await client.put("/definitions/trip/1", content=TRIP_YAML, headers={"Content-Type": kind})

    assert put.json() == {**TRIP, "findings": [WARNING]}


@pytest.mark.parametrize("body", [b"a: [", b"a: &x 1\nb: *x", b"\xff", b'a: "\\0"', b"a: 1e999"])
async def test_invalid_yaml_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    headers = {"Content-Type": "application/yaml"}

    put = await client.put("/definitions/trip/1", content=body, headers=headers)

    assert (put.status_code, put.json()["code"]) == (422, "not-yaml")


async def test_name_and_version_of_path_and_document_must_agree(client: httpx.AsyncClient) -> None:
    put = await client.put("/definitions/journey/01", json=TRIP)

    assert (put.status_code, put.json()["code"]) == (422, "invalid-definition")
    assert [(error["pointer"], error["detail"]) for error in put.json()["errors"]] == [
        ("/saga", "it is trip in the body, and journey in the path: make them the same"),
        ("/version", "the path ends in 01: a version is a whole number from 1"),
    ]


@pytest.mark.parametrize(
    ("version", "detail"),
    [
        ("7", "it is 1 in the body, and 7 in the path: make them the same"),
        ("x", "the path ends in x: a version is a whole number from 1"),
        ("0", "the path ends in 0: a version is a whole number from 1"),
    ],
)
async def test_wrong_path_hides_no_other_finding(
    client: httpx.AsyncClient, version: str, detail: str
) -> None:
    misspelled = {**TRIP, "steps": [{**TRIP["steps"][0], "pivto": True}]}
    not_undone = {**TRIP, "steps": [{**TRIP["steps"][0], "compensation": None}]}

    for document, pointer in ((misspelled, "/steps/0/pivto"), (not_undone, "/steps/0")):
        put = await client.put(f"/definitions/trip/{version}", json=document)
        errors = [(error["pointer"], error["detail"]) for error in put.json()["errors"]]

        assert put.status_code == 422
        assert errors[0] == ("/version", detail)
        assert pointer in [each_pointer for each_pointer, _ in errors[1:]]


@pytest.mark.parametrize("document", [[], None, 1, {}, {**TRIP, "steps": []}])
async def test_invalid_definition_is_refused_with_findings(
    client: httpx.AsyncClient, document: object
) -> None:
    put = await client.put("/definitions/trip/1", content=json.dumps(document), headers=JSON)

    assert (put.status_code, put.json()["code"]) == (422, "invalid-definition")
    assert put.json()["errors"]
    assert (await client.get("/definitions/trip/1")).status_code == 404


async def test_verification_returns_findings_and_registers_nothing(
    client: httpx.AsyncClient,
) -> None:
    wrong = {**TRIP, "steps": [{**TRIP["steps"][0], "compensation": None}]}

    good = await client.post("/definitions/verify", json=TRIP)
    bad = await client.post("/definitions/verify", json=wrong)

    assert good.json() == {"findings": [WARNING]}
    assert bad.status_code == 200
    assert [(finding["code"], finding["severity"]) for finding in bad.json()["findings"]] == [
        ("cannot-be-undone", "error")
    ]
    assert (await client.get("/definitions/trip/1")).status_code == 404


async def test_unknown_participant_is_a_warning(
    client: httpx.AsyncClient,
) -> None:
    elsewhere = {**TRIP, "steps": [{**TRIP["steps"][0], "participant": "railway"}]}

    put = await client.put("/definitions/trip/1", json=elsewhere)
    verified = await client.post("/definitions/verify", json=elsewhere)

    assert put.status_code == 201
    assert put.json()["findings"] == verified.json()["findings"]
    assert [
        (finding["code"], finding["pointer"], finding["severity"])
        for finding in put.json()["findings"]
    ] == [
        ("unknown-participant", "/steps/0/participant", "warning"),
        ("undo-needs-own-output", "/steps/0/compensation/path", "warning"),
    ]


async def test_definitions_of_all_nodes_are_listed(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    elsewhere = ORDER_PROCESSING.replace("version: 1", "version: 2")
    await another_service(elsewhere, store=service.log.store)

    listed = (await client.get("/definitions")).json()["definitions"]

    steps = ["create_order", "process_payment", "confirm_order"]
    assert listed == [
        {"saga": "order_processing", "version": n, "description": None, "steps": steps}
        for n in (1, 2)
    ]


@pytest.mark.parametrize(
    "place", ["trip/1", "trip/0", "trip/x", "trip/99999999999", "%00/1", "ü/1"]
)
async def test_unknown_definition_is_not_found(client: httpx.AsyncClient, place: str) -> None:
    response = await client.get(f"/definitions/{place}")

    assert (response.status_code, response.json()["code"]) == (404, "unknown-definition")


async def test_saga_of_a_new_definition_runs(client: httpx.AsyncClient) -> None:
    await client.put("/definitions/trip/1", json=TRIP)

    response = await client.post("/sagas/start", json={"saga_type": "trip", "entity_id": "t"})

    assert (response.status_code, response.json()["status"]) == (200, "completed")


async def test_definition_that_closes_a_cycle_is_refused_with_its_place(
    client: httpx.AsyncClient,
) -> None:
    ping = {"saga": "ping", "version": 1, "steps": [{"name": "next", "saga": {"type": "pong"}}]}
    pong = {"saga": "pong", "version": 1, "steps": [{"name": "next", "saga": {"type": "ping"}}]}
    await client.put("/definitions/ping/1", json=ping)

    put = await client.put("/definitions/pong/1", json=pong)
    verified = await client.post("/definitions/verify", json=pong)

    assert (put.status_code, put.json()["code"]) == (422, "invalid-definition")
    (error,) = put.json()["errors"]
    assert error["pointer"] == "/steps/0/saga/type"
    assert "pong version 1 starts ping version 1, which starts pong version 1" in error["detail"]
    assert [finding["code"] for finding in verified.json()["findings"]] == ["endless-children"]
    assert (await client.get("/definitions/pong/1")).status_code == 404


async def test_start_is_checked_against_the_input_schema(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    schema = {"required": ["to"], "properties": {"to": {"enum": ["Rome", "Oslo"]}}}
    put = await client.put("/definitions/trip/1", json={**TRIP, "input": schema})
    start = {"saga_type": "trip", "entity_id": 1}
    before = len(service.events)

    refused = await client.post("/sagas/start", json={**start, "input": {"to": "Roma"}})

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-input")
    assert refused.json()["errors"] == [
        {
            "pointer": "/input/to",
            "detail": 'input.to must be "Rome" or "Oslo"',
            "code": "input-misfit",
        }
    ]
    assert len(service.events) == before
    started = await client.post("/sagas/start", json={**start, "input": {"to": "Rome"}})
    assert started.json()["status"] == "completed"
    assert (await client.get("/definitions/trip/1")).json()["input"] == schema
    assert put.status_code == 201


async def test_invalid_input_schema_is_refused_at_its_place(
    client: httpx.AsyncClient,
) -> None:
    put = await client.put("/definitions/trip/1", json={**TRIP, "input": {"requird": ["to"]}})

    assert (put.status_code, put.json()["code"]) == (422, "invalid-definition")
    assert put.json()["errors"] == [
        {
            "pointer": "/input/requird",
            "detail": "'requird' is not a supported keyword of a schema; did you mean required?",
            "code": "bad-schema",
        }
    ]


TURNS_BESIDE_THE_WORK = 10


@pytest.mark.parametrize("media_type", ["application/json", "application/yaml"])
async def test_event_loop_runs_while_a_large_definition_is_verified(
    client: httpx.AsyncClient, media_type: str
) -> None:
    """On the loop itself the work would leave a few turns to others, before and behind it."""
    steps = [large_step(number) for number in range(200)]
    document = json.dumps({"saga": "large", "version": 1, "steps": steps})
    headers = {"content-type": media_type}

    asked = asyncio.create_task(
        client.post("/definitions/verify", content=document, headers=headers)
    )
    turns = 0
    while not asked.done():
        await asyncio.sleep(0.001)
        turns += 1

    assert (await asked).status_code == 200
    assert turns > TURNS_BESIDE_THE_WORK


def large_step(number: int) -> dict[str, Any]:
    body = {f"k{n}": f"${{merge(input.a{n}, {{b: input.b || 'c'}})}}" for n in range(10)}
    return {
        "name": f"step_{number}",
        "participant": "airline",
        "effect": "none",
        "action": {"path": "/flights", "body": body},
    }
