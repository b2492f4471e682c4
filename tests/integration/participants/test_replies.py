from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
from saga_orchestrator.fsm.call_outcome import Response, ResponseLost
from saga_orchestrator.fsm.runtime.calls.participant_settings import ParticipantSettings
from saga_orchestrator.http.participants.client import ParticipantsClient
from saga_orchestrator.http.participants.pool import TransportLimits
from saga_orchestrator.tests.integration.participants.peer import (
    Answering,
    Ask,
    Conversation,
    Network,
)

LENGTH = b"HTTP/1.1 201 Created\r\nContent-Length: 8\r\nX-Kind: order\r\n\r\n"
ORDER = b'{"id":1}'


async def test_a_request_arrives_as_it_was_meant(
    network: Network, answering: Answering, ask: Ask
) -> None:
    peer = await network.peer(answering(LENGTH + ORDER))

    await ask(network.client(peer.port), path="/orders/7%2F8?dry=1", body=b'{"a":1}')

    host = f"host: 127.0.0.1:{peer.port}\r\n".encode()
    assert peer.requests == [
        b"POST /base/orders/7%2F8?dry=1 HTTP/1.1\r\n" + host + b"accept-encoding: identity\r\n"
        b'Saga-Id: s1\r\ncontent-length: 7\r\n\r\n{"a":1}'
    ]


async def test_reply_may_end_with_the_connection(network: Network, ask: Ask) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        conversation.say(b"HTTP/1.1 200 OK\r\n\r\n")
        await conversation.writer.drain()
        conversation.say(b"the end")

    peer = await network.peer(script)

    assert await ask(network.client(peer.port)) == Response(200, {}, b"the end")


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_needs_no_length(
    network: Network, answering: Answering, ask: Ask, status: int
) -> None:
    peer = await network.peer(answering(b"HTTP/1.1 %d x\r\n\r\n" % status))
    client = network.client(peer.port)

    answers = [await ask(client), await ask(client)]

    assert answers == [Response(status, {}, b"")] * 2
    assert len(peer.conversations) == 1


async def test_a_redirect_is_not_followed_and_a_cookie_not_kept(
    network: Network, answering: Answering, ask: Ask
) -> None:
    head = b"HTTP/1.1 307 Go\r\nLocation: /other\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    peer = await network.peer(answering(head))
    client = network.client(peer.port)

    answer = await ask(client)
    await ask(client)

    assert isinstance(answer, Response)
    assert answer.status == 307
    assert len(peer.requests) == 2
    assert not any(b"ookie" in request for request in peer.requests)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 2000 + b"\r\n",
    ],
    ids=["length", "until close", "chunked"],
)
async def test_body_beyond_the_limit_is_cut_and_marked(
    network: Network, answering: Answering, ask: Ask, head: bytes
) -> None:
    peer = await network.peer(answering(head))

    answer = await ask(network.client(peer.port, limits=TransportLimits(max_body_bytes=1000)))

    assert isinstance(answer, Response)
    assert (answer.status, answer.too_large, answer.body) == (200, True, b"x" * 1000)
    await peer.hung_up.wait()


async def test_a_body_at_the_limit_is_not_too_large(
    network: Network, answering: Answering, ask: Ask
) -> None:
    peer = await network.peer(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))

    answer = await ask(network.client(peer.port, limits=TransportLimits(max_body_bytes=3)))

    assert answer == Response(200, {"content-length": "3"}, b"abc")


async def test_endless_trailers_end_the_call(network: Network, ask: Ask) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        conversation.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ")
        while True:
            conversation.say(b"x" * 65536)
            await conversation.writer.drain()

    peer = await network.peer(script)

    answer = await ask(network.client(peer.port, limits=TransportLimits(max_body_bytes=1000)))

    assert answer == Response(200, {"transfer-encoding": "chunked"}, b"", too_large=True)


async def test_an_endless_head_ends_the_call(network: Network, ask: Ask) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        while True:
            conversation.say(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)
            await conversation.writer.drain()

    peer = await network.peer(script)

    answer = await ask(network.client(peer.port))

    assert answer == ResponseLost("the head of the reply is too large")


async def test_large_request_and_large_reply_arrive_whole(network: Network, ask: Ask) -> None:
    body = b"y" * 1024 * 1024

    async def script(conversation: Conversation) -> None:
        request = await conversation.request()
        conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        conversation.say(request[-len(body) :])

    peer = await network.peer(script)

    answer = await ask(network.client(peer.port), body=body)

    assert answer == Response(200, {"content-length": str(len(body))}, body)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s",
        b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
    ],
)
async def test_a_compressed_reply_is_read_however_it_is_framed(
    network: Network, answering: Answering, ask: Ask, head: bytes
) -> None:
    data = gzip.compress(ORDER)
    peer = await network.peer(answering(b"HTTP/1.1 200 OK\r\n" + head % (len(data), data)))
    client = network.client(peer.port)

    answers = [await ask(client), await ask(client)]

    assert [answer.body for answer in answers if isinstance(answer, Response)] == [ORDER, ORDER]
    assert len(peer.conversations) == 1


async def test_compressed_reply_may_end_with_the_connection(network: Network, ask: Ask) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"
        conversation.say(head + gzip.compress(ORDER))

    peer = await network.peer(script)

    answer = await ask(network.client(peer.port))

    assert isinstance(answer, Response)
    assert answer.body == ORDER


@pytest.mark.parametrize(
    ("head", "encode"),
    [
        ("Content-Encoding: gzip", gzip.compress),
        ("Content-Type: text/plain; charset=utf-16", lambda data: data.decode().encode("utf-16")),
        ("X-Nothing: said", lambda data: data.decode().encode("utf-16-le")),
    ],
)
async def test_a_secret_in_an_encoded_reply_is_found(
    network: Network, answering: Answering, ask: Ask, head: str, encode: Callable[[bytes], bytes]
) -> None:
    data = encode(rb'{"sent": "hunter2\/hunter2"}')
    start = f"HTTP/1.1 402 No\r\n{head}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    peer = await network.peer(answering(start + data))
    settings = {"shop": ParticipantSettings(headers={"authorization": "Bearer hunter2/hunter2"})}
    url = f"http://127.0.0.1:{peer.port}"
    client = ParticipantsClient({"shop": url}, network.transport(), settings=settings)

    answer = await ask(client)

    assert isinstance(answer, Response)
    assert answer.body == b'{"sent": "[secret]"}'
