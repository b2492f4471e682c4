"""Requests without a body, as endpoints get them."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.types import Message

JSON: Final = {"Content-Type": "application/json"}


async def receive_disconnect() -> Message:
    return {"type": "http.disconnect"}


def asgi_request(*headers: tuple[bytes, bytes], path: str = "/") -> Request:
    scope = {"type": "http", "method": "GET", "path": path, "headers": list(headers)}
    return Request(scope, receive_disconnect)
