"""The limits of a connection, in bytes, in time and in number, and that nothing else changes."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final, cast
from weakref import ref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.http.limited_connection import (
    SERVER_STATE_KEY,
    LimitedConnection,
    SharedState,
)
from saga_orchestrator.http.open_connections import ConnectionLimits, OpenConnections
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from .recorded_transport import (
    GET,
    HOST,
    POST,
    REQUESTS,
    RESPONSES,
    UPGRADE,
    FixedApp,
    RecordedTransport,
    VirtualClockLoop,
    run_tasks,
)

LIMITS: Final = ConnectionLimits()
KILOBYTE: Final = 1024
BODY: Final = POST + b"Content-Length: 3\r\n\r\nabc"
CHUNKED: Final = POST + b"Transfer-Encoding: chunked\r\n\r\n"


class HeldApp(FixedApp):
    """An application that responds once its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.gate.wait()
        await super().__call__(scope, receive, send)


class EarlyApp(FixedApp):
    """An application that responds before it has read the body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.response(scope, receive, send)


class WebSocketProtocol(asyncio.Protocol):
    """Stands for a library that uvicorn finds installed, and must not use."""


class Server:
    """A server with room for some connections."""

    def __init__(self, app: FixedApp | None = None, max_connections: int = 100) -> None:
        self.app, self.clock = app or FixedApp(), VirtualClockLoop()
        self.loop = cast(asyncio.AbstractEventLoop, self.clock)
        self.config = Config(
            self.app,
            ws=WebSocketProtocol,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=75,
        )
        self.config.load()
        self.state = ServerState()
        connections = OpenConnections(self.loop, LIMITS, max_connections)
        self.app_state: dict[str, Any] = {SERVER_STATE_KEY: SharedState(self.config, connections)}

    def connect(self) -> tuple[LimitedConnection, RecordedTransport]:
        return self._connect(LimitedConnection, self.app_state)

    def connect_without_limits(self) -> tuple[HttpToolsProtocol, RecordedTransport]:
        return self._connect(HttpToolsProtocol, {})

    def _connect(self, protocol: Any, app_state: dict[str, Any]) -> tuple[Any, RecordedTransport]:
        connection = protocol(self.config, self.state, app_state, self.loop)
        connection.connection_made(transport := RecordedTransport())
        return connection, transport


def problem(transport: RecordedTransport) -> tuple[int, str]:
    """Return status and code of the last response."""
    head, _, body = transport.writes[-1].partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"Connection: close" in head
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("response", RESPONSES)
async def test_client_within_the_limits_gets_what_uvicorn_sends(
    response: str, request_: str
) -> None:
    async def converse(connection: Any, transport: RecordedTransport) -> Sequence[object]:
        for packet in REQUESTS[request_]:
            connection.data_received(packet)
            await run_tasks()
        return transport.sent, transport.closed, transport.paused

    limited = Server(FixedApp(RESPONSES[response]))
    plain = Server(FixedApp(RESPONSES[response]))

    with_limits = await converse(*limited.connect())
    without_limits = await converse(*plain.connect_without_limits())

    assert with_limits == without_limits
    assert limited.app.requests == plain.app.requests


@settings(deadline=None, max_examples=100)
@given(
    size=st.sampled_from([1, 30, 60, 64, 66, 80, 100, 300, 1100]).map(lambda n: n * KILOBYTE),
    pieces=st.lists(st.sampled_from([1, 100, 4096, 20_000, 60_000, 70_000]), min_size=1),
    earlier=st.integers(0, 2),
)
async def test_head_is_read_up_to_a_size_however_it_is_split(
    size: int, pieces: list[int], earlier: int
) -> None:
    server = Server(app := FixedApp())
    connection, transport = server.connect()
    for _ in range(earlier):
        connection.data_received(BODY)
        await run_tasks()
    request = b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + b"x" * size + b"\r\n\r\n"

    offset, number = 0, 0
    while offset < len(request) and number < 2000:
        step = pieces[number % len(pieces)]
        connection.data_received(request[offset : offset + step])
        offset, number = offset + step, number + 1
    await run_tasks()

    if offset < len(request):
        return  # too many small pieces for a test
    if len(request) <= LIMITS.head_bytes:
        assert len(app.requests) == earlier + 1
        assert not transport.ended
    elif size > LIMITS.head_bytes + 70_000:
        assert problem(transport) == (431, "head-too-large")
        assert len(app.requests) == earlier
        assert transport.ended


async def test_client_that_goes_on_sending_can_still_read_the_refusal() -> None:
    server = Server()
    connection, transport = server.connect()

    for _ in range(100):
        connection.data_received(b"X" * 100_000)
    closed_at_once = transport.closed
    server.clock.advance(LIMITS.linger_seconds + 1)

    assert problem(transport) == (400, "malformed-request")
    assert (closed_at_once, transport.aborted) == (False, True)


async def test_silent_connection_is_closed() -> None:
    server = Server()
    connection, transport = server.connect()

    server.clock.advance(LIMITS.silent_seconds - 1)
    closed_early = transport.closed
    server.clock.advance(2)

    assert (closed_early, transport.closed, transport.writes) == (False, True, [])
    connection.connection_lost(None)


@pytest.mark.parametrize("earlier", [0, 1, 3])
@pytest.mark.parametrize("beginning", [b"G", GET[:-1], b"\r\n", b"GET / HTTP/1.1\r\nX: "])
async def test_head_that_does_not_end_is_refused(earlier: int, beginning: bytes) -> None:
    server = Server()
    connection, transport = server.connect()
    for _ in range(earlier):
        connection.data_received(GET)
        await run_tasks()
        server.clock.advance(5)

    connection.data_received(beginning)
    for _ in range(20):
        server.clock.advance(1)
        if not transport.ended and beginning.endswith(b": "):
            connection.data_received(b"x")  # slowly, and for ever

    assert problem(transport) == (408, "head-too-slow")
    assert transport.sent.count(b"HTTP/1.1 ") == earlier + 1
    assert transport.aborted


@pytest.mark.parametrize("is_slow", [True, False])
@pytest.mark.parametrize("app", [HeldApp, EarlyApp])
async def test_body_that_does_not_end_closes_the_connection(
    app: type[FixedApp], is_slow: bool
) -> None:
    server = Server(app())
    connection, transport = server.connect()
    connection.data_received(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    await run_tasks()

    for _ in range(int(LIMITS.body_seconds) + 2):
        if is_slow and not transport.closed:
            connection.data_received(b"1\r\nx\r\n")
        server.clock.advance(1)

    assert transport.closed
    connection.connection_lost(None)


async def test_client_is_not_late_while_a_response_is_made() -> None:
    server = Server(app := HeldApp())
    connection, transport = server.connect()
    connection.data_received(GET + BODY[:-1])

    for _ in range(100):
        server.clock.advance(10)
    while_it_waits = (transport.closed, transport.ended)
    app.gate.set()
    await run_tasks()
    connection.data_received(BODY[-1:])
    await run_tasks()

    assert while_it_waits == (False, False)
    assert [body for _, _, _, body in app.requests] == [b"", b"abc"]


async def test_connection_of_a_client_that_does_not_read_is_aborted() -> None:
    server = Server()
    connection, transport = server.connect()
    connection.data_received(GET)
    connection.pause_writing()
    server.clock.advance(LIMITS.write_seconds - 1)
    connection.resume_writing()
    server.clock.advance(LIMITS.write_seconds)
    aborted_early = transport.aborted
    connection.pause_writing()
    server.clock.advance(LIMITS.write_seconds + 1)
    connection.connection_lost(None)
    await run_tasks()

    assert (aborted_early, transport.aborted) == (False, True)


@pytest.mark.parametrize("bad", [b"nonsense\r\n\r\n", POST + b"Transfer-Encoding: gzip\r\n\r\n"])
async def test_malformed_request_is_refused_after_the_responses_to_earlier_ones(
    bad: bytes,
) -> None:
    server = Server(app := HeldApp())
    connection, transport = server.connect()
    connection.data_received(GET)
    connection.data_received(bad)
    server.clock.advance(100)
    sent_early = transport.sent
    app.gate.set()
    await run_tasks()

    assert (sent_early, transport.aborted) == (b"", False)
    assert transport.sent.startswith(b"HTTP/1.1 200")
    assert problem(transport) == (400, "malformed-request")


@pytest.mark.parametrize(
    "packets",
    [
        [b"\0\r\n\r\n"],
        [b"GET / HTTP/1.1\r\nHost: a\nb: c\r\n\r\n"],
        [b"GET  HTTP/1.1\r\n\r\n"],
        [b"GET / HTTP/9.9.9\r\n\r\n"],
        [POST + b"Content-Length: x\r\n\r\n"],
        [POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"],
        [POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx"],
        [POST + b"Transfer-Encoding: gzip\r\n\r\n"],
        [POST + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"],
        [POST + b"Transfer-Encoding: chunked\r\n\r\n", b"nonsense\r\n"],
    ],
)
async def test_malformed_request_gets_one_problem_and_does_not_reach_the_application(
    packets: list[bytes],
) -> None:
    connection, transport = Server(app := FixedApp()).connect()

    for packet in packets:
        connection.data_received(packet)
        await run_tasks()

    assert problem(transport) == (400, "malformed-request")
    assert len(transport.writes) == 1
    assert app.requests == []
    connection.connection_lost(None)
    await run_tasks()


async def test_application_that_waits_for_a_malformed_body_gets_a_disconnect() -> None:
    connection, transport = Server(app := FixedApp()).connect()
    connection.data_received(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    await run_tasks()

    connection.data_received(b"nonsense\r\n")
    ended, closed = transport.ended, transport.closed
    connection.connection_lost(None)
    await run_tasks()

    assert (ended, closed) == (False, True)
    assert problem(transport) == (400, "malformed-request")
    assert len(transport.writes) == 1
    assert len(app.requests) == 1


@pytest.mark.parametrize("bad", [b"nonsense\r\n\r\n", POST + b"Transfer-Encoding: gzip\r\n\r\n"])
@pytest.mark.parametrize("pending", [0, 1, 2])
async def test_packet_with_a_malformed_request_is_not_passed_on(bad: bytes, pending: int) -> None:
    server = Server(app := HeldApp())
    connection, transport = server.connect()
    for _ in range(pending):
        connection.data_received(GET)

    connection.data_received(BODY + bad)
    await run_tasks()
    app.gate.set()
    await run_tasks()

    assert problem(transport) == (400, "malformed-request")
    assert transport.sent.count(b"HTTP/1.1 ") == pending + 1
    assert [body for _, _, _, body in app.requests] == [b""] * pending
    assert transport.ended


@pytest.mark.parametrize("earlier", [b"", GET])
@pytest.mark.parametrize(
    ("begin", "end"), [(BODY[:-1], BODY[-1:] + b"nonsense\r\n\r\n"), (CHUNKED, b"nonsense\r\n")]
)
async def test_body_that_ends_in_a_malformed_packet_is_never_complete(
    earlier: bytes, begin: bytes, end: bytes
) -> None:
    server = Server(app := HeldApp())
    connection, transport = server.connect()
    connection.data_received(earlier + begin)
    connection.data_received(end)
    app.gate.set()
    await run_tasks()

    assert len(app.requests) == bool(earlier)
    assert problem(transport) == (400, "malformed-request")
    assert transport.sent.count(b"HTTP/1.1 ") == bool(earlier) + 1
    assert transport.closed  # the application gets a disconnect instead of the rest
    connection.connection_lost(None)
    await run_tasks()


@pytest.mark.parametrize("size", [1, 20, 100, 1000])
@pytest.mark.parametrize("earlier", [[], [GET], [BODY[:-1], BODY[-1:]], [b"\r\n"]])
@pytest.mark.parametrize(
    "body",
    [
        b"\r\n",
        b"Content-Length: 13\r\n\r\n\r\nUpgrade: a\r\n"[:-1],
        b"Transfer-Encoding: chunked\r\n\r\nd\r\n\r\nUpgrade: a\n\r\n0\r\n\r\n",
    ],
)
async def test_request_with_upgrade_is_served_as_without(
    body: bytes, earlier: list[bytes], size: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def serve(request: bytes) -> tuple[bytes, bool, object]:
        connection, transport = Server(app := FixedApp()).connect()
        packets = [request[start : start + size] for start in range(0, len(request), size)]
        for packet in [*earlier, *packets, GET]:
            connection.data_received(packet)
            await run_tasks()
        return transport.sent, transport.closed, app.requests

    upgrade = b"uPGRADE:h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: websocket\r\n"

    with_upgrade, without = await serve(POST + upgrade + body), await serve(POST + body)

    assert with_upgrade == without
    assert caplog.records == []  # a client could fill the log


@pytest.mark.parametrize(
    "packets",
    [
        [b"CONNECT saga:80 HTTP/1.1\r\n\r\n"],
        [b"CONNECT saga:80 HTTP/1.1\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n"],
        [BODY + UPGRADE],
        [UPGRADE * 2],
        [BODY[:-1], BODY[-1:] + UPGRADE],
    ],
)
async def test_upgrade_that_cannot_be_ignored_is_refused(packets: list[bytes]) -> None:
    connection, transport = Server(app := FixedApp()).connect()

    for packet in packets:
        connection.data_received(packet)

    await run_tasks()
    assert problem(transport) == (400, "malformed-request")
    assert len(transport.writes) == 1
    assert app.requests == []
    transport.close()
    connection.connection_lost(None)
    await run_tasks()


@pytest.mark.parametrize(
    "packets",
    [
        [UPGRADE[:-20], UPGRADE[-20:] + BODY],
        [POST + b"X-A: ", UPGRADE],  # the last packet alone would be a request
        [POST + b"X-A: ", UPGRADE[:9], UPGRADE[9:]],
    ],
)
async def test_upgrade_in_a_head_that_began_behind_another_request_is_refused(
    packets: list[bytes],
) -> None:
    connection, transport = Server(app := FixedApp()).connect()

    for packet in [GET + packets[0], *packets[1:]]:
        connection.data_received(packet)
    await run_tasks()

    assert problem(transport) == (400, "malformed-request")
    assert transport.sent.count(b"HTTP/1.1 ") == 2
    assert len(app.requests) == 1


async def test_head_that_has_begun_is_not_cut_off_by_the_keep_alive_limit() -> None:
    server = Server(app := FixedApp())
    connection, transport = server.connect()
    connection.data_received(GET)
    await run_tasks()

    server.clock.advance(74)
    connection.data_received(GET[:9])
    server.clock.advance(5)
    connection.data_received(GET[9:])
    await run_tasks()

    assert (len(app.requests), transport.closed) == (2, False)


@pytest.mark.parametrize("idle", ["silent", "half sent", "served"])
async def test_longest_idle_connection_makes_room_for_a_new_client(idle: str) -> None:
    server = Server(app := HeldApp(), max_connections=3)
    busy, busy_transport = server.connect()
    busy.data_received(GET)
    others = [server.connect() for _ in range(2)]
    for connection, _ in others:
        if idle == "half sent":
            connection.data_received(GET[:9])
        elif idle == "served":
            app.gate.set()
            connection.data_received(GET)
            await run_tasks()
            app.gate.clear()
    if idle == "served":
        busy.data_received(GET)

    _, new = server.connect()
    closed = [transport.closed for _, transport in others]
    _, newer = server.connect()

    assert closed == [True, False]
    assert [transport.closed for _, transport in others] == [True, True]
    assert [transport.closed for transport in (busy_transport, new, newer)] == [False] * 3
    app.gate.set()
    await run_tasks()


async def test_evicted_connection_is_aborted_whatever_its_client_has_not_read() -> None:
    server = Server(max_connections=1)
    connection, transport = server.connect()
    connection.data_received(GET)
    await run_tasks()

    server.connect()

    assert transport.aborted


def test_process_raises_its_descriptor_limit_as_far_as_it_may() -> None:
    """In a process of its own: a raised limit stays."""
    program = (
        "import resource\n"
        "from saga_orchestrator.http.open_connections import *\n"
        "descriptors = resource.RLIMIT_NOFILE\n"
        "resource.setrlimit(descriptors, (100, 400))\n"
        "raise_descriptor_limit()\n"
        "print(resource.getrlimit(descriptors), connection_limit())\n"
    )

    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert output.stdout == "(400, 400) 200\n"


async def test_new_client_is_refused_at_once_while_all_connections_are_busy() -> None:
    server = Server(app := HeldApp(), max_connections=2)
    for _ in range(2):
        server.connect()[0].data_received(GET)

    refused = [server.connect() for _ in range(3)]

    for connection, transport in refused:
        assert problem(transport) == (503, "too-many-connections")
        assert b"Retry-After: 1" in transport.writes[0]
        assert transport.closed
        connection.data_received(GET)
        connection.connection_lost(None)
    app.gate.set()
    await run_tasks()
    _, transport = server.connect()
    assert not transport.closed
    assert len(app.requests) == 2


@pytest.mark.parametrize(
    "packets", [[], [GET], [GET, GET], [GET * 3], [GET[:9]], [BODY[:-1]], [b"\0"]]
)
@pytest.mark.parametrize("is_served", [True, False])
async def test_lost_connection_leaves_nothing_to_the_garbage_collector(
    packets: Sequence[bytes], is_served: bool
) -> None:
    server = Server()
    connection, transport = server.connect()
    gc.collect()
    gc.disable()
    try:
        for packet in packets:
            connection.data_received(packet)
            if is_served:
                await run_tasks()
        transport.close()
        connection.connection_lost(None)
        reference = ref(connection)
        await run_tasks()
        del connection, transport
        assert reference() is None
    finally:
        gc.enable()
