"""Clients that send too much, too slowly, or nothing at all, and the other clients beside them.

The service has 256 descriptors, and is started in both of its own ways.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import httpx
import pytest
from saga_orchestrator.examples.scenarios import order_request
from saga_orchestrator.tests.acceptance.deployment import fresh_database, running
from saga_orchestrator.tests.acceptance.process import (
    SAGA_COMMAND,
    ServerProcess,
    clean_environ,
    free_port,
    http_client,
)

pytestmark = pytest.mark.slow

DESCRIPTORS: Final = 256
WAYS: Final = {
    "saga serve": (*SAGA_COMMAND, "serve"),
    "python server.py": (sys.executable, "server.py"),
}
LIVE: Final = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module", params=WAYS)
def service(
    request: pytest.FixtureRequest, postgres_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    port = free_port()
    command = ("sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh", *WAYS[request.param])
    with fresh_database(postgres_server, f"limits_{port}") as database_url:
        environ = clean_environ(SERVICE_PORT=str(port), DATABASE_URL=database_url)
        log = tmp_path_factory.mktemp("limits") / "log"
        with running(ServerProcess(command, f"http://127.0.0.1:{port}", environ, log)) as program:
            yield program


def connected(service: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(service.environ["SERVICE_PORT"])), 30)


def last_words(connection: socket.socket) -> tuple[int, str] | None:
    """Status and code of the problem that a connection ends with; None if it just ends."""
    received = b""
    with suppress(ConnectionError):
        while data := connection.recv(65536):
            received += data
    head, _, body = received.partition(b"\r\n\r\n")
    return (int(head.split()[1]), json.loads(body)["code"]) if body else None


def answer(service: ServerProcess, request: bytes) -> tuple[int, str] | None:
    with connected(service) as connection:
        with suppress(ConnectionError):
            connection.sendall(request)
        return last_words(connection)


def memory_of(service: ServerProcess) -> int:
    assert service.process is not None
    pages = Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def test_silent_clients_do_not_use_up_all_file_descriptors(service: ServerProcess) -> None:
    with ExitStack() as crowd:
        for _ in range(400):
            connection = crowd.enter_context(connected(service))
            with suppress(ConnectionError):
                connection.sendall(LIVE[:20])
        for _ in range(20):
            with http_client(service.url) as web:
                assert web.get("/livez").status_code == httpx.codes.OK
                assert web.get("/readyz").status_code == httpx.codes.OK
                started = web.post(
                    "/sagas/start", json=order_request(1), headers={"Prefer": "respond-async"}
                )
                assert started.status_code == httpx.codes.ACCEPTED
    assert service.is_alive
    assert "Too many open files" not in service.log.read_text()


def test_endless_request_head_is_refused_and_takes_no_memory(service: ServerProcess) -> None:
    before = memory_of(service)
    with connected(service) as connection:
        connection.sendall(LIVE)
        with suppress(ConnectionError):
            for number in range(2000):
                connection.sendall(b"X-%d: " % number + b"x" * 100_000 + b"\r\n")
    grown = memory_of(service) - before

    assert answer(service, LIVE + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n") == (
        431,
        "head-too-large",
    )
    assert grown < 20 * 1024 * 1024


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (LIVE + b"X: y\r\n" * 200 + b"\r\n", (431, "head-too-large")),
        (b"GET /livez HTTP/1.1\r\n\r\n", (400, "malformed-request")),
        (LIVE + b"Host: localhost\r\n\r\n", (400, "malformed-request")),
        (b"GET /livez HTTP/1.1\nHost localhost\n\n", (400, "malformed-request")),
        (
            LIVE.replace(b"GET /livez", b"POST /sagas/start")
            + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            (501, "unknown-transfer-coding"),
        ),
    ],
)
def test_invalid_http_is_refused_with_a_problem(
    service: ServerProcess, request_: bytes, expected: tuple[int, str]
) -> None:
    assert answer(service, request_) == expected
