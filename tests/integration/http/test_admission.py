"""Who is let in: by the name that the service is called by, and by the page that calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from saga_orchestrator.http.admission import AdmissionMiddleware
from saga_orchestrator.http.app import ROUTES
from saga_orchestrator.http.wire.route import RouteSpec
from saga_orchestrator.tests.support.in_memory_service import InMemoryService
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from .situations import START

NAMES: Final = ("saga", "Saga.Example.", "*.pods.example")
FRIEND: Final = "https://ops.example"
ANY_REQUEST: Final = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Head = Mapping[str, str]


class Behind:
    """The application, which answers whoever is let in with how it was reached."""

    def __init__(self) -> None:
        self.let_in = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.let_in += 1
        await Response(b"in", headers={"ETag": '"1"'})(scope, receive, send)


async def answer(
    *headers: tuple[str, str], method: str = "GET", version: str = "1.1"
) -> tuple[int, dict[str, str], bytes]:
    """Of a service with these names, which a friend's pages may call."""
    app, sent = AdmissionMiddleware(Behind()), list[Message]()
    scope = {
        "type": "http",
        "http_version": version,
        "method": method,
        "path": "/",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "state": {"allowed_hosts": NAMES, "allowed_origins": (FRIEND,)},
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    response_headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return (
        sent[0]["status"],
        response_headers,
        b"".join(each_message["body"] for each_message in sent[1:]),
    )


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LocalHost:8009", "localhost.", "saga", "SAGA:80", "saga.example"),
        *("saga.example.:443", "a.pods.example", "b.a.pods.example:1", "127.0.0.1:8009"),
        *("192.0.2.7", "[::1]", "[2001:db8::7]:8009"),
    ],
)
async def test_service_answers_to_its_names_and_to_addresses(host: str) -> None:
    assert (await answer(("Host", host)))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8009", "saga.evil.example", "notsaga", "xlocalhost"),
        *("pods.example", "evilpods.example", "127.0.0.1.evil.example", "saga.example.evil"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_foreign_host_name_is_refused(host: str, method: str) -> None:
    status, headers, body = await answer(("Host", host), method=method)

    assert (status, headers["content-type"]) == (421, "application/problem+json")
    assert b'"code":"foreign-host"' in body
    assert b"SAGA_ALLOWED_HOSTS" in body


@pytest.mark.parametrize(
    "hosts",
    [
        (),
        ("saga", "saga"),
        ("saga", "evil.example"),
        ("",),
        ("a b",),
        ("saga:port",),
        ("user@saga",),
        ("saga/x",),
        ("saga:123456",),
        ("[::1",),
        ("s" * 400,),
    ],
)
async def test_request_without_exactly_one_host_is_refused(hosts: tuple[str, ...]) -> None:
    status, headers, body = await answer(*[("Host", host) for host in hosts])

    assert (status, headers["connection"]) == (400, "close")
    assert b'"code":"malformed-request"' in body


async def test_http_1_0_needs_no_host() -> None:
    assert (await answer(version="1.0"))[0] == 200


OWN_PAGES: Final = [
    ("saga", {}),
    ("saga", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}),
    ("saga", {"Sec-Fetch-Site": "same-origin"}),
    ("saga:8009", {"Origin": "http://saga:8009", "Sec-Fetch-Site": "same-origin"}),
    ("saga", {"Origin": "http://saga"}),
    ("saga:80", {"Origin": "http://saga"}),
    ("saga", {"Origin": "https://saga"}),  # a proxy speaks TLS for us
    ("saga:443", {"Origin": "https://saga"}),
    ("[::1]:8009", {"Origin": "http://[::1]:8009"}),
]
FOREIGN_PAGES: Final = [
    ("saga", {"Origin": "https://evil.example"}),
    ("saga", {"Origin": "null"}),
    ("saga", {"Origin": ""}),
    ("saga", {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}),
    ("saga:8009", {"Origin": "http://saga"}),
    ("saga:8009", {"Origin": "http://saga:3000"}),  # of another service on this machine
    ("saga", {"Origin": "http://saga.evil.example"}),
    ("saga", {"Origin": "http://saga@evil.example"}),
    ("saga", {"Origin": "http://evil.example/saga"}),
    ("saga", {"Origin": "https://ops.example.evil.example"}),
    ("saga", {"Origin": "http://ops.example"}),
    ("saga", {"Sec-Fetch-Site": "cross-site"}),
    ("saga", {"Sec-Fetch-Site": "same-site"}),
    ("saga", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
]


@pytest.mark.parametrize(("host", "head"), OWN_PAGES)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_own_pages_and_clients_that_are_no_browser_are_admitted(
    host: str, head: Head, method: str
) -> None:
    assert (await answer(("Host", host), *head.items(), method=method))[0] == 200


@pytest.mark.parametrize(("host", "head"), FOREIGN_PAGES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS"])
async def test_pages_of_other_origins_neither_act_nor_read(
    host: str, head: Head, method: str
) -> None:
    status, headers, body = await answer(("Host", host), *head.items(), method=method)

    assert status == 403
    assert b'"code":"foreign-origin"' in body
    assert b"SAGA_ALLOWED_ORIGINS" in body
    assert "access-control-allow-origin" not in headers


async def test_request_with_two_origins_is_refused() -> None:
    twice = [("Origin", "http://saga"), ("Origin", "https://evil.example")]

    assert (await answer(("Host", "saga"), *twice))[0] == 400


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 403)])
async def test_navigation_from_another_site_is_admitted_to_read(method: str, status: int) -> None:
    head = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}

    assert (await answer(("Host", "saga"), *head.items(), method=method))[0] == status


async def test_allowed_page_can_read_the_response() -> None:
    status, headers, _ = await answer(("Host", "saga"), ("Origin", FRIEND), method="POST")

    assert status == 200
    assert headers["access-control-allow-origin"] == FRIEND
    assert "ETag" in headers["access-control-expose-headers"]
    assert headers["vary"] == "Origin"


async def test_allowed_page_may_send_the_headers_of_clients() -> None:
    asked = {
        "Origin": FRIEND,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,idempotency-key,saga-actor",
        "Access-Control-Request-Private-Network": "true",
    }

    status, headers, _ = await answer(("Host", "saga"), *asked.items(), method="OPTIONS")

    assert status == 200
    assert "PUT" in headers["access-control-allow-methods"]
    assert headers["access-control-allow-headers"] == asked["Access-Control-Request-Headers"]
    assert headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "identity", "chunked, chunked", ""])
async def test_unknown_transfer_coding_is_refused(coding: str) -> None:
    head = (("Host", "saga"), ("Transfer-Encoding", coding))

    status, headers, body = await answer(*head, method="POST")

    assert (status, headers["connection"]) == (501, "close")
    assert b'"code":"unknown-transfer-coding"' in body


async def test_chunked_request_is_admitted() -> None:
    assert (await answer(("Host", "saga"), ("Transfer-Encoding", "Chunked"), method="POST"))[
        0
    ] == 200


def _path(route: RouteSpec) -> str:
    return route.path.format(saga_id="x", step="x", name="x", version="1", job_id="x")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.example"}, 421), ({"Origin": "null"}, 403)],
    ids=["host", "origin"],
)
async def test_every_route_is_behind_admission(
    client: httpx.AsyncClient, route: RouteSpec, headers: Head, status: int
) -> None:
    answered = await client.request(route.method, _path(route), headers=headers)

    assert answered.status_code == status


@ANY_REQUEST
@given(
    head=st.dictionaries(
        st.sampled_from(["Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"]),
        st.sampled_from(["https://evil.example", "null", "cross-site", "no-cors", "navigate"])
        | st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20),
        min_size=1,
    ),
    host=st.sampled_from(["saga", "evil.example", "127.0.0.1"]),
)
async def test_no_request_of_a_page_of_another_site_acts(head: Head, host: str) -> None:
    """A browser says of such a request either its origin or that it is cross-site."""
    of_another_site = {"Sec-Fetch-Site": "cross-site", **head}

    status, *_ = await answer(("Host", host), *of_another_site.items(), method="POST")

    is_said = "Origin" in head or of_another_site["Sec-Fetch-Site"] in ("cross-site", "same-site")
    assert status in ((403, 421) if is_said else (200, 403, 421))


async def test_a_body_without_a_type_is_refused_and_nothing_is_recorded(
    client: httpx.AsyncClient, service: InMemoryService
) -> None:
    body = httpx.Request("POST", "http://x", json=START).content

    answered = await client.post("/sagas/start", content=body)

    assert (answered.status_code, answered.json()["code"]) == (415, "unsupported-media-type")
    assert "application/json" in answered.json()["detail"]
    assert service.events == []


async def pieces(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (lambda: None, {}, 200),
        (lambda: b"", {"Content-Type": "application/x-www-form-urlencoded"}, 200),
        (lambda: pieces(), {}, 200),
        (lambda: pieces(b"{}"), {}, 415),
        (lambda: b"{}", {"Content-Type": "text/plain"}, 415),
        (lambda: b"{}", {"Content-Type": "text/plain; a=application/json"}, 415),
        (lambda: b"{}", {"Content-Type": "Application/JSON; charset=utf-8"}, 200),
        (lambda: b"{}", {"Content-Type": "application/problem+json"}, 200),
    ],
)
async def test_only_a_body_needs_a_media_type(
    client: httpx.AsyncClient,
    service: InMemoryService,
    content: Callable[[], Any],
    headers: Head,
    status: int,
) -> None:
    started = await client.post("/sagas/start", json=START)
    saga_id = started.json()["saga_id"]

    answered = await client.post(
        f"/sagas/{saga_id}/compensate",
        content=content(),
        headers={"Prefer": "wait=10", **headers},
    )

    assert answered.status_code == status
    ends = {200: "compensated", 415: "completed"}
    assert (await client.get(f"/sagas/{saga_id}/status")).json()["status"] == ends[status]
