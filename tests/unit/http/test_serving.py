from __future__ import annotations

import asyncio

from saga_orchestrator.http.serving import Gathering, server_of
from starlette.types import Receive, Scope, Send


class Wire(asyncio.Transport):
    """What has been sent, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def test_an_answer_leaves_in_one_write() -> None:
    wire = Wire()
    transport = Gathering(wire, asyncio.get_running_loop())

    transport.write(b"head")
    transport.write(b"body")
    await asyncio.sleep(0)

    assert wire.sent == [b"headbody"]


async def test_what_is_written_later_leaves_later() -> None:
    wire = Wire()
    transport = Gathering(wire, asyncio.get_running_loop())

    for part in (b"one", b"two"):
        transport.write(part)
        await asyncio.sleep(0)

    assert wire.sent == [b"one", b"two"]


async def test_nothing_is_lost_when_the_connection_is_closed_after_the_answer() -> None:
    wire = Wire()
    transport = Gathering(wire, asyncio.get_running_loop())

    transport.write(b"last words")
    transport.close()
    await asyncio.sleep(0)

    assert (wire.sent, wire.closed) == ([b"last words"], True)


async def test_nothing_is_written_to_a_connection_that_broke() -> None:
    wire = Wire()
    transport = Gathering(wire, asyncio.get_running_loop())

    transport.write(b"to nobody")
    wire.close()
    await asyncio.sleep(0)

    assert wire.sent == []


def test_an_idle_connection_is_let_go_by_its_client_first() -> None:
    longest_that_clients_keep_one_idle = 60  # seconds

    assert server_of(nobody).config.timeout_keep_alive > longest_that_clients_keep_one_idle


async def nobody(scope: Scope, receive: Receive, send: Send) -> None:
    """It is never asked."""
