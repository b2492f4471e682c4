from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from saga_orchestrator.eventstore.ear import Ear


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
    there.send(b"x")
    await ear.readable()

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
