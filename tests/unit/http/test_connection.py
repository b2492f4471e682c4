"""Compared with uvicorn's own protocol, which is slower and knows every way to answer."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable
from typing import Final, cast
from weakref import ref

import pytest
from saga_orchestrator.http.connection import Connection
from saga_orchestrator.http.whole import whole_of
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from .recorded_transport import Clockwork, Wire

TURNS: Final = 10  # of the event loop, more than any answer here takes
HOST: Final = b"Host: saga\r\n"
GET: Final = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"
POST: Final = b"POST /a HTTP/1.1\r\n" + HOST
DATE: Final = (b"date", b"Tue, 24 Nov 2026 15:03:40 GMT")
RESPONSES: Final = {
    "whole": Response("here", headers={"x-a": "\tb \xff"}),
    "empty": Response(b""),
    "accepted": Response("later", 202),
    "without content": Response(status_code=204),
    "as before": Response(status_code=304, headers={"etag": "1"}),
    "no content, and some": Response("abc", 204),
    "told twice": Response("no", 413, {"Connection": "keep-alive, close"}),
    "goodbye": Response("no", 413, {"Connection": "close"}),
    "two lines in a header": Response("", headers={"x-a": "b\r\nx-c: d"}),
    "a line feed in a header": Response("", headers={"x-a": "b\nc"}),
    "a NUL in a header": Response("", headers={"x-a": "b\0"}),
    "too short": Response("abc", headers={"content-length": "4"}),
    "too long": Response("abcd", headers={"content-length": "3"}),
    "chunked": Response("abc", headers={"content-length": "3", "transfer-encoding": "chunked"}),
}
REQUESTS: Final = {
    "get": [GET],
    "head": [b"HEAD /a HTTP/1.1\r\n" + HOST + b"\r\n"],
    "last": [b"GET /a HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"],
    "old": [b"GET /a HTTP/1.0\r\n\r\n"],
    "path": [b"GET /a%20b/%C3%BC?q=%20&x HTTP/1.1\r\n" + HOST + b"\r\n"],
    "long path": [b"GET /" + b"a%20" * 200 + b" HTTP/1.1\r\n" + HOST + b"\r\n"],
    "piece by piece": [GET[:7], GET[7:20], GET[20:]],
    "body": [POST + b"Content-Length: 3\r\n\r\nabc"],
    "body by and by": [POST + b"Content-Length: 3\r\n\r\n", b"a", b"bc"],
    "chunks": [POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", b"1\r\nc\r\n0\r\n\r\n"],
    "asks first": [POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n", b"abc"],
    "does not ask": [POST + b"Content-Length: 3\r\nExpect: 100-Continue\r\n\r\nabc"],
    "pipelined": [GET * 3, GET],
    "pipelined bodies": [(POST + b"Content-Length: 1\r\n\r\nx") * 2],
    "upgrade": [b"GET /a HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"],
    "other upgrade": [POST + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nx"],
    "nonsense": [b"\0\r\n\r\n"],
    "no length": [POST + b"Content-Length: x\r\n\r\n"],
}


class Replying:
    """Reads the whole body, asks for nothing else, and gives one response for all."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.seen: list[tuple[str, bytes, bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        whole = whole_of(scope)
        body = None if whole is None else whole.take_body(1000)
        if body is None:
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message.get("body", b""), message.get("more_body", False)
        self.seen.append((scope["path"], scope["raw_path"], scope["query_string"], body))
        if whole is None or not whole.answer(self.response):
            await self.response(scope, receive, send)


def connected(
    protocol: type[HttpToolsProtocol],
    app: Replying,
    limit: int | None = None,
    clock: Clockwork | None = None,
) -> tuple[HttpToolsProtocol, Wire]:
    config = Config(app, log_config=None, limit_concurrency=limit, lifespan="off")
    config.load()
    state = ServerState()
    state.default_headers = [DATE]
    loop = cast(asyncio.AbstractEventLoop, clock)
    connection = protocol(config=config, server_state=state, app_state={}, _loop=loop)
    wire = Wire()
    connection.access_log = False
    connection.connection_made(wire)
    return connection, wire


async def turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def conversation(
    protocol: type[HttpToolsProtocol], response: Response, packets: Iterable[bytes]
) -> tuple[bytes, bool, bool, list[tuple[str, bytes, bytes, bytes]]]:
    app = Replying(response)
    connection, wire = connected(protocol, app)
    for packet in packets:
        connection.data_received(packet)
        await turns()
    connection._unset_keepalive_if_required()
    return b"".join(wire.sent), wire.closed, wire.paused, app.seen


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("response", RESPONSES)
async def test_a_client_sees_what_uvicorn_would_show_it(response: str, request_: str) -> None:
    answer, packets = RESPONSES[response], REQUESTS[request_]

    ours = await conversation(Connection, answer, packets)

    assert ours == await conversation(HttpToolsProtocol, answer, packets)


@pytest.mark.parametrize("request_", ["get", "body", "body by and by", "last"])
async def test_an_answer_leaves_in_one_write(request_: str) -> None:
    connection, wire = connected(Connection, Replying(RESPONSES["whole"]))

    for packet in REQUESTS[request_]:
        connection.data_received(packet)
        await turns()
    connection._unset_keepalive_if_required()

    assert len(wire.sent) == 1


@pytest.mark.parametrize("response", ["whole", "chunked"])
async def test_nothing_of_a_request_is_left_for_the_garbage_collector(response: str) -> None:
    connection, _ = connected(Connection, Replying(RESPONSES[response]))
    gc.disable()
    try:
        connection.data_received(GET)
        exchange = ref(connection.cycle)
        await turns()
        connection.data_received(GET)
        await turns()
        assert exchange() is None
    finally:
        gc.enable()
    connection.connection_lost(None)


@pytest.mark.parametrize("packets", [[GET], [GET, GET], [GET * 3], [GET[:9]]])
@pytest.mark.parametrize("turns_before", [0, TURNS])
async def test_nothing_of_a_lost_connection_is_left_for_the_garbage_collector(
    packets: list[bytes], turns_before: int
) -> None:
    connection, wire = connected(Connection, Replying(RESPONSES["whole"]))
    gc.collect()
    gc.disable()
    try:
        for packet in packets:
            connection.data_received(packet)
        for _ in range(turns_before):
            await asyncio.sleep(0)
        wire.close()
        connection.connection_lost(None)
        lost = ref(connection)
        await turns()
        del connection, wire
        assert lost() is None
    finally:
        gc.enable()


async def test_a_body_is_not_kept_once_it_was_taken() -> None:
    connection, _ = connected(Connection, Replying(RESPONSES["whole"]))
    for packet in REQUESTS["body"]:
        connection.data_received(packet)
    exchange = connection.cycle
    await turns()
    connection.connection_lost(None)

    assert exchange.body == b""


async def test_none_of_those_that_wait_in_line_writes_to_a_client_that_has_gone() -> None:
    connection, wire = connected(Connection, Replying(RESPONSES["whole"]))
    connection.data_received(GET * 3)

    wire.close()
    connection.connection_lost(None)
    await turns()

    assert wire.sent == []


async def test_there_is_nothing_to_receive_after_an_answer() -> None:
    received: list[Message] = []

    class Listening(Replying):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            listening = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            whole = whole_of(scope)
            assert whole is not None
            assert whole.answer(self.response)
            received.append(await listening)

    connection, _ = connected(Connection, Listening(RESPONSES["whole"]))
    connection.data_received(GET)
    await turns()
    connection.connection_lost(None)

    assert received == [{"type": "http.disconnect"}]


async def test_nothing_is_written_to_a_client_that_has_gone() -> None:
    connection, wire = connected(Connection, Replying(RESPONSES["whole"]))

    connection.data_received(GET)
    connection.connection_lost(None)
    await turns()

    assert wire.sent == []


async def test_an_answer_without_any_header_is_one_too() -> None:
    connection, wire = connected(Connection, Replying(RESPONSES["without content"]))
    connection.server_state.default_headers = []

    connection.data_received(GET)
    await turns()
    connection.connection_lost(None)

    assert b"".join(wire.sent) == b"HTTP/1.1 204 No Content\r\n\r\n"


async def test_who_does_not_read_is_waited_for() -> None:
    connection, wire = connected(Connection, Replying(RESPONSES["whole"]))

    connection.pause_writing()
    connection.data_received(GET)
    await turns()
    waited = list(wire.sent)
    connection.resume_writing()
    await turns()
    connection._unset_keepalive_if_required()

    assert waited == []
    assert b"".join(wire.sent).endswith(b"here")


async def test_more_at_a_time_than_allowed_are_refused() -> None:
    connection, wire = connected(Connection, Replying(RESPONSES["whole"]), limit=1)

    connection.data_received(GET)
    await turns()

    assert b"".join(wire.sent).startswith(b"HTTP/1.1 503 ")


async def test_a_server_that_stops_hangs_up_after_the_answer() -> None:
    connection, wire = connected(Connection, Replying(RESPONSES["whole"]))

    connection.data_received(GET)
    connection.shutdown()
    await turns()

    assert b"connection: close\r\n" in wire.sent[0]
    assert wire.closed


async def test_an_idle_connection_is_let_go_and_no_other() -> None:
    clock = Clockwork()
    connection, wire = connected(Connection, Replying(RESPONSES["whole"]), clock=clock)
    connection.timeout_keep_alive = 5

    for _ in range(3):
        connection.data_received(GET)
        await turns()
        clock.advance(4)
    connection.data_received(GET[:10])
    clock.advance(10)
    closed_while_it_asks = wire.closed
    connection.data_received(GET[10:])
    await turns()
    clock.advance(4)
    closed_too_soon = wire.closed
    clock.advance(1)

    assert not closed_while_it_asks
    assert not closed_too_soon
    assert wire.closed


async def test_a_connection_that_is_lost_is_not_kept_by_its_timer() -> None:
    connection, _ = connected(Connection, Replying(RESPONSES["whole"]))
    connection.data_received(GET)
    await turns()
    timer = connection.timeout_keep_alive_task
    assert timer is not None

    connection.connection_lost(ConnectionResetError())

    assert timer.cancelled()
