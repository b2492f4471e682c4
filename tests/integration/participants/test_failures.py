from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import NotSent, Response, ResponseLost
from saga_orchestrator.http.participants.pool import TransportLimits
from saga_orchestrator.tests.integration.participants.conftest import SELF_SIGNED
from saga_orchestrator.tests.integration.participants.peer import (
    Answering,
    Ask,
    Conversation,
    Network,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port whose queue of connections is full: it drops further ones without a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        queue = [socket.socket() for _ in range(4)]
        for caller in queue:
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for caller in queue:
            caller.close()


# Certainly not sent


async def test_call_to_an_unknown_participant_was_not_sent(network: Network) -> None:
    client = network.client(1)

    answer = await client.request("bank", "GET", "/", {}, None, timedelta(seconds=1))

    assert isinstance(answer, NotSent)
    assert not answer.had_slot
    assert answer.reason.startswith("no URL is known for participant bank: ")


async def test_call_over_a_refused_connection_was_not_sent(
    network: Network, ask: Ask, free_port: int
) -> None:
    answer = await ask(network.client(free_port))

    assert isinstance(answer, NotSent)
    refused = "connection refused: nothing listens there"
    assert answer.reason == f"no connection to 127.0.0.1:{free_port}: {refused}"


async def test_call_to_a_name_without_an_address_was_not_sent(network: Network, ask: Ask) -> None:
    answer = await ask(network.client(80, host="shop.invalid"))

    assert isinstance(answer, NotSent)


async def test_call_to_an_impossible_name_was_not_sent(network: Network, ask: Ask) -> None:
    answer = await ask(network.client(80, host="x" * 64 + ".example"))

    assert isinstance(answer, NotSent)


async def test_call_whose_connection_takes_too_long_was_not_sent(
    network: Network, ask: Ask, deaf_port: int, in_a_hurry: TransportLimits
) -> None:
    answer = await ask(network.client(deaf_port, limits=in_a_hurry))

    assert answer == NotSent(f"no connection to 127.0.0.1:{deaf_port} in time")


async def test_timeout_of_a_call_bounds_connecting_too(
    network: Network, ask: Ask, deaf_port: int
) -> None:
    async with asyncio.timeout(2):
        answer = await ask(network.client(deaf_port), within=timedelta(milliseconds=50))

    assert answer == NotSent(f"no connection to 127.0.0.1:{deaf_port} in time")


async def test_a_call_without_time_is_not_sent(
    network: Network, answering: Answering, ask: Ask
) -> None:
    peer = await network.peer(answering(OK))
    client = network.client(peer.port)
    await ask(client)

    answer = await ask(client, within=timedelta(0))

    assert answer == NotSent("no time was left to send the request")
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/a\r\nX: y", {}),
        ("POST", "/a", {"X": "1\r\nY: 2"}),
        ("POST", "/a", {"X": "1\n"}),
        ("POST", "/a", {"X": "\x7f"}),
        ("POST", "/a", {"X": "é"}),
        ("POST", "/a", {"X: y\r\nZ": "1"}),
        ("POST", "/a", {"": "1"}),
        ("POST", "/a", {"Content-Length": "0"}),
        ("POST", "/a", {"transfer-encoding": "chunked"}),
        ("POST", "/a", {"Host": "elsewhere"}),
    ],
)
async def test_headers_that_could_forge_a_request_are_not_sent(
    network: Network, answering: Answering, method: str, path: str, headers: dict[str, str]
) -> None:
    peer = await network.peer(answering(OK))
    client = network.client(peer.port)

    answer = await client.request("shop", method, path, headers, b"", timedelta(seconds=1))

    assert isinstance(answer, NotSent)
    assert answer.reason.startswith("the request was refused here")
    assert peer.conversations == []


async def test_call_over_tls_to_a_plain_server_was_not_sent(
    network: Network, ask: Ask, trusting_tls: ssl.SSLContext
) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.reader.read(100)
        conversation.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    peer = await network.peer(script)

    answer = await ask(
        network.client(peer.port, scheme="https", tls=trusting_tls), within=timedelta(seconds=1)
    )

    assert isinstance(answer, NotSent)
    assert "in time" not in answer.reason


async def test_call_over_tls_to_a_server_that_hangs_up_was_not_sent(
    network: Network, ask: Ask, trusting_tls: ssl.SSLContext
) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.reader.read(1)

    peer = await network.peer(script)

    answer = await ask(
        network.client(peer.port, scheme="https", tls=trusting_tls), within=timedelta(seconds=1)
    )

    assert isinstance(answer, NotSent)


async def test_call_to_a_self_signed_certificate_was_not_sent(
    network: Network, answering: Answering, ask: Ask, server_tls: ssl.SSLContext
) -> None:
    peer = await network.peer(answering(OK), server_tls)

    answer = await ask(network.client(peer.port, scheme="https"))

    assert isinstance(answer, NotSent)
    assert "the certificate is not trusted: self-signed certificate" in answer.reason
    assert peer.requests == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_call_over_tls_with_a_custom_context_succeeds(
    network: Network,
    answering: Answering,
    ask: Ask,
    server_tls: ssl.SSLContext,
    trusting_tls: ssl.SSLContext,
    host: str,
) -> None:
    peer = await network.peer(answering(OK), server_tls)
    client = network.client(peer.port, scheme="https", host=host, tls=trusting_tls)

    answers = [await ask(client), await ask(client)]

    assert answers == [Response(200, {"content-length": "2"}, b"ok")] * 2
    assert len(peer.requests) == 2


class Demanding:
    """A server of OpenSSL's own that wants a certificate of each client.

    That of asyncio ends a failed handshake without the alert that says why.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        context.verify_mode = ssl.CERT_REQUIRED
        self.context, self.requests = context, list[bytes]()
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.door.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                self.answer(self.door.accept()[0])

    def answer(self, line: socket.socket) -> None:
        wrapped = self.context.wrap_socket(
            line.dup(), server_side=True, do_handshake_on_connect=False
        )
        with line, wrapped, suppress(ConnectionError):
            try:
                wrapped.do_handshake()
                self.requests.append(wrapped.recv(100))
            except ssl.SSLError:
                # As good servers do: a reset could overtake the alert.
                line.shutdown(socket.SHUT_WR)
                while line.recv(1000):
                    pass

    def stop(self) -> None:
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        self.thread.join()


@pytest.fixture
def demanding(server_tls: ssl.SSLContext) -> Iterator[Demanding]:
    server_tls.load_verify_locations(SELF_SIGNED)
    made = Demanding(server_tls)
    yield made
    made.stop()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_request_without_the_certificate_that_is_demanded_was_not_sent(
    network: Network,
    ask: Ask,
    demanding: Demanding,
    trusting_tls: ssl.SSLContext,
    version: ssl.TLSVersion,
) -> None:
    trusting_tls.minimum_version = trusting_tls.maximum_version = version
    client = network.client(demanding.port, scheme="https", host="localhost", tls=trusting_tls)

    answers = [await ask(client) for _ in range(5)]

    assert [type(answer) for answer in answers] == [NotSent] * 5
    assert demanding.requests == []


async def test_call_with_a_certificate_of_an_unknown_authority_was_not_sent(
    network: Network, ask: Ask, trusting_tls: ssl.SSLContext, server_tls: ssl.SSLContext
) -> None:
    demanding = Demanding(server_tls)  # it trusts nobody
    trusting_tls.load_cert_chain(SELF_SIGNED)

    answer = await ask(
        network.client(demanding.port, scheme="https", host="localhost", tls=trusting_tls)
    )

    demanding.stop()
    assert isinstance(answer, NotSent)
    assert demanding.requests == []


async def test_a_certificate_that_may_be_demanded_after_the_request_proves_nothing(
    network: Network, ask: Ask, demanding: Demanding, trusting_tls: ssl.SSLContext
) -> None:
    trusting_tls.post_handshake_auth = True
    client = network.client(demanding.port, scheme="https", host="localhost", tls=trusting_tls)

    assert isinstance(await ask(client), ResponseLost)


# Maybe done


async def test_reply_is_lost_by_a_reset_after_the_request(network: Network, ask: Ask) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        conversation.reset()

    peer = await network.peer(script)

    answer = await ask(network.client(peer.port))

    assert isinstance(answer, ResponseLost)


async def test_reply_is_lost_by_a_close_after_the_request(network: Network, ask: Ask) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()

    peer = await network.peer(script)

    answer = await ask(network.client(peer.port))

    assert answer == ResponseLost("the connection was closed before a reply")


async def test_reply_until_close_is_lost_by_a_reset(network: Network, ask: Ask) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        conversation.say(b"HTTP/1.1 200 OK\r\n\r\n")
        await conversation.writer.drain()
        conversation.reset()

    peer = await network.peer(script)

    answer = await ask(network.client(peer.port))

    assert isinstance(answer, ResponseLost)


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"\x00" * 100,
    ],
)
async def test_malformed_reply_is_lost(
    network: Network, answering: Answering, ask: Ask, garbage: bytes
) -> None:
    peer = await network.peer(answering(garbage))

    answer = await ask(network.client(peer.port))

    assert isinstance(answer, ResponseLost)
    assert answer.reason.startswith("malformed reply")


async def test_dripping_reply_ends_with_the_timeout_of_the_call(network: Network, ask: Ask) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        while not conversation.reader.at_eof():
            conversation.say(b"x")
            try:
                async with asyncio.timeout(0.005):
                    await conversation.reader.read(1)
            except TimeoutError:
                continue

    peer = await network.peer(script)

    async with asyncio.timeout(2):
        answer = await ask(network.client(peer.port), within=timedelta(milliseconds=150))
        await peer.hung_up.wait()

    assert answer == ResponseLost("no complete reply within the call's timeout")


async def test_unread_request_ends_with_the_timeout_of_the_call(network: Network, ask: Ask) -> None:
    async def script(conversation: Conversation) -> None:
        conversation.deafen()
        await asyncio.Event().wait()

    peer = await network.peer(script)

    answer = await ask(
        network.client(peer.port), within=timedelta(milliseconds=150), body=b"x" * 8_000_000
    )

    assert answer == ResponseLost("no complete reply within the call's timeout")
