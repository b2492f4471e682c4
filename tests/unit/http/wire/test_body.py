"""Bodies that are there as a whole; those that are received: tests/integration/http."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from saga_orchestrator.fsm.runtime.concurrency import WorkerThread
from saga_orchestrator.http.whole import EXTENSION
from saga_orchestrator.http.wire.body import MAX_BODY_BYTES, document, read_json_object
from saga_orchestrator.http.wire.errors import BodyTooLarge, NotJson
from saga_orchestrator.http.wire.request import Request
from starlette.responses import Response
from starlette.types import Message


@dataclass(slots=True)
class Arrived:
    """It can be taken at once, or received."""

    body: bytes
    received: int = 0

    def take_body(self, most: int) -> bytes | None:
        return self.body if len(self.body) <= most else None

    def answer(self, response: Response) -> bool:
        return False

    async def receive(self) -> Message:
        self.received += 1
        return {"type": "http.request", "body": self.body, "more_body": False}

    @property
    def request(self) -> Request:
        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "headers": headers, "extensions": {EXTENSION: self}}
        return Request(scope, self.receive)


async def test_what_is_there_is_not_received() -> None:
    arrived = Arrived(b'{"a":1}')

    assert await read_json_object(arrived.request) == {"a": 1}
    assert arrived.received == 0


async def test_what_is_there_and_too_large_is_too_large() -> None:
    arrived = Arrived(b'"' + b"x" * (MAX_BODY_BYTES - 1) + b'"')

    with pytest.raises(BodyTooLarge):
        await read_json_object(arrived.request)


@pytest.mark.parametrize(
    "read", [read_json_object, lambda request: document(request, WorkerThread())]
)
async def test_no_body_where_one_is_needed_is_said(
    read: Callable[[Request], Awaitable[object]],
) -> None:
    with pytest.raises(NotJson, match="there is no body; send "):
        await read(Arrived(b"").request)


async def test_nothing_is_there_and_comes() -> None:
    arrived = Arrived(b"")

    assert await read_json_object(arrived.request, may_be_empty=True) == {}
    assert arrived.received == 1
