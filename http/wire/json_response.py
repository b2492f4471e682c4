"""JSON responses, written at once or entry by entry up to a size."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ...fsm.formats.strict_json import Json, JsonObject, serialize

JSON: Final = "application/json"
CONTENT_TYPE: Final = (b"content-type", JSON.encode())
NO_HEADERS: Final[Mapping[str, str]] = {}


class JsonBytesResponse(Response):
    """As Starlette makes it, which asks for all that a response may be."""

    media_type = JSON

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self.body, self.status_code, self.background = body, status, None
        self.raw_headers = [
            *[(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            (b"content-length", b"%d" % len(body)),
            CONTENT_TYPE,
        ]


def json_response(
    value: Json, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    return JsonBytesResponse(serialize(value), status, headers or NO_HEADERS)


MAX_PAGE_BYTES: Final = 4 * 1024 * 1024  # bytes
RESERVED_BYTES: Final = 4096  # for what stands around the entries, the longest cursor too
YIELD_INTERVAL_BYTES: Final = (
    256 * 1024
)  # bytes that are written before others have a turn: about a millisecond


class JsonPage:
    def __init__(self) -> None:
        self._entries: list[bytes] = []
        self._size = self._since_turn = 0

    def __len__(self) -> int:
        return len(self._entries)

    async def add(self, view: JsonObject) -> bool:
        """Whether it fits; the first one always does."""
        entry = serialize(view)
        self._since_turn += len(entry)
        if self._since_turn >= YIELD_INTERVAL_BYTES:
            self._since_turn = 0
            await asyncio.sleep(0)
        size = self._size + len(entry) + 1  # a comma
        if self._entries and size > MAX_PAGE_BYTES - RESERVED_BYTES:
            return False
        self._entries.append(entry)
        self._size = size
        return True

    def to_response(self, name: str, beside: JsonObject, headers: Mapping[str, str]) -> Response:
        """An object with the entries as its member `name`, and the members `beside`."""
        rest = serialize(beside)[1:-1]
        members = b"".join([b'"%b":[' % name.encode(), b",".join(self._entries), b"]"])
        body = b"{%b,%b}" % (members, rest) if rest else b"{%b}" % members
        return JsonBytesResponse(body, HTTPStatus.OK, headers)
