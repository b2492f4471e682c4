"""What `/openapi.json` says is what the routes do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from saga_orchestrator.http.answers import ProblemAnswer
from saga_orchestrator.http.openapi import REPLY_HEADERS, openapi_document, problems_of
from saga_orchestrator.http.problems import PROBLEMS
from saga_orchestrator.http.route import RouteSpec
from saga_orchestrator.http.routes import ROUTES
from saga_orchestrator.tests.world import ORDER, World

DOCUMENT = openapi_document(ROUTES, "1.2.3")
START = {"saga_type": "order_processing", "entity_id": 1, "step_data": ORDER}
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
}


def refs(node: object) -> Iterator[str]:
    match node:
        case {"$ref": str() as ref}:
            yield ref
        case dict():
            for one in node.values():
                yield from refs(one)
        case list():
            for one in node:
                yield from refs(one)
        case _:
            return


def name(route: RouteSpec) -> str:
    return f"{route.method} {route.path}"


def test_every_reference_leads_somewhere() -> None:
    schemas = {f"#/components/schemas/{one}" for one in DOCUMENT["components"]["schemas"]}

    assert set(refs(DOCUMENT)) <= schemas


def test_every_operation_is_complete() -> None:
    operations = [
        (path, method, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]

    assert DOCUMENT["openapi"] == "3.1.0"
    assert len(operations) == len(ROUTES) == len({one["operationId"] for _, _, one in operations})
    for path, method, operation in operations:
        assert method in {"get", "put", "post"}
        in_path = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        assert all(one["schema"] is not None for one in operation["parameters"])
        assert all(re.fullmatch(r"[2-5]\d\d", one) for one in operation["responses"])
        assert all(one["description"] for one in operation["responses"].values())


def test_routes_of_one_path_stand_together() -> None:
    paths = [one.path for one in ROUTES]

    assert len(DOCUMENT["paths"]) == len(set(paths))
    assert [one.path for one in ROUTES] == [
        path for path in dict.fromkeys(paths) for _ in range(paths.count(path))
    ]


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_a_route_answers_as_described(
    client: httpx.AsyncClient, world: World, route: RouteSpec
) -> None:
    saga = await world.rested((await world.start("order_processing")).state.saga_id)
    place = {"saga_id": saga.state.saga_id, "name": "order_processing", "version": "1"}
    if route.method == "PUT":
        place["name"] = "trip"

    response = await client.request(
        route.method, route.path.format(**place), json=BODIES.get(route.name)
    )

    reply = route.replies[response.status_code]
    assert response.is_success
    assert response.headers["content-type"].partition(";")[0] == reply.media_type
    ours = {name.lower() for name in (*REPLY_HEADERS, "Allow")} & set(response.headers)
    assert ours <= {name.lower() for name in reply.headers}
    if reply.model:
        reply.model.model_validate_json(response.content)


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_what_nobody_has_is_a_problem_as_described(
    client: httpx.AsyncClient, route: RouteSpec
) -> None:
    place = {"saga_id": "x", "name": "x", "version": "x"}

    response = await client.request(route.method, route.path.format(**place))

    if response.is_error:
        problem = ProblemAnswer.model_validate_json(response.content)
        assert problem.code in {one.code for one in problems_of(route)}


async def test_the_documents_are_served(client: httpx.AsyncClient) -> None:
    served = (await client.get("/openapi.json")).json()
    page = (await client.get("/docs")).text

    assert served == json.loads(json.dumps(DOCUMENT))
    assert all(f"id='{one.code}'" in page for one in PROBLEMS.values())
    assert all(path in page for path in DOCUMENT["paths"])
    assert not re.search(r"https?://|<script|src=|@import|url\(", page)
