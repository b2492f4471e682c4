from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator

import pytest
from saga_orchestrator.eventstore.postgres.ear import Ear


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Each loop has its own way of watching a socket."""
    return ("asyncio", {"use_uvloop": request.param})


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    here.setblocking(False)
    yield here, there
    here.close()
    there.close()


async def turns_of_the_loop() -> None:
    for _ in range(3):
        await asyncio.sleep(0.001)


async def test_each_arrival_is_heard(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    ear = Ear(here.fileno())
    for _ in range(3):
        await turns_of_the_loop()
        waiting = ear.readable()
        await turns_of_the_loop()
        assert not waiting.done()
        there.send(b"x")
        await waiting
        assert here.recv(9) == b"x"
    ear.close()


async def test_a_reset_connection_is_heard_of_as_often_as_somebody_waits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = socket.create_connection(server.getsockname())
        there, _ = server.accept()
    ear = Ear(here.fileno())
    waiting = ear.readable()
    await turns_of_the_loop()
    there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    there.close()

    await waiting
    for _ in range(3):
        await turns_of_the_loop()
        await asyncio.wait_for(ear.readable(), 5)
    ear.close()
    here.close()


async def test_who_watches_the_socket_too_takes_nothing_away(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    here, there = ends
    ear, loop = Ear(here.fileno()), asyncio.get_running_loop()
    waiting = ear.readable()
    loop.add_reader(here, lambda: None)
    loop.remove_reader(here)

    there.send(b"x")

    await waiting
    ear.close()


async def test_what_arrives_while_nobody_waits_ends_the_watch_until_the_next_wait(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = ends
    ear, loop = Ear(here.fileno()), asyncio.get_running_loop()
    ended: list[int] = []
    remove = loop.remove_reader

    def noted(watched: int) -> bool:
        ended.append(watched)
        return remove(watched)

    monkeypatch.setattr(loop, "remove_reader", noted)
    waiting = ear.readable()
    there.send(b"x")
    await waiting

    await turns_of_the_loop()

    assert len(ended) == 1
    await ear.readable()
    ear.close()
    ear.close()


async def test_who_went_away_leaves_no_trace(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    ear = Ear(here.fileno())
    ear.readable().cancel()
    there.send(b"x")
    await turns_of_the_loop()

    await ear.readable()

    ear.close()
