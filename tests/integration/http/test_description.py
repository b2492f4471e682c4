"""What `/openapi.json` says is what the routes do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema_rs import validator_for
from saga_orchestrator.http.app import ROUTES
from saga_orchestrator.http.openapi import openapi_document
from saga_orchestrator.http.wire.problems import PROBLEMS
from saga_orchestrator.http.wire.route import RouteSpec
from saga_orchestrator.tests.support.in_memory_service import (
    TOKENS,
    InMemoryService,
)

from .api_description import assert_described
from .situations import SITUATIONS, START

DOCUMENT = openapi_document(ROUTES, "1.2.3")
TRIP = {
    "saga": "trip",
    "version": 1,
    "steps": [{"name": "fly", "participant": "airline", "action": {"path": "/f"}, "pivot": True}],
}
BODIES: dict[str, Any] = {
    "start": START,
    "compensate": {"reason": "r"},
    "put_definition": TRIP,
    "verify_definition": TRIP,
    "abandon": {"reason": "r"},
    "resolve": {"outcome": "done", "evidence": "e"},
    "bulk": {"action": "cancel", "filter": {}, "reason": "r"},
}
# Where a saga must be for the verb to be possible, and the step that it is about.
WHERE = {
    "retry": ("backing_off", ""),
    "pause": ("waiting", ""),
    "resume": ("paused", ""),
    "cancel": ("waiting", ""),
    "abandon": ("parked_back", ""),
    "signal": ("waiting", ""),
    "skip": ("waiting", "notify"),
    "resolve": ("parked_forward", "pay"),
    "output": ("completed", "reserve"),
    "complete": ("accepted", "ship"),
    "fail": ("accepted", "ship"),
}


def refs(node: object) -> Iterator[str]:
    match node:
        case {"$ref": str() as ref}:
            yield ref
        case dict():
            for value in node.values():
                yield from refs(value)
        case list():
            for value in node:
                yield from refs(value)
        case _:
            return


def name(route: RouteSpec) -> str:
    return f"{route.method} {route.path}"


def test_every_reference_names_a_schema() -> None:
    schemas = {f"#/components/schemas/{schema}" for schema in DOCUMENT["components"]["schemas"]}

    assert set(refs(DOCUMENT)) <= schemas


def schemas_with_defaults(node: object) -> Iterator[dict[str, Any]]:
    match node:
        case dict():
            if "default" in node and "properties" not in node:
                yield node
            for value in node.values():
                yield from schemas_with_defaults(value)
        case list():
            for value in node:
                yield from schemas_with_defaults(value)


def test_every_default_fits_its_own_schema() -> None:
    found = list(schemas_with_defaults(DOCUMENT))
    components = {"components": DOCUMENT["components"]}

    assert "10s" in [found_schema["default"] for found_schema in found]
    assert [
        found_schema
        for found_schema in found
        if not validator_for({**found_schema, **components}).is_valid(found_schema["default"])
    ] == []


def test_every_operation_is_complete() -> None:
    operations = [
        (path, method, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]

    assert DOCUMENT["openapi"] == "3.1.0"
    assert (
        len(operations)
        == len(ROUTES)
        == len({each_operation["operationId"] for _, _, each_operation in operations})
    )
    for path, method, operation in operations:
        assert method in {"get", "put", "post"}
        in_path = {
            parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"
        }
        assert in_path == set(re.findall(r"{(\w+)}", path))
        assert all(parameter["schema"] is not None for parameter in operation["parameters"])
        assert all(re.fullmatch(r"[2-5]\d\d", status) for status in operation["responses"])
        assert all(response["description"] for response in operation["responses"].values())


def test_routes_of_one_path_stand_together() -> None:
    paths = [route.path for route in ROUTES]

    assert len(DOCUMENT["paths"]) == len(set(paths))
    assert [route.path for route in ROUTES] == [
        path for path in dict.fromkeys(paths) for _ in range(paths.count(path))
    ]


async def place_of(
    route: RouteSpec, client: httpx.AsyncClient, service: InMemoryService
) -> dict[str, str]:
    """Where the route has something to say."""
    situation, step = WHERE.get(route.name, ("completed", ""))
    saga_id = await SITUATIONS[situation](service)
    job = (await client.post("/bulk", json=BODIES["bulk"])).json()
    definition = "trip" if route.method == "PUT" else "order_processing"
    return {
        "saga_id": saga_id,
        "step": step,
        "job_id": job["job_id"],
        "name": "approval" if route.name == "signal" else definition,
        "version": "1",
    }


async def ask(
    route: RouteSpec, client: httpx.AsyncClient, service: InMemoryService, **headers: str
) -> httpx.Response:
    place = await place_of(route, client, service)
    token = TOKENS.issue(place["saga_id"], place["step"])
    return await client.request(
        route.method,
        route.path.format(**place),
        json=BODIES.get(route.name),
        headers={"Saga-Callback-Token": token, **headers},
    )


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_response_of_a_route_is_as_described(
    client: httpx.AsyncClient, service: InMemoryService, route: RouteSpec
) -> None:
    response = await ask(route, client, service)

    assert response.is_success
    assert_described(route, response)


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.name in ("start", "compensate", "cancel")],
    ids=name,
)
async def test_response_about_a_saga_that_goes_on_is_as_described(
    client: httpx.AsyncClient, service: InMemoryService, route: RouteSpec
) -> None:
    service.participants.hold("undo reserve")

    response = await ask(route, client, service, Prefer="respond-async")

    assert response.status_code == 202
    assert response.headers["retry-after"] == "1"
    assert_described(route, response)


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_unknown_resource_is_a_problem_as_described(
    client: httpx.AsyncClient, route: RouteSpec
) -> None:
    place = dict.fromkeys(("saga_id", "step", "job_id", "name", "version"), "x")

    response = await client.request(route.method, route.path.format(**place))

    assert_described(route, response)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.path_parameters], ids=name)
async def test_impossible_name_is_a_problem_as_described(
    client: httpx.AsyncClient, route: RouteSpec
) -> None:
    place = dict.fromkeys(("saga_id", "step", "job_id", "name", "version"), "%00")

    response = await client.request(route.method, route.path.format(**place))

    assert response.is_error
    assert_described(route, response)


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if len(route.body_types) > 1], ids=name
)
async def test_invalid_yaml_is_a_problem_as_described(
    client: httpx.AsyncClient, route: RouteSpec
) -> None:
    response = await client.request(
        route.method,
        route.path.format(name="trip", version="1"),
        content=b"a: [",
        headers={"Content-Type": "application/yaml"},
    )

    assert response.json()["code"] == "not-yaml"
    assert_described(route, response)


async def test_description_and_its_page_are_served(client: httpx.AsyncClient) -> None:
    served = (await client.get("/openapi.json")).json()
    page = (await client.get("/docs")).text

    assert served == json.loads(json.dumps(DOCUMENT))
    assert all(f"id='{problem.code}'" in page for problem in PROBLEMS.values())
    assert all(path in page for path in DOCUMENT["paths"])
    assert not re.search(r"https?://|<script|src=|@import|url\(", page)
