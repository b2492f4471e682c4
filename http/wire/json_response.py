"""JSON responses: of one value, or of a page whose entries are written up to a size."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ...fsm.formats.strict_json import Json, JsonObject, serialize

JSON: Final = "application/json"
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
RESERVED_BYTES: Final = 4096  # for the members around the entries, the longest cursor included
YIELD_INTERVAL_BYTES: Final = 256 * 1024  # of JSON: writing them takes about a millisecond


def json_response(
    value: Json, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(serialize(value), status, headers, media_type=JSON)


class JsonPage:
    """The entries of a page as JSON, as many as fit into `MAX_PAGE_BYTES`.

    Entries differ in size by a factor of ten thousand, so a page that is bounded in entries alone
    could have any size, and writing it at once would block the event loop. It is written entry by
    entry, and other tasks run in between.
    """

    def __init__(self) -> None:
        self._entries: list[bytes] = []
        self._size = self._since_yield = 0

    def __len__(self) -> int:
        return len(self._entries)

    async def add(self, view: JsonObject) -> bool:
        """Append an entry. Return False if it does not fit; the first one always does."""
        entry = serialize(view)
        self._since_yield += len(entry)
        if self._since_yield >= YIELD_INTERVAL_BYTES:
            self._since_yield = 0
            await asyncio.sleep(0)
        size = self._size + len(entry) + 1  # a comma
        if self._entries and size > MAX_PAGE_BYTES - RESERVED_BYTES:
            return False
        self._entries.append(entry)
        self._size = size
        return True

    def to_response(self, name: str, beside: JsonObject, headers: Mapping[str, str]) -> Response:
        """Return an object with the entries as its member `name`, and the members `beside`."""
        rest = serialize(beside)[1:-1]
        members = b"".join([b'"%b":[' % name.encode(), b",".join(self._entries), b"]"])
        body = b"{%b,%b}" % (members, rest) if rest else b"{%b}" % members
        return Response(body, HTTPStatus.OK, headers, media_type=JSON)
