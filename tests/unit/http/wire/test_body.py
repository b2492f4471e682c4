"""Bodies as one message; those in several: tests/integration/http."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.runtime.concurrency import SharedTimeout, WorkerThread
from saga_orchestrator.http.wire.body import MAX_BODY_BYTES, read_document, read_json_object
from saga_orchestrator.http.wire.errors import BodyTooLarge, NotJson
from starlette.requests import Request
from starlette.types import Message


def request_with(body: bytes) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "headers": [(b"content-type", b"application/json")],
        "state": {"body_timeout": SharedTimeout(timedelta(seconds=30))},
    }
    return Request(scope, receive)


async def test_object_is_read() -> None:
    assert await read_json_object(request_with(b'{"a":1}')) == {"a": 1}


async def test_largest_body_is_read_and_a_larger_one_refused() -> None:
    largest = b'{"a":"%b"}' % (b"x" * (MAX_BODY_BYTES - 8))

    assert len(largest) == MAX_BODY_BYTES
    assert await read_json_object(request_with(largest))
    with pytest.raises(BodyTooLarge):
        await read_json_object(request_with(largest + b" "))


@pytest.mark.parametrize(
    "read", [read_json_object, lambda request: read_document(request, WorkerThread())]
)
async def test_missing_body_is_refused_with_what_to_send(
    read: Callable[[Request], Awaitable[object]],
) -> None:
    with pytest.raises(NotJson, match="there is no body; send "):
        await read(request_with(b""))


async def test_missing_body_is_an_empty_object_where_it_may_be_missing() -> None:
    assert await read_json_object(request_with(b""), may_be_empty=True) == {}
