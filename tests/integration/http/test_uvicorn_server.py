"""The application on a real socket, under the server that serves it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import timedelta

import pytest
from saga_orchestrator.http.app import build_app
from saga_orchestrator.http.state import AppState
from saga_orchestrator.http.uvicorn_server import build_server
from saga_orchestrator.tests.support.in_memory_service import (
    ORDER_STEP_DATA,
    TIME_LIMIT,
    InMemoryService,
)

LIVE = b"GET /livez HTTP/1.1\r\nHost: saga\r\n\r\n"
A_SAGA = "019ca945-0a00-7000-8000-000000000101"  # of an id that one can have
START_BODY = json.dumps(
    {"saga_type": "order_processing", "entity_id": 1, "step_data": ORDER_STEP_DATA}
).encode()
START = (
    b"POST /sagas/start HTTP/1.1\r\nHost: saga\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
) % (len(START_BODY), START_BODY)
LAST = b"GET /livez HTTP/1.1\r\nHost: saga\r\nConnection: close\r\n\r\n"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def port(state: AppState) -> AsyncIterator[int]:
    app = build_app(lambda _: nullcontext(state), version="1.2.3")
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        server = build_server(app)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server._serve([door]))
            yield door.getsockname()[1]
            server.should_exit = True


async def answers(port: int, *requests: bytes) -> bytes:
    """All that comes back until the server hangs up."""
    async with asyncio.timeout(TIME_LIMIT.total_seconds()):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(requests))
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
    return received


async def test_response_is_complete_before_the_connection_is_closed(port: int) -> None:
    head, _, body = (await answers(port, LAST)).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b'{"status":"pass","checks":{}}'


async def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    received = await answers(port, LIVE, LIVE.replace(b"livez", b"nothing"), LAST)

    lines = [line for line in received.split(b"\r\n") if b"HTTP/1.1 " in line]
    assert [line.rpartition(b"HTTP/1.1 ")[2] for line in lines] == [
        b"200 OK",
        b"404 Not Found",
        b"200 OK",
    ]


async def test_long_response_arrives_whole(port: int) -> None:
    head, _, body = (await answers(port, LAST.replace(b"livez", b"docs"))).partition(b"\r\n\r\n")

    assert b"content-length: %d\r\n" % len(body) in head
    assert body.endswith(b"</details>")


async def test_malformed_request_is_refused_and_ends_the_connection(port: int) -> None:
    head, _, body = (await answers(port, b"\x00nonsense\r\n\r\n")).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Content-Type: application/problem+json\r\n" in head
    assert json.loads(body)["code"] == "malformed-request"


@pytest.mark.parametrize("pieces", [1, 3])
async def test_start_is_answered_however_its_body_arrives(port: int, pieces: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for place in range(pieces):
        writer.write(_part(START, place, pieces))
        await writer.drain()
        await asyncio.sleep(0.01)
    async with asyncio.timeout(TIME_LIMIT.total_seconds()):
        received = await reader.read()
    writer.close()
    await writer.wait_closed()

    answer = received.partition(b"\r\n\r\n")
    assert answer[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(answer[2])["status"] == "completed"


async def test_start_with_upgrade_is_answered_as_without(port: int) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Type"

    head, _, body = (await answers(port, START.replace(b"Content-Type", upgrade))).partition(
        b"\r\n\r\n"
    )

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(body)["status"] == "completed"


async def test_start_in_one_packet_with_a_malformed_request_is_refused_and_not_executed(
    port: int, service: InMemoryService
) -> None:
    start = START.replace(b"Connection: close\r\n", b"")

    head, _, body = (await answers(port, start, b"nonsense\r\n\r\n")).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert json.loads(body)["code"] == "malformed-request"
    await service.driver.drain(timedelta())
    assert service.participants.sent == []


def _part(data: bytes, place: int, pieces: int) -> bytes:
    size = -(-len(data) // pieces)
    return data[place * size : (place + 1) * size]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/sagas/{A_SAGA}%2fstatus", "unknown-saga"),
        (f"/sagas/{A_SAGA}%2Fevents", "unknown-saga"),
        (f"/sagas%2f{A_SAGA}", "unknown-path"),
        ("/audit%2fverify", "unknown-path"),
        (f"/sagas/{A_SAGA}/%2e%2e/status", "unknown-path"),
        ("%2flivez", "malformed-request"),
        ("/%2flivez", "unknown-path"),
        ("/definitions/order_processing%2f1", "unknown-path"),
        ("/definitions/%6frder_processing/9", "unknown-definition"),
    ],
)
async def test_encoded_slash_is_no_separator(port: int, path: str, code: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: saga\r\nConnection: close\r\n\r\n"

    _, _, body = (await answers(port, request.encode())).partition(b"\r\n\r\n")

    assert json.loads(body)["code"] == code


@pytest.mark.parametrize(
    "path", ["/livez", "/%6civez", "/live%7A", "/definitions/order%5Fprocessing/%31"]
)
async def test_any_other_character_may_be_encoded(port: int, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: saga\r\nConnection: close\r\n\r\n"

    assert (await answers(port, request.encode())).startswith(b"HTTP/1.1 200 OK\r\n")
