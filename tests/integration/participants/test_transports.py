"""Ours under httpx's own client, and httpx's other transports under ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from saga_orchestrator.fsm.call_outcome import CallResult, NotSent, Response, ResponseLost
from saga_orchestrator.http.participants.client import ParticipantsClient
from saga_orchestrator.http.participants.pool import TransportLimits
from saga_orchestrator.tests.integration.participants.peer import Answering, Conversation, Network

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\nok"


def over(transport: httpx.AsyncBaseTransport, max_body: int = 1000) -> ParticipantsClient:
    return ParticipantsClient({"shop": "https://shop.test/base"}, transport, max_body=max_body)


@pytest.fixture
async def httpx_client(network: Network) -> AsyncIterator[httpx.AsyncClient]:
    limits = TransportLimits(call_timeout=timedelta(seconds=5), max_body_bytes=1000)
    async with httpx.AsyncClient(transport=network.transport(limits), trust_env=False) as client:
        yield client


async def test_httpx_client_uses_the_transport(
    network: Network, answering: Answering, httpx_client: httpx.AsyncClient
) -> None:
    peer = await network.peer(answering(OK))

    response = await httpx_client.post(f"http://127.0.0.1:{peer.port}/a%20b?c=d", json={"e": 1})

    assert (response.status_code, response.text, response.headers["x-a"]) == (200, "ok", "1, 2")
    assert peer.requests[0].startswith(b"POST /a%20b?c=d HTTP/1.1\r\n")
    assert peer.requests[0].endswith(b'\r\n\r\n{"e":1}')
    assert peer.requests[0].lower().count(b"content-length") == 1
    assert peer.requests[0].lower().count(b"host:") == 1


async def test_httpx_client_gets_headers_that_are_not_ascii(
    network: Network, answering: Answering, httpx_client: httpx.AsyncClient
) -> None:
    peer = await network.peer(answering(b"HTTP/1.1 204 No\r\nX: caf\xe9\r\n\r\n"))

    response = await httpx_client.get(f"http://127.0.0.1:{peer.port}/")

    assert response.headers["x"] == "café"


async def test_a_streamed_body_is_sent_whole(
    network: Network, answering: Answering, httpx_client: httpx.AsyncClient
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"

    peer = await network.peer(answering(OK))

    await httpx_client.put(f"http://127.0.0.1:{peer.port}/", content=parts())

    assert peer.requests[0].endswith(b"content-length: 4\r\n\r\nabcd")
    assert b"transfer-encoding" not in peer.requests[0].lower()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"", httpx.RemoteProtocolError),
        (b"nonsense\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000, httpx.RemoteProtocolError),
    ],
    ids=["nothing", "nonsense", "cut short", "too large"],
)
async def test_httpx_client_gets_an_error_for_a_bad_reply(
    network: Network,
    httpx_client: httpx.AsyncClient,
    reply: bytes,
    error: type[httpx.TransportError],
) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        conversation.say(reply)

    peer = await network.peer(script)

    with pytest.raises(error):
        await httpx_client.get(f"http://127.0.0.1:{peer.port}/")


async def test_httpx_client_gets_an_error_for_a_reset(
    network: Network, httpx_client: httpx.AsyncClient
) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        conversation.reset()

    peer = await network.peer(script)

    with pytest.raises(httpx.ReadError):
        await httpx_client.get(f"http://127.0.0.1:{peer.port}/")


async def test_httpx_client_gets_an_error_for_silence(
    network: Network, httpx_client: httpx.AsyncClient
) -> None:
    async def script(conversation: Conversation) -> None:
        await asyncio.Event().wait()

    peer = await network.peer(script)

    with pytest.raises(httpx.ReadTimeout):
        await httpx_client.get(
            f"http://127.0.0.1:{peer.port}/", timeout=httpx.Timeout(5, read=0.05)
        )


async def test_httpx_client_cannot_forge_a_request(
    network: Network, answering: Answering, httpx_client: httpx.AsyncClient
) -> None:
    peer = await network.peer(answering(OK))

    with pytest.raises(httpx.LocalProtocolError):
        await httpx_client.get(
            f"http://127.0.0.1:{peer.port}/", headers={"X": "1\r\nContent-Length: 9"}
        )
    with pytest.raises(httpx.LocalProtocolError):
        await httpx_client.get(
            f"http://127.0.0.1:{peer.port}/", headers={"Host": "a\r\nContent-Length: 9"}
        )

    assert peer.requests == []


async def test_participants_client_uses_a_mock_transport() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://shop.test/base/orders/7%2F8?a=b"
        assert request.headers["saga-id"] == "s1"
        return httpx.Response(201, headers={"X-Kind": "order"}, content=request.content)

    client = over(httpx.MockTransport(handle))

    answer = await client.request(
        "shop", "POST", "/orders/7%2F8?a=b", {"Saga-Id": "s1"}, b"{}", timedelta(seconds=1)
    )

    assert answer == Response(201, {"x-kind": "order", "content-length": "2"}, b"{}")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("refused"), NotSent("refused")),
        (httpx.ConnectTimeout(""), NotSent("ConnectTimeout")),
        (httpx.PoolTimeout("busy"), NotSent("busy")),
        (httpx.ReadTimeout("slow"), ResponseLost("slow")),
        (httpx.WriteError("broken"), ResponseLost("broken")),
        (httpx.LocalProtocolError("half a body"), ResponseLost("half a body")),
        (httpx.RemoteProtocolError("nonsense"), ResponseLost("nonsense")),
        (httpx.DecodingError("gzip"), ResponseLost("gzip")),
    ],
)
async def test_errors_of_a_foreign_transport_are_classified(
    error: httpx.RequestError, expected: CallResult
) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise error

    client = over(httpx.MockTransport(handle))

    assert await client.request("shop", "GET", "/", {}, None, timedelta(seconds=1)) == expected


async def test_a_foreign_transport_is_bounded_in_time() -> None:
    async def handle(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    client = over(httpx.MockTransport(handle))

    answer = await client.request("shop", "GET", "/", {}, None, timedelta(milliseconds=20))

    assert answer == ResponseLost("no complete reply within the call's timeout")


async def test_a_foreign_transport_is_bounded_in_size() -> None:
    client = over(httpx.MockTransport(lambda _: httpx.Response(200, content=b"x" * 11)), 10)

    answer = await client.request("shop", "GET", "/", {}, None, timedelta(seconds=1))

    assert answer == Response(200, {"content-length": "11"}, b"x" * 10, too_large=True)
