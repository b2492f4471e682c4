"""The entries of a page, as JSON, up to a size.

Entries differ by a factor of ten thousand, so a page that is bounded in entries alone may be of any
size, and writing it would keep the event loop from everything else. It is written entry by entry
instead, with a turn for others now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ..fsm.strict_json import JsonObject, serialize
from .reply import JsonReply

LARGEST_PAGE: Final = 4 * 1024 * 1024  # bytes
ROOM_BESIDE: Final = 4096  # for what stands around the entries, the longest cursor too
TURN: Final = 256 * 1024  # bytes that are written before others have a turn: about a millisecond


class PageEntries:
    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._size = self._since_turn = 0

    def __len__(self) -> int:
        return len(self._written)

    async def add(self, view: JsonObject) -> bool:
        """Whether it fits; the first one always does."""
        entry = serialize(view)
        self._since_turn += len(entry)
        if self._since_turn >= TURN:
            self._since_turn = 0
            await asyncio.sleep(0)
        size = self._size + len(entry) + 1  # a comma
        if self._written and size > LARGEST_PAGE - ROOM_BESIDE:
            return False
        self._written.append(entry)
        self._size = size
        return True

    def reply(self, name: str, beside: JsonObject, headers: Mapping[str, str]) -> Response:
        """An object with the entries as its member `name`, and the members `beside`."""
        rest = serialize(beside)[1:-1]
        members = b"".join([b'"%b":[' % name.encode(), b",".join(self._written), b"]"])
        body = b"{%b,%b}" % (members, rest) if rest else b"{%b}" % members
        return JsonReply(body, HTTPStatus.OK, headers)
