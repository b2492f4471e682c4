"""Whatever is sent to whatever route: never our mistake, and every refusal a complete problem."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from saga_orchestrator.http.answers import ProblemAnswer
from saga_orchestrator.http.routes import ROUTES
from saga_orchestrator.tests.world import ORDER, World

SAME_WORLD = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
STARTED = "019ca945-0a00-7000-8000-000000000101"  # the first saga of a world

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
        "step_data": st.just(ORDER) | st.lists(VALUES, max_size=4) | VALUES,
        "input": st.dictionaries(st.text(max_size=5), VALUES, max_size=3) | VALUES,
        "version": st.just(1) | VALUES,
        "tags": st.dictionaries(st.text(max_size=5), st.text(max_size=5)) | VALUES,
        "deadline": VALUES,
        "start_at": VALUES,
        "reason": VALUES,
    },
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
BODIES = st.binary(max_size=200) | (VALUES | STARTS | DEFINITIONS).map(
    lambda value: json.dumps(value).encode()
)
VISIBLE = st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=30)
HEADERS = st.fixed_dictionaries(
    {"Prefer": st.just("wait=0")},
    optional={
        "Idempotency-Key": VISIBLE | st.sampled_from(["k", '"k"']),
        "If-Match": VISIBLE | st.just('"1"'),
        "If-None-Match": VISIBLE,
        "Content-Type": VISIBLE | st.sampled_from(["application/json", "application/yaml"]),
    },
)
QUERIES = st.dictionaries(
    st.sampled_from(
        ["at", "at_version", "min_version", "after", "limit", "dry_run", "cursor", "tag.a", "x"]
    ),
    st.sampled_from(["1", "0", "true", "2026-03-01T12:00:00Z", STARTED]) | st.text(max_size=10),
    max_size=2,
)
PLACES = st.fixed_dictionaries(
    {
        "saga_id": st.just(STARTED) | st.text(max_size=40),
        "name": st.sampled_from(["trip", "order_processing"]) | st.text(max_size=10),
        "version": st.sampled_from(["1", "2"]) | st.text(max_size=10),
    }
)


@SAME_WORLD
@given(
    route=st.sampled_from(ROUTES),
    place=PLACES,
    query=QUERIES,
    headers=HEADERS,
    body=BODIES,
)
async def test_no_request_is_too_much(
    client: httpx.AsyncClient,
    world: World,
    route: Any,
    place: dict[str, str],
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
) -> None:
    if not world.events:
        await world.start("order_processing")
    path = route.path.format(**{name: quote(one, safe="") for name, one in place.items()})

    response = await client.request(
        route.method,
        path,
        params=query,
        headers=[(name.encode(), one.encode("latin-1")) for name, one in headers.items()],
        content=body,
    )

    assert response.status_code < 500
    if response.is_error:
        problem = ProblemAnswer.model_validate_json(response.content)
        assert response.headers["content-type"] == "application/problem+json"
        assert problem.status == response.status_code


@SAME_WORLD
@given(body=STARTS)
async def test_a_start_is_refused_or_can_be_read_again(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    content = json.dumps(body).encode()

    response = await client.post("/sagas/start", content=content, headers={"Prefer": "wait=0"})

    if response.is_success:
        saga_id = response.json()["saga_id"]
        for view in ("", "/status?at_version=1", "/events"):
            assert (await client.get(f"/sagas/{saga_id}{view}")).status_code == 200
