"""Where a front sends a request, and sends it again: nodes are real servers that die as they are
told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import httpx
import pytest
from saga_orchestrator.tests.acceptance.load_balancer import (
    Interruption,
    LoadBalancer,
    Node,
    RequestFate,
)
from saga_orchestrator.tests.acceptance.load_balancer_messages import Request, ResponseReader
from saga_orchestrator.tests.acceptance.process import free_port

START, STATUS = "/sagas/start", "/sagas/1/status"
WELL = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
UNWELL = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Mood(StrEnum):
    WELL = "answers"
    UNWELL = "says that it is not ready"
    DIES = "dies before its answer"
    DIES_LATER = "dies within its answer"
    SILENT = "never answers"


@dataclass(slots=True)
class Stand:
    """A node that is `mood`; `asked` are the first lines of what it was asked, but for /readyz."""

    mood: Mood
    asked: list[str] = field(default_factory=list)
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)
    is_left: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, _, _ = (await reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n")
        if line.startswith("GET /readyz "):
            writer.write(UNWELL if self.mood is Mood.UNWELL else WELL)
        else:
            self.asked.append(line.removesuffix(" HTTP/1.1"))
            self.is_asked.set()
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match self.mood:
            case Mood.WELL:
                writer.write(WELL)
            case Mood.DIES:
                writer.transport.abort()
            case Mood.DIES_LATER:
                writer.write(WELL[:-1])
            case Mood.SILENT:
                while await reader.read(1000):
                    pass
                self.is_left.set()


@dataclass(frozen=True, slots=True)
class Scene:
    """`nodes` are asked in their order; `heard` are the targets of whole answers."""

    front: LoadBalancer
    nodes: Sequence[Stand]
    web: httpx.AsyncClient
    heard: list[str]

    @property
    def asked(self) -> list[list[str]]:
        return [one.asked for one in self.nodes]


@asynccontextmanager
async def scene(*moods: Mood | None) -> AsyncIterator[Scene]:
    """A node for each; nobody listens at the port of one that has none, though it passes for ready
    as one does that has died since it was looked at."""
    stands = [Stand(one or Mood.DIES) for one in moods]
    ports, servers = [], []
    for stand, mood in zip(stands, moods, strict=True):
        ports.append(free_port())
        if mood is not None:
            servers.append(await asyncio.start_server(stand.serve, "127.0.0.1", ports[-1]))
    heard: list[str] = []

    def hear(request: Request, _: ResponseReader) -> None:
        heard.append(request.target)

    nodes = [Node(f"n{number}", port) for number, port in enumerate(ports, 1)]
    front = LoadBalancer(nodes, hear)
    async with front.running() as url, httpx.AsyncClient(base_url=url, trust_env=False) as web:
        async with front.checked:
            await front.checked.wait_for(lambda: looked_at(nodes, moods))
        for node, mood in zip(nodes, moods, strict=True):
            node.is_ready = mood is not Mood.UNWELL
        yield Scene(front, stands, web, heard)
    for server in servers:
        server.close()


def looked_at(nodes: Sequence[Node], moods: Sequence[Mood | None]) -> bool:
    expected = [mood not in (None, Mood.UNWELL) for mood in moods]
    return [node.is_ready for node in nodes] == expected


async def test_nodes_are_asked_in_turn() -> None:
    async with scene(Mood.WELL, Mood.WELL) as play:
        for _ in range(4):
            await play.web.post(START)

    assert play.asked == [[f"POST {START}"] * 2] * 2
    assert play.heard == [START] * 4


async def test_a_node_that_is_not_ready_is_asked_for_nothing() -> None:
    async with scene(Mood.UNWELL, Mood.WELL) as play:
        answers = [await play.web.post(START) for _ in range(3)]

    assert [one.status_code for one in answers] == [200] * 3
    assert play.asked == [[], [f"POST {START}"] * 3]


async def test_what_could_not_be_sent_is_sent_elsewhere_whatever_it_is() -> None:
    async with scene(None, Mood.WELL) as play:
        answer = await play.web.post(START)

    assert (answer.status_code, play.asked, play.front.interruptions) == (
        200,
        [[], [f"POST {START}"]],
        [],
    )


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [("GET", STATUS, {}), ("POST", START, {"Idempotency-Key": "order-1"})],
)
async def test_what_may_be_repeated_is_when_a_node_dies_before_its_answer(
    method: str, target: str, headers: dict[str, str]
) -> None:
    async with scene(Mood.DIES, Mood.WELL) as play:
        answer = await play.web.request(method, target, headers=headers)

    assert answer.status_code == 200
    assert play.asked == [[f"{method} {target}"]] * 2
    assert fates(play) == [("n1", RequestFate.REPEATED)]


async def test_a_start_without_a_key_is_never_repeated() -> None:
    async with scene(Mood.DIES, Mood.WELL) as play:
        answer = await play.web.post(START)

    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["retryable"]) == (502, False)
    assert play.asked == [[f"POST {START}"], []]
    assert fates(play) == [("n1", RequestFate.LOST)]


async def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    async with scene(Mood.DIES_LATER, Mood.WELL) as play:
        with pytest.raises(httpx.RemoteProtocolError):
            await play.web.get(STATUS)

    assert play.asked == [[f"GET {STATUS}"], []]
    assert (fates(play), play.heard) == ([("n1", RequestFate.BROKEN_OFF)], [])


async def test_a_request_waits_for_a_node_that_is_ready() -> None:
    async with scene(Mood.UNWELL) as play:
        asking = asyncio.create_task(play.web.post(START))
        for _ in range(3):
            async with play.front.checked:
                await play.front.checked.wait()
        assert not asking.done()
        play.nodes[0].mood = Mood.WELL
        answer = await asking

    assert (answer.status_code, play.asked) == (200, [[f"POST {START}"]])


async def test_a_client_that_hangs_up_is_not_asked_for_any_more() -> None:
    async with scene(Mood.SILENT) as play:
        asking = asyncio.create_task(play.web.get(STATUS))
        await play.nodes[0].is_asked.wait()
        asking.cancel()
        async with asyncio.timeout(10):
            await play.nodes[0].is_left.wait()

    assert (play.front.interruptions, play.heard) == ([], [])


def fates(play: Scene) -> list[tuple[str, RequestFate]]:
    return [(one.node, one.fate) for one in play.front.interruptions]


def test_a_cut_says_what_was_asked_of_whom() -> None:
    cut = Interruption(Request("POST", START), "n1", RequestFate.LOST)

    assert str(cut) == "POST /sagas/start at n1 had no answer and may not be repeated"
