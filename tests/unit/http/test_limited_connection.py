"""The limits of a connection, in bytes, in time and in number, and that nothing else changes."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast
from weakref import ref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.http.connection import Connection
from saga_orchestrator.http.limited_connection import (
    SERVER_STATE_KEY,
    LimitedConnection,
    SharedState,
)
from saga_orchestrator.http.open_connections import ConnectionLimits, OpenConnections
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from .recorded_transport import Clockwork, Wire
from .test_connection import GET, HOST, POST, REQUESTS, RESPONSES, Replying, connected, turns

LIMITS: Final = ConnectionLimits()
KILOBYTE: Final = 1024
BODY: Final = POST + b"Content-Length: 3\r\n\r\nabc"
# What uvicorn refuses with its own text, and what it leaves open behind an upgrade.
ANSWERED_ELSEWISE: Final = ("nonsense", "no length", "upgrade", "other upgrade")


class Holding(Replying):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__(RESPONSES["whole"])
        self.gate = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.gate.wait()
        await super().__call__(scope, receive, send)


class Early(Replying):
    """Answers without a look at the body."""

    def __init__(self) -> None:
        super().__init__(RESPONSES["whole"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.response(scope, receive, send)


class House:
    """A server with room for some connections."""

    def __init__(self, app: Any = None, most: int = 100) -> None:
        self.app, self.clock = app or Replying(RESPONSES["whole"]), Clockwork()
        self.loop = cast(asyncio.AbstractEventLoop, self.clock)
        self.config = Config(self.app, log_config=None, lifespan="off", timeout_keep_alive=75)
        self.config.load()
        self.state = ServerState()
        connections = OpenConnections(self.loop, LIMITS, most)
        self.shared: dict[str, Any] = {SERVER_STATE_KEY: SharedState(self.config, connections)}

    def connect(self) -> tuple[LimitedConnection, Wire]:
        wire = Wire()
        connection = LimitedConnection(self.config, self.state, self.shared, self.loop)
        connection._server_protocol.access_log = False  # type: ignore[attr-defined]
        connection.connection_made(wire)
        return connection, wire


def told(wire: Wire) -> tuple[int, str]:
    """Status and code of the last answer."""
    head, _, body = wire.sent[-1].partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"Connection: close" in head
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize("request_", [one for one in REQUESTS if one not in ANSWERED_ELSEWISE])
@pytest.mark.parametrize("response", ["whole", "chunked", "goodbye"])
async def test_a_client_within_the_limits_notices_nothing(response: str, request_: str) -> None:
    async def conversation(connection: Any, wire: Wire, app: Replying) -> Sequence[object]:
        for packet in REQUESTS[request_]:
            connection.data_received(packet)
            await turns()
        return b"".join(wire.sent), wire.closed, wire.paused, app.seen

    house = House(app := Replying(RESPONSES[response]))
    limited = await conversation(*house.connect(), app)
    free = Replying(RESPONSES[response])
    connection, wire = connected(Connection, free)
    connection.server_state.default_headers = []
    plain = await conversation(connection, wire, free)
    connection._unset_keepalive_if_required()

    assert limited == plain


@settings(deadline=None, max_examples=100)
@given(
    size=st.sampled_from([1, 30, 60, 64, 66, 80, 100, 300, 1100]).map(lambda n: n * KILOBYTE),
    pieces=st.lists(st.sampled_from([1, 100, 4096, 20_000, 60_000, 70_000]), min_size=1),
    earlier=st.integers(0, 2),
)
async def test_a_head_is_read_up_to_a_size_however_it_comes(
    size: int, pieces: list[int], earlier: int
) -> None:
    house = House(app := Replying(RESPONSES["whole"]))
    connection, wire = house.connect()
    for _ in range(earlier):
        connection.data_received(BODY)
        await turns()
    request = b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + b"x" * size + b"\r\n\r\n"

    place, number = 0, 0
    while place < len(request) and number < 2000:
        step = pieces[number % len(pieces)]
        connection.data_received(request[place : place + step])
        place, number = place + step, number + 1
    await turns()

    if place < len(request):
        return  # too many small pieces for a test
    if len(request) <= LIMITS.head_bytes:
        assert len(app.seen) == earlier + 1
        assert not wire.ended
    elif size > LIMITS.head_bytes + 70_000:
        assert told(wire) == (431, "head-too-large")
        assert len(app.seen) == earlier
        assert wire.ended


async def test_a_client_that_goes_on_sending_is_read_for_a_while_and_reads_the_answer() -> None:
    house = House()
    connection, wire = house.connect()

    for _ in range(100):
        connection.data_received(b"X" * 100_000)
    kept = wire.closed
    house.clock.advance(LIMITS.linger_seconds + 1)

    assert (told(wire), kept, wire.aborted) == ((400, "malformed-request"), False, True)


async def test_a_silent_connection_is_closed() -> None:
    house = House()
    connection, wire = house.connect()

    house.clock.advance(LIMITS.silent_seconds - 1)
    early = wire.closed
    house.clock.advance(2)

    assert (early, wire.closed, wire.sent) == (False, True, [])
    connection.connection_lost(None)


@pytest.mark.parametrize("earlier", [0, 1, 3])
@pytest.mark.parametrize("beginning", [b"G", GET[:-1], b"\r\n", b"GET / HTTP/1.1\r\nX: "])
async def test_a_head_that_does_not_end_is_not_waited_for(earlier: int, beginning: bytes) -> None:
    house = House()
    connection, wire = house.connect()
    for _ in range(earlier):
        connection.data_received(GET)
        await turns()
        house.clock.advance(5)

    connection.data_received(beginning)
    for _ in range(20):
        house.clock.advance(1)
        if not wire.ended and beginning.endswith(b": "):
            connection.data_received(b"x")  # slowly, and for ever

    assert told(wire) == (408, "head-too-slow")
    assert len(wire.sent) == earlier + 1
    assert wire.aborted


@pytest.mark.parametrize("is_slow", [True, False])
@pytest.mark.parametrize("answers", ["Holding", "Early"])
async def test_a_body_that_does_not_end_is_not_waited_for(answers: str, is_slow: bool) -> None:
    house = House(Holding() if answers == "Holding" else Early())
    connection, wire = house.connect()
    connection.data_received(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    await turns()

    for _ in range(int(LIMITS.body_seconds) + 2):
        if is_slow and not wire.closed:
            connection.data_received(b"1\r\nx\r\n")
        house.clock.advance(1)

    assert wire.closed
    connection.connection_lost(None)


async def test_nothing_is_late_while_an_answer_is_made() -> None:
    house = House(app := Holding())
    connection, wire = house.connect()
    connection.data_received(GET + BODY[:-1])

    for _ in range(100):
        house.clock.advance(10)
    waiting = (wire.closed, wire.ended)
    app.gate.set()
    await turns()
    connection.data_received(BODY[-1:])
    await turns()

    assert waiting == (False, False)
    assert [one[3] for one in app.seen] == [b"", b"abc"]


async def test_a_client_that_does_not_read_is_let_go() -> None:
    house = House()
    connection, wire = house.connect()
    connection.data_received(GET)
    connection.pause_writing()
    house.clock.advance(LIMITS.write_seconds - 1)
    connection.resume_writing()
    house.clock.advance(LIMITS.write_seconds)
    patient = wire.aborted
    connection.pause_writing()
    house.clock.advance(LIMITS.write_seconds + 1)
    connection.connection_lost(None)
    await turns()

    assert (patient, wire.aborted) == (False, True)


@pytest.mark.parametrize("bad", [b"nonsense\r\n\r\n", POST + b"Transfer-Encoding: gzip\r\n\r\n"])
async def test_what_cannot_be_read_is_refused_after_what_came_before_is_answered(
    bad: bytes,
) -> None:
    house = House(app := Holding())
    connection, wire = house.connect()
    connection.data_received(GET)
    connection.data_received(bad)
    house.clock.advance(100)
    before = list(wire.sent)
    app.gate.set()
    await turns()

    assert (before, wire.aborted) == ([], False)
    assert wire.sent[0].startswith(b"HTTP/1.1 200")
    assert told(wire) == (400, "malformed-request")


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
async def test_what_is_no_request_is_refused_with_a_problem(packets: list[bytes]) -> None:
    connection, wire = House(app := Replying(RESPONSES["whole"])).connect()

    for packet in packets:
        connection.data_received(packet)
        await turns()

    assert told(wire) == (400, "malformed-request")
    assert len(wire.sent) == 1
    assert app.seen == []
    connection.connection_lost(None)
    await turns()


async def test_an_application_that_waits_for_a_body_learns_that_it_is_broken() -> None:
    connection, wire = House(app := Replying(RESPONSES["whole"])).connect()
    connection.data_received(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    await turns()

    connection.data_received(b"nonsense\r\n")
    ended, closed = wire.ended, wire.closed
    connection.connection_lost(None)
    await turns()

    assert (ended, closed) == (False, True)
    assert told(wire) == (400, "malformed-request")
    assert len(wire.sent) == 1
    assert len(app.seen) == 1


async def test_an_upgrade_is_answered_as_if_it_had_not_been_asked_for() -> None:
    connection, wire = House().connect()

    connection.data_received(REQUESTS["upgrade"][0])
    connection.data_received(b"\x81\x05hello")
    await turns()

    assert b"".join(wire.sent).startswith(b"HTTP/1.1 200")
    assert wire.closed


@pytest.mark.parametrize("idle", ["silent", "half sent", "answered"])
async def test_the_connection_that_is_idle_for_longest_makes_room(idle: str) -> None:
    house = House(app := Holding(), most=3)
    busy, busy_wire = house.connect()
    busy.data_received(GET)
    others = [house.connect() for _ in range(2)]
    for connection, _ in others:
        if idle == "half sent":
            connection.data_received(GET[:9])
        elif idle == "answered":
            app.gate.set()
            connection.data_received(GET)
            await turns()
            app.gate.clear()
    if idle == "answered":
        busy.data_received(GET)

    _, new = house.connect()
    closed = [wire.closed for _, wire in others]
    _, newer = house.connect()

    assert closed == [True, False]
    assert [wire.closed for _, wire in others] == [True, True]
    assert [wire.closed for wire in (busy_wire, new, newer)] == [False] * 3
    app.gate.set()
    await turns()


async def test_room_is_made_at_once_whatever_the_client_has_not_taken() -> None:
    house = House(most=1)
    connection, wire = house.connect()
    connection.data_received(GET)
    await turns()

    house.connect()

    assert wire.aborted


def test_the_process_takes_the_descriptors_that_it_may_have() -> None:
    """In a process of its own: a limit that was raised stays."""
    program = (
        "import resource\n"
        "from saga_orchestrator.http.open_connections import *\n"
        "most = resource.RLIMIT_NOFILE\n"
        "resource.setrlimit(most, (100, 400))\n"
        "raise_descriptor_limit()\n"
        "print(resource.getrlimit(most), connection_limit())\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert said.stdout == "(400, 400) 200\n"


async def test_when_all_are_busy_a_new_client_is_refused_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    house = House(app := Holding(), most=2)
    for _ in range(2):
        house.connect()[0].data_received(GET)

    refused = [house.connect() for _ in range(3)]

    for connection, wire in refused:
        assert told(wire) == (503, "too-many-connections")
        assert b"Retry-After: 1" in wire.sent[0]
        assert wire.closed
        connection.data_received(GET)
        connection.connection_lost(None)
    app.gate.set()
    await turns()
    _, wire = house.connect()
    assert not wire.closed
    assert len(app.seen) == 2


@pytest.mark.parametrize(
    "packets", [[], [GET], [GET, GET], [GET * 3], [GET[:9]], [BODY[:-1]], [b"\0"]]
)
@pytest.mark.parametrize("is_answered", [True, False])
async def test_nothing_of_a_lost_connection_is_left_for_the_garbage_collector(
    packets: Iterable[bytes], is_answered: bool
) -> None:
    house = House()
    connection, wire = house.connect()
    gc.collect()
    gc.disable()
    try:
        for packet in packets:
            connection.data_received(packet)
            if is_answered:
                await turns()
        wire.close()
        connection.connection_lost(None)
        lost = ref(connection)
        await turns()
        del connection, wire
        assert lost() is None
    finally:
        gc.enable()
