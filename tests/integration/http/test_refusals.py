"""Whatever is wrong with a request, the answer is a problem and nothing is recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from saga_orchestrator.fsm.runtime.concurrency import SharedTimeout
from saga_orchestrator.http.app import ROUTES
from saga_orchestrator.http.state import AppState
from saga_orchestrator.http.wire.body import MAX_BODY_BYTES
from saga_orchestrator.http.wire.responses import ProblemDetails
from saga_orchestrator.http.wire.route import RouteSpec
from saga_orchestrator.tests.support.asgi_requests import JSON
from saga_orchestrator.tests.support.in_memory_service import (
    ORDER_STEP_DATA,
    TOKENS,
    InMemoryService,
)

from .situations import START, UNKNOWN_SAGA

BULK = {"action": "cancel", "filter": {}, "reason": "wrong price"}
WITH_A_BODY = [route for route in ROUTES if route.body]
TAKES_ANYTHING = ("signal", "verify_definition")
WITH_A_SHAPE = [route for route in WITH_A_BODY if route.name not in TAKES_ANYTHING]
DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000


def a_start(**changed: Any) -> bytes:
    return json.dumps({**START, **changed}).encode()


BAD_STARTS = {
    "empty": (b"", 400, "not-json"),
    "deeper than we keep": (
        a_start(input={"a": json.loads("[" * 120 + "]" * 120)}),
        400,
        "not-json",
    ),
    "array": (b"[]", 422, "invalid-request"),
    "null": (b"null", 422, "invalid-request"),
    "nothing": (b"{}", 422, "invalid-request"),
    "saga_type is a number": (a_start(saga_type=1), 422, "invalid-request"),
    "entity_id is an object": (a_start(entity_id={}), 422, "invalid-request"),
    "entity_id is a fraction": (a_start(entity_id=1.5), 422, "invalid-request"),
    "entity_id is a truth": (a_start(entity_id=True), 422, "invalid-request"),
    "entity_id is null": (a_start(entity_id=None), 422, "invalid-request"),
    "entity_id is huge": (a_start(entity_id=2**63), 422, "invalid-request"),
    "entity_id is long": (a_start(entity_id="x" * 201), 422, "invalid-request"),
    "step_data is an object": (a_start(step_data={}), 422, "invalid-request"),
    "input is an array": (a_start(input=[]), 422, "invalid-request"),
    "unknown member": (a_start(step_dat=1), 422, "invalid-request"),
    "version 0": (a_start(version=0), 422, "invalid-request"),
    "version as text": (a_start(version="1"), 422, "invalid-request"),
    "version out of reach": (a_start(version=2**40), 422, "invalid-request"),
    "too many tags": (a_start(tags={str(n): "" for n in range(51)}), 422, "invalid-request"),
    "tag is a number": (a_start(tags={"a": 1}), 422, "invalid-request"),
    "long tag": (a_start(tags={"a": "x" * 1001}), 422, "invalid-request"),
    "deadline without unit": (a_start(deadline="15"), 422, "invalid-request"),
    "deadline is a number": (a_start(deadline=15), 422, "invalid-request"),
    "deadline without offset": (a_start(deadline="2026-01-01T00:00:00"), 422, "invalid-request"),
    "start at no time": (a_start(start_at="tomorrow"), 422, "invalid-request"),
    "start at no date": (a_start(start_at="2026-02-30T00:00:00Z"), 422, "invalid-request"),
    "start at the end of time": (a_start(start_at="9999-12-31T23:59:59Z"), 422, "invalid-request"),
    "before the beginning": (a_start(start_at="0001-01-01T00:00:00+14:00"), 422, "invalid-request"),
    "callback_url is a number": (a_start(callback_url=1), 422, "invalid-request"),
    "unknown type": (a_start(saga_type="nothing"), 404, "unknown-saga-type"),
    "type that no type can be": (a_start(saga_type="../ü"), 404, "unknown-saga-type"),
    "unknown version": (a_start(version=2), 404, "unknown-saga-type"),
    "step_data too short": (a_start(step_data=ORDER_STEP_DATA[:1]), 422, "invalid-input"),
    "no step_data": (b'{"saga_type":"order_processing","entity_id":1}', 422, "invalid-input"),
}


def assert_problem(response: httpx.Response, status: int, code: str) -> ProblemDetails:
    assert response.headers["content-type"] == "application/problem+json"
    problem = ProblemDetails.model_validate_json(response.content)
    assert (response.status_code, problem.status, problem.code) == (status, status, code)
    return problem


@pytest.fixture(autouse=True)
async def _nothing_is_recorded(service: InMemoryService) -> AsyncIterator[None]:
    yield
    assert service.events == []
    assert service.participants.sent == []
    assert service.log.store.keys == {}


@pytest.mark.parametrize("case", BAD_STARTS)
async def test_invalid_start_is_refused(client: httpx.AsyncClient, case: str) -> None:
    content, status, code = BAD_STARTS[case]

    response = await client.post(
        "/sagas/start", content=content, headers={"Content-Type": "application/json"}
    )

    problem = assert_problem(response, status, code)
    assert (problem.errors != []) == (status == 422)


async def test_errors_name_their_places(client: httpx.AsyncClient) -> None:
    start = {**START, "step_data": 1, "tags": {"a/b": 2}}

    response = await client.post("/sagas/start", json=start)

    pointers = [error.pointer for error in assert_problem(response, 422, "invalid-request").errors]
    assert pointers == ["/step_data", "/tags/a~1b"]


async def test_a_body_of_ten_megabytes_is_received_and_refused(client: httpx.AsyncClient) -> None:
    received = 0

    async def ten_megabytes() -> AsyncIterator[bytes]:
        nonlocal received
        for _ in range(100):
            yield b" " * 100_000
            received += 100_000

    response = await client.post("/sagas/start", content=ten_megabytes(), headers=JSON)

    assert_problem(response, 413, "body-too-large")
    assert received == 10_000_000
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "99999999999"},
        {"Content-Length": "9" * 5000},
        {"Content-Length": "2000000", "Expect": "100-continue"},
    ],
)
async def test_body_with_too_large_a_length_is_not_received(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await client.post("/sagas/start", content=b"{}", headers={**JSON, **headers})

    assert_problem(response, 413, "body-too-large")


async def test_endless_body_is_refused_before_long(
    client: httpx.AsyncClient,
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 1_000_000

    response = await client.post("/sagas/start", content=endless(), headers=JSON)

    assert_problem(response, 413, "body-too-large")
    assert sent < 40


def name(route: RouteSpec) -> str:
    return f"{route.method} {route.path}"


async def send(
    client: httpx.AsyncClient,
    route: RouteSpec,
    content: bytes | AsyncIterator[bytes],
    **headers: str,
) -> httpx.Response:
    """To a place whose saga is not there, with the token of the step that is not there either."""
    place = {"saga_id": UNKNOWN_SAGA, "step": "x", "name": "x", "version": "1"}
    token = {"Saga-Callback-Token": TOKENS.issue(UNKNOWN_SAGA, "x")}
    path = route.path.format(**place)
    return await client.request(
        route.method, path, content=content, headers={**JSON, **token, **headers}
    )


@pytest.mark.parametrize("route", WITH_A_BODY, ids=name)
@pytest.mark.parametrize(
    "content",
    [
        *(b"{", b"\xff", b"NaN", b'"\\u0000"', DEEP),
        *(b'{"a": 1, "a": 1}', b'{"reason": "a", "b": {"c": [{"d": 1, "d": 2}]}}'),
        *(b'{"a": 1e999}', b'{"a": [1e-401]}', b'{"a": ' + b"1" * 401 + b"}"),
    ],
)
async def test_no_route_accepts_a_body_that_is_not_json(
    client: httpx.AsyncClient, route: RouteSpec, content: bytes
) -> None:
    assert_problem(await send(client, route, content), 400, "not-json")


@pytest.mark.parametrize("route", WITH_A_BODY, ids=name)
async def test_no_route_accepts_more_than_a_megabyte(
    client: httpx.AsyncClient, route: RouteSpec
) -> None:
    largest = b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"'

    fits = await send(client, route, largest)
    too_large = await send(client, route, largest + b" ")

    assert fits.status_code in (200, 404, 422)
    assert_problem(too_large, 413, "body-too-large")


@pytest.mark.parametrize("route", WITH_A_BODY, ids=name)
async def test_no_route_waits_for_a_body_that_never_ends(
    client: httpx.AsyncClient, route: RouteSpec, state: AppState
) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    state["body_timeout"] = SharedTimeout(timedelta())

    assert_problem(await send(client, route, stalled()), 408, "body-too-slow")


@pytest.mark.parametrize("route", WITH_A_BODY, ids=name)
@pytest.mark.parametrize("header", [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")])
async def test_no_route_accepts_another_media_type(
    client: httpx.AsyncClient, route: RouteSpec, header: tuple[str, str]
) -> None:
    response = await send(client, route, b"{}", **dict([header]))

    assert_problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize("route", WITH_A_SHAPE, ids=name)
@pytest.mark.parametrize("content", [b"[]", b"null", b"1", b'{"surprise": 1}'])
async def test_every_route_names_what_does_not_fit(
    client: httpx.AsyncClient, route: RouteSpec, content: bytes
) -> None:
    response = await send(client, route, content)

    assert response.status_code == 422
    assert response.json()["errors"]


LONG: Final = "x" * 1001
RESOLVED: Final = {"outcome": "undone", "evidence": "e"}
WRONG_FILTERS: Final[Sequence[object]] = [
    *(None, [], {"status": "happy"}, {"colour": "red"}),
    *({"started_after": "soon"}, {"tags": {"a": 1}}),
]
MISFITS: Final[dict[str, Sequence[object]]] = {
    "retry": [{"reason": 1}],
    "pause": [{"why": "x"}],
    "resume": [{"reason": LONG}],
    "compensate": [{"reason": 1}, {"reason": LONG}, {"why": ""}],
    "abandon": [None, {}, {"reason": ""}, {"reason": " \n"}, {"reason": None}],
    "skip": [{"step": "notify"}],
    "resolve": [
        {"outcome": "undone"},
        {"evidence": "e"},
        *({**RESOLVED, "evidence": evidence} for evidence in ("", " ")),
        {**RESOLVED, "outcome": "perhaps"},
    ],
    "complete": [{"result": 1}],
    "fail": [{"reason": 1}, {"reason": LONG}, {"output": 1}],
    "bulk": [
        *({**BULK, "action": action} for action in ("delete", None)),
        *({**BULK, "reason": reason} for reason in (None, "", " ")),
        *({**BULK, "filter": wrong} for wrong in WRONG_FILTERS),
        *({**BULK, "dry_run": "yes"}, {**BULK, "limit": 3}),
        *({key: BULK[key] for key in BULK if key != missing} for missing in BULK),
    ],
}


@pytest.mark.parametrize(
    ("route", "body"),
    [(route, body) for route in ROUTES for body in MISFITS.get(route.name, [])],
    ids=lambda value: name(value) if isinstance(value, RouteSpec) else str(value)[:30],
)
async def test_body_that_does_not_fit_its_route_is_refused(
    client: httpx.AsyncClient, route: RouteSpec, body: object
) -> None:
    response = await send(client, route, json.dumps(body).encode())

    assert assert_problem(response, 422, "invalid-request").errors


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/sagas/start", "POST"),
        ("GET", "/sagas/start", "POST"),
        ("POST", "/sagas", "GET"),
        ("POST", f"/sagas/{UNKNOWN_SAGA}/status", "GET"),
        ("DELETE", "/definitions/a/1", "GET, PUT"),
        ("BREW", "/health", "GET"),
        ("PUT", "/bulk", "GET, POST"),
        ("DELETE", "/bulk/x", "GET"),
        ("POST", "/audit/verify", "GET"),
        ("GET", f"/sagas/{UNKNOWN_SAGA}/pause", "POST"),
        ("PUT", f"/sagas/{UNKNOWN_SAGA}/signals/x", "POST"),
        ("GET", f"/sagas/{UNKNOWN_SAGA}/steps/x/complete", "POST"),
    ],
)
async def test_wrong_method_is_refused_with_the_allowed_ones(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)

    assert_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/nothing", "/sagas/", "/sagas/start/", "/sagas//status", "/%00"])
async def test_unknown_path_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    assert_problem(await client.get(path), 404, "unknown-path")


@pytest.mark.parametrize("saga_id", [UNKNOWN_SAGA, "1", "%00", "ü", "a" * 5000, "%0d%0aX-Evil:1"])
@pytest.mark.parametrize("query", ["", "?at_version=1", "?min_version=1"])
async def test_text_that_is_the_id_of_no_saga_is_not_found(
    client: httpx.AsyncClient, saga_id: str, query: str
) -> None:
    response = await client.get(f"/sagas/{saga_id}/status{query}")

    assert_problem(response, 404, "unknown-saga")
    assert len(response.content) < 1000


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if "{saga_id}" in route.path], ids=name
)
async def test_unknown_saga_is_found_by_no_route(
    client: httpx.AsyncClient, route: RouteSpec
) -> None:
    body = {"resolve": {"outcome": "done", "evidence": "e"}, "abandon": {"reason": "r"}}

    response = await send(client, route, json.dumps(body.get(route.name, {})).encode())

    assert_problem(response, 404, "unknown-saga")


async def test_stream_of_a_shard_is_no_saga(client: httpx.AsyncClient) -> None:
    response = await client.get("/sagas/00000000-0000-0000-0000-000000000001/events")

    assert_problem(response, 404, "unknown-saga")


@pytest.mark.parametrize(
    "path",
    [
        "/sagas?colour=red",
        "/sagas?limit=0",
        "/sagas?limit=1001",
        "/sagas?limit=1&limit=2",
        "/sagas?status=happy",
        "/sagas?cursor=x",
        "/sagas?started_after=yesterday",
        "/sagas?type=%00",
        "/sagas?tag.=x",
        "/sagas?tag.a=%00",
        f"/sagas/{UNKNOWN_SAGA}/status?at_version=1&min_version=1",
        f"/sagas/{UNKNOWN_SAGA}/status?at_version={'9' * 5000}",
        f"/sagas/{UNKNOWN_SAGA}/events?after=-1",
        f"/sagas/{UNKNOWN_SAGA}/events?limit=1001",
        f"/sagas/{UNKNOWN_SAGA}?verbose=1",
        "/definitions?page=2",
        "/audit/verify?shard=1",
        "/bulk/x?verbose=1",
    ],
)
async def test_invalid_query_is_refused(client: httpx.AsyncClient, path: str) -> None:
    assert assert_problem(await client.get(path), 422, "invalid-query").errors


async def test_problem_repeats_little_of_a_large_request(client: httpx.AsyncClient) -> None:
    many = {f"{n:0>200}": "x" * 500 for n in range(1000)}

    response = await client.post("/sagas/start", json={**START, **many})

    problem = assert_problem(response, 422, "invalid-request")
    assert len(problem.errors) == 100
    assert len(problem.detail) == 500
