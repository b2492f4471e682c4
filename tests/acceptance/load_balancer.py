"""A load balancer before several nodes.

    client ──> load balancer ──> one of the nodes whose /readyz is 200, in turn
                     └─────────> another node, if the first cannot be connected to
                     └─────────> another node, if the first dies before a byte of its response, and
                                 the request may be repeated by the rules of HTTP and the interface

Any other request whose node dies gets a 502: it may or may not have been carried out. A request has
a connection of its own on either side, so that none is stale.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from saga_orchestrator.tests.acceptance.load_balancer_messages import (
    MalformedRequest,
    Request,
    RequestReader,
    ResponseReader,
)

CHUNK = 65536
HOST = "127.0.0.1"
CHECK_INTERVAL = timedelta(milliseconds=100)
CHECK_TIMEOUT = timedelta(seconds=1)  # twice the limit of /readyz
READY_TIMEOUT = timedelta(seconds=10)  # for a request while no node is ready
MAX_ATTEMPTS = 5  # of one request
READINESS_REQUEST = Request("GET", "/readyz", (("host", HOST),))
PROBLEM_RESPONSE = """\
HTTP/1.1 {status}\r
content-type: application/problem+json\r
content-length: {length}\r
connection: close\r
\r
{body}"""

OnResponse = Callable[[Request, ResponseReader], None]


class RequestFate(StrEnum):
    """What became of a request whose node died."""

    REPEATED = "was repeated at another node"
    LOST = "had no answer and may not be repeated"
    BROKEN_OFF = "was cut off within its answer"


@dataclass(frozen=True, slots=True)
class Interruption:
    """A request whose node died."""

    request: Request
    node: str
    fate: RequestFate

    def __str__(self) -> str:
        return f"{self.request} at {self.node} {self.fate}"


@dataclass(slots=True, eq=False)
class Node:
    name: str
    port: int
    is_ready: bool = False


class LoadBalancer:
    """`hear` is called with every complete response; `cuts` are the requests whose node died."""

    def __init__(self, nodes: Sequence[Node], hear: OnResponse = lambda *_: None) -> None:
        self.nodes, self.on_response = list(nodes), hear
        self.interruptions: list[Interruption] = []
        self.checked = asyncio.Condition()  # notified after each readiness check

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve while the block runs; yield the URL."""
        server = await asyncio.start_server(self._serve, HOST, 0)
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(self._check_readiness(node)) for node in self.nodes]
            try:
                yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
            finally:
                server.close()
                for task in watching:
                    task.cancel()

    async def _check_readiness(self, node: Node) -> None:
        while True:
            node.is_ready = await is_ready(node.port)
            async with self.checked:
                self.checked.notify_all()
            await asyncio.sleep(CHECK_INTERVAL.total_seconds())

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            if (request := await _read_request(reader)) is not None:
                async with asyncio.TaskGroup() as group:
                    answering = group.create_task(self._answer(request, client))
                    hanging_up = group.create_task(reader.read(1))
                    # Whichever ends first ends the other: the response, or the client.
                    hanging_up.add_done_callback(lambda _: answering.cancel())
                    answering.add_done_callback(lambda _: hanging_up.cancel())
        except* OSError:
            pass  # the client has gone
        finally:
            client.close()

    async def _answer(self, request: Request, client: asyncio.StreamWriter) -> None:
        for _ in range(MAX_ATTEMPTS):
            if (node := await self._next_node()) is None:
                break
            answer = await _forward(node, request, client)
            if answer is None:
                node.is_ready = False
            elif answer.is_whole:
                return self.on_response(request, answer)
            elif (
                cut_fate := self._record_interruption(node, request, answer)
            ) is not RequestFate.REPEATED:
                if cut_fate is RequestFate.LOST:
                    client.write(
                        problem_response(
                            502, "the node died; the request may have been carried out"
                        )
                    )
                return None
        return client.write(problem_response(503, "no node is ready"))

    def _record_interruption(
        self, node: Node, request: Request, answer: ResponseReader
    ) -> RequestFate:
        node.is_ready = False
        self.interruptions.append(cut := Interruption(request, node.name, fate_of(request, answer)))
        return cut.fate

    async def _next_node(self) -> Node | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_TIMEOUT.total_seconds()), self.checked:
                await self.checked.wait_for(lambda: any(node.is_ready for node in self.nodes))
                node = next(each for each in self.nodes if each.is_ready)
                self.nodes.remove(node)
                self.nodes.append(node)
                return node
        return None


def fate_of(request: Request, answer: ResponseReader) -> RequestFate:
    """Return what becomes of a request whose response is incomplete."""
    if answer.began:
        return RequestFate.BROKEN_OFF
    return RequestFate.REPEATED if request.may_be_repeated else RequestFate.LOST


async def is_ready(port: int) -> bool:
    """True if `/readyz` is 200 in time."""
    answer = ResponseReader()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(CHECK_TIMEOUT.total_seconds()):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(READINESS_REQUEST.to_bytes())
                while chunk := await reader.read(CHUNK):
                    answer.feed(chunk)
            finally:
                writer.close()
    return answer.is_whole and answer.status == 200


def problem_response(status: int, detail: str) -> bytes:
    """Return a problem (RFC 9457) of the load balancer itself."""
    title = {502: "Bad Gateway", 503: "Service Unavailable"}[status]
    body = (
        f'{{"type": "about:blank", "title": "{title}", "status": {status}, "detail": "{detail}",'
        f' "instance": "/", "code": "load-balancer", "retryable": {str(status == 503).lower()}}}'
    )
    return PROBLEM_RESPONSE.format(status=f"{status} {title}", length=len(body), body=body).encode()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    """Return the request, or None if the client does not send all of it."""
    reading = RequestReader()
    with suppress(MalformedRequest):
        while chunk := await reader.read(CHUNK):
            if (request := reading.feed(chunk)) is not None:
                return request
    return None


async def _forward(
    node: Node, request: Request, client: asyncio.StreamWriter
) -> ResponseReader | None:
    """Forward a request; return the response, complete or not, or None if the node cannot be
    connected to. Raises OSError if the client has gone."""
    try:
        reader, writer = await asyncio.open_connection(HOST, node.port)
    except OSError:
        return None
    answer = ResponseReader(head_only=request.method == "HEAD")
    try:
        writer.write(request.to_bytes())
        while not answer.is_whole and (chunk := await _read_chunk(reader)):
            answer.feed(chunk)
            client.write(chunk)
            await client.drain()
    finally:
        writer.close()
    return answer


async def _read_chunk(node: asyncio.StreamReader) -> bytes:
    """Read from a node; return no bytes once it has died."""
    with suppress(OSError):
        return await node.read(CHUNK)
    return b""
