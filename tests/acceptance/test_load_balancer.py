"""Which requests the load balancer sends to a second node, when the first one dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import httpx
import pytest
from saga_orchestrator.tests.acceptance.load_balancer import LoadBalancer, Node, RequestFate
from saga_orchestrator.tests.acceptance.load_balancer_messages import Request, ResponseReader
from saga_orchestrator.tests.acceptance.process import free_port

START, STATUS = "/sagas/start", "/sagas/1/status"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


class Behavior(StrEnum):
    UNREACHABLE = "does not listen"
    ANSWERS = "answers"
    DIES = "dies before its response"
    DIES_LATER = "dies within its response"


@dataclass(slots=True)
class FakeNode:
    """A server that is always ready. `received` are its request lines, but for /readyz."""

    behavior: Behavior
    received: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, _, _ = (await reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n")
        if line.startswith("GET /readyz "):
            writer.write(OK)
        else:
            self.received.append(line.removesuffix(" HTTP/1.1"))
            self._answer(writer)
        writer.close()

    def _answer(self, writer: asyncio.StreamWriter) -> None:
        match self.behavior:
            case Behavior.ANSWERS:
                writer.write(OK)
            case Behavior.DIES:
                writer.transport.abort()
            case Behavior.DIES_LATER:
                writer.write(OK[:-1])


@dataclass(frozen=True, slots=True)
class Setup:
    """`answered` are the targets of the requests that got a complete response."""

    front: LoadBalancer
    nodes: Sequence[FakeNode]
    api: httpx.AsyncClient
    answered: list[str]

    @property
    def received(self) -> list[list[str]]:
        return [node.received for node in self.nodes]

    @property
    def fates(self) -> list[tuple[str, RequestFate]]:
        return [(cut.node, cut.fate) for cut in self.front.interruptions]


@asynccontextmanager
async def load_balancer_before(*behaviors: Behavior) -> AsyncIterator[Setup]:
    """Start a node for each. An unreachable one counts as ready, as if it had just died."""
    fakes = [FakeNode(behavior) for behavior in behaviors]
    nodes, servers = [], []
    for number, fake in enumerate(fakes, 1):
        nodes.append(Node(f"n{number}", free_port()))
        if fake.behavior is not Behavior.UNREACHABLE:
            servers.append(await asyncio.start_server(fake.serve, "127.0.0.1", nodes[-1].port))
    answered: list[str] = []

    def on_response(request: Request, _: ResponseReader) -> None:
        answered.append(request.target)

    front = LoadBalancer(nodes, on_response)
    async with front.running() as url, httpx.AsyncClient(base_url=url, trust_env=False) as api:
        async with front.checked:
            await front.checked.wait_for(lambda: reachable_are_ready(nodes, fakes))
        for node in nodes:
            node.is_ready = True
        yield Setup(front, fakes, api, answered)
    for server in servers:
        server.close()


def reachable_are_ready(nodes: Sequence[Node], fakes: Sequence[FakeNode]) -> bool:
    expected = [fake.behavior is not Behavior.UNREACHABLE for fake in fakes]
    return [node.is_ready for node in nodes] == expected


async def test_request_that_could_not_be_sent_goes_to_another_node() -> None:
    async with load_balancer_before(Behavior.UNREACHABLE, Behavior.ANSWERS) as setup:
        response = await setup.api.post(START)

    assert response.status_code == 200
    assert (setup.received, setup.fates) == ([[], [f"POST {START}"]], [])


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [("GET", STATUS, {}), ("POST", START, {"Idempotency-Key": "order-1"})],
)
async def test_repeatable_request_goes_to_another_node_when_the_first_dies_before_its_response(
    method: str, target: str, headers: dict[str, str]
) -> None:
    async with load_balancer_before(Behavior.DIES, Behavior.ANSWERS) as setup:
        response = await setup.api.request(method, target, headers=headers)

    assert response.status_code == 200
    assert setup.received == [[f"{method} {target}"]] * 2
    assert setup.fates == [("n1", RequestFate.REPEATED)]


async def test_start_without_a_key_is_never_repeated() -> None:
    async with load_balancer_before(Behavior.DIES, Behavior.ANSWERS) as setup:
        response = await setup.api.post(START)

    assert response.status_code == 502
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.json()["status"], response.json()["retryable"]) == (502, False)
    assert setup.received == [[f"POST {START}"], []]
    assert setup.fates == [("n1", RequestFate.LOST)]


async def test_request_whose_response_has_begun_is_not_repeated() -> None:
    async with load_balancer_before(Behavior.DIES_LATER, Behavior.ANSWERS) as setup:
        with pytest.raises(httpx.RemoteProtocolError):
            await setup.api.get(STATUS)

    assert setup.received == [[f"GET {STATUS}"], []]
    assert (setup.fates, setup.answered) == ([("n1", RequestFate.BROKEN_OFF)], [])
