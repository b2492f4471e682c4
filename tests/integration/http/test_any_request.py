"""Whatever is sent to whatever route, wherever its saga is: an answer as described, never a 500."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from saga_orchestrator.http.app import ROUTES
from saga_orchestrator.http.wire.route import RouteSpec
from saga_orchestrator.tests.support.asgi_requests import JSON
from saga_orchestrator.tests.support.in_memory_service import (
    ORDER_STEP_DATA,
    TOKENS,
    InMemoryService,
)

from .api_description import assert_described
from .situations import SITUATIONS

SAME_SERVICE = settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
A_SAGA = "019ca945-0a00-7000-8000-000000000101"  # of an id that one can have
THE_SAGA = "the saga"  # stands for the one that is in the drawn situation
# In the others a participant is kept waiting, and so would be whoever makes the next one.
MADE_AT_ONCE = [name for name in SITUATIONS if name != "compensating"]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=20)
    | st.sampled_from(
        ["order_processing", "15m", "2026-03-01T12:00:00Z", "${saga.id}", "\0", 2**63]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=15,
)
STARTS = st.fixed_dictionaries(
    {"saga_type": st.just("order_processing") | VALUES, "entity_id": VALUES},
    optional={
        "step_data": st.just(ORDER_STEP_DATA) | st.lists(VALUES, max_size=4) | VALUES,
        "input": st.dictionaries(st.text(max_size=5), VALUES, max_size=3) | VALUES,
        "version": st.just(1) | VALUES,
        "tags": st.dictionaries(st.text(max_size=5), st.text(max_size=5)) | VALUES,
        "deadline": VALUES,
        "start_at": VALUES,
        "callback_url": st.text(max_size=30).map("http://{}".format) | VALUES,
        "reason": VALUES,
    },
)
VERBS = st.fixed_dictionaries(
    {},
    optional={
        "reason": st.just("why") | VALUES,
        "evidence": st.just("ticket 7") | VALUES,
        "outcome": st.sampled_from(["done", "not_done", "undone"]) | VALUES,
        "output": VALUES,
    },
)
BULKS = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["cancel", "retry", "abandon"]) | VALUES,
        "filter": st.just({}) | st.fixed_dictionaries({}, optional={"type": VALUES}) | VALUES,
        "reason": st.just("why") | VALUES,
    },
    optional={"dry_run": st.booleans() | VALUES},
)
CALLS = st.fixed_dictionaries({"path": st.just("/x") | VALUES}, optional={"body": VALUES})
DEFINITIONS = st.fixed_dictionaries(
    {
        "saga": st.just("trip") | VALUES,
        "version": st.just(1) | VALUES,
        "steps": st.lists(
            st.fixed_dictionaries(
                {
                    "name": st.sampled_from("ab") | VALUES,
                    "participant": st.just("p"),
                    "action": CALLS | VALUES,
                },
                optional={"compensation": CALLS | VALUES, "pivot": VALUES},
            ),
            max_size=3,
        )
        | VALUES,
    },
    optional={"deadline": VALUES},
)


def _written(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return values.map(lambda value: json.dumps(value).encode())


BODIES = st.binary(max_size=200) | _written(VALUES | STARTS | DEFINITIONS | VERBS | BULKS)
OWN_BODIES = {
    "start": STARTS,
    "put_definition": DEFINITIONS,
    "verify_definition": DEFINITIONS,
    "bulk": BULKS,
}
REQUESTS = st.sampled_from(ROUTES).flatmap(
    lambda route: st.tuples(st.just(route), BODIES | _written(OWN_BODIES.get(route.name, VERBS)))
)
VISIBLE = st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=30)
HEADERS = st.fixed_dictionaries(
    {
        "Prefer": st.just("wait=0"),
        "Content-Type": st.sampled_from(["application/json"] * 3 + ["application/yaml"]) | VISIBLE,
    },
    optional={
        "Idempotency-Key": VISIBLE | st.sampled_from(["k", '"k"']),
        "If-Match": VISIBLE | st.just('"1"'),
        "If-None-Match": VISIBLE,
        "Saga-Actor": VISIBLE | st.just("anna"),
        "Origin": VISIBLE | st.sampled_from(["http://saga", "https://evil.example", "null"]),
        "Sec-Fetch-Site": VISIBLE | st.sampled_from(["same-origin", "cross-site"]),
    },
)
QUERIES = st.dictionaries(
    st.sampled_from(
        ["at", "at_version", "min_version", "after", "limit", "dry_run", "cursor", "tag.a", "x"]
    ),
    st.sampled_from(["1", "0", "true", "2026-03-01T12:00:00Z", A_SAGA]) | st.text(max_size=10),
    max_size=2,
)
TEXTS = st.text(max_size=40)
PLACES = st.fixed_dictionaries(
    {
        "saga_id": st.just(THE_SAGA) | st.just(A_SAGA) | TEXTS,
        "step": st.sampled_from(["reserve", "approve", "notify", "pay", "ship"]) | TEXTS,
        "name": st.sampled_from(["approval", "trip", "order_processing"]) | TEXTS,
        "version": st.sampled_from(["1", "2"]) | TEXTS,
        "job_id": st.just(A_SAGA) | TEXTS,
    }
)


@SAME_SERVICE
@given(
    request=REQUESTS,
    situation=st.sampled_from(MADE_AT_ONCE),
    place=PLACES,
    query=st.just({}) | QUERIES,
    headers=HEADERS,
    trusted=st.booleans(),
)
async def test_no_request_breaks_the_service(
    client: httpx.AsyncClient,
    service: InMemoryService,
    request: tuple[RouteSpec, bytes],
    situation: str,
    place: dict[str, str],
    query: dict[str, str],
    headers: dict[str, str],
    trusted: bool,
) -> None:
    route, body = request
    saga_id = await SITUATIONS[situation](service)
    if place["saga_id"] == THE_SAGA:
        place = {**place, "saga_id": saga_id}
    if trusted:
        headers = {**headers, "Saga-Callback-Token": TOKENS.issue(saga_id, place["step"])}
    path = route.path.format(**{name: quote(value, safe="") for name, value in place.items()})

    response = await client.request(
        route.method,
        path,
        params=query,
        headers=[(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        content=body,
    )

    assert response.status_code < 500
    assert_described(route, response)
    if place["saga_id"] == saga_id:
        assert (await client.get(f"/sagas/{saga_id}")).status_code == 200


@SAME_SERVICE
@given(body=STARTS)
async def test_a_start_is_refused_or_can_be_read_again(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    content = json.dumps(body).encode()

    response = await client.post(
        "/sagas/start", content=content, headers={**JSON, "Prefer": "wait=0"}
    )

    if response.is_success:
        saga_id = response.json()["saga_id"]
        for view in ("", "/status?at_version=1", "/events"):
            assert (await client.get(f"/sagas/{saga_id}{view}")).status_code == 200
