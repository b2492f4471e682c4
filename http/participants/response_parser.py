"""The bytes of one connection as responses; without socket and clock.

A response is complete when its framing says so, or at the end of the connection if it declared no
framing. Anything else is malformed or cut short, and then nothing is known about the call. Limits
hold for the head, the body, and the bytes on the wire (chunk extensions and trailers are neither
head nor body).

A participant sends the same head again and again: its date changes once a second, and its length
has few values. Parsed heads are cached, so that the next response which begins with the same bytes,
and has arrived complete, needs no parsing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import httptools
import httpx

from ...fsm.call_outcome import Response

# Interim responses count too, so that a flood of them ends.
MAX_HEAD_BYTES = 64 * 1024
# A body in chunks of one byte takes six bytes on the wire for each.
_WIRE_BYTES_PER_BODY_BYTE = 8
_END_OF_HEAD = b"\r\n\r\n"

# The status and the headers of a response, and the number of bytes of its body.
Head: TypeAlias = tuple[int, Mapping[str, str], int]


class ResponseHeadCache(dict[bytes, Head]):
    """Parsed heads by their bytes, for all connections to one origin.

    Only of responses that came in one piece, and after which their connection is used again.
    """

    MAX_ENTRIES, MAX_ENTRY_BYTES = 256, 1024

    def add(self, head: bytes, reply: Response) -> None:
        if len(head) > self.MAX_ENTRY_BYTES:
            return
        if len(self) == self.MAX_ENTRIES:
            self.clear()
        self[head] = (reply.status, reply.headers, len(reply.body))


class ResponseParser:
    """A parser of one response after another: `begin`, then `feed` until it returns a response, or
    `finish`."""

    __slots__ = (
        "_head_cache",
        "_head_only",
        "_head_read",
        "_headers",
        "_max_body",
        "_max_wire",
        "_parser",
        "_parts",
        "_reply",
        "_size",
        "_status",
        "_wire",
        "keep_alive",
    )

    def __init__(self, max_body: int, known_heads: ResponseHeadCache) -> None:
        """`known_heads` is shared only by parsers with the same `max_body`."""
        self._max_body, self._head_cache = max_body, known_heads
        self._max_wire = MAX_HEAD_BYTES + max_body * _WIRE_BYTES_PER_BODY_BYTE
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self.begin(head_only=False)
        self.on_message_begin()

    def begin(self, *, head_only: bool) -> None:
        """Expect the response to a new request; `head_only` if its method was HEAD."""
        self._reply: Response | None = None
        self._head_only = head_only
        self._head_read = False
        self._wire = 0
        self.keep_alive = False  # whether another request may follow on this connection

    def feed(self, data: bytes) -> Response | None:
        """Return the response once it is complete. Raises httpx.RemoteProtocolError."""
        if self._wire or self._head_only:
            return self._parse(data)
        end = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        if (head := self._head_cache.get(data[:end])) is not None:
            status, headers, body_bytes = head
            if len(data) == end + body_bytes:
                self.keep_alive = True
                return Response(status, headers, data[end:])
        reply = self._parse(data)
        # If all other bytes are the body, its framing is the length in the head.
        if reply is not None and self.keep_alive and reply.body == data[end:]:
            self._head_cache.add(data[:end], reply)
        return reply

    def _parse(self, data: bytes) -> Response | None:
        self._wire += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.keep_alive = False
            if self._reply is None:
                raise httpx.RemoteProtocolError(f"malformed reply: {error}") from error
        if self._reply is None:
            self._enforce_limits()
        return self._reply

    def finish(self) -> Response:
        """Return the response that ends with the connection. Raises RemoteProtocolError."""
        if not self._head_read:
            raise httpx.RemoteProtocolError("the connection was closed before a reply")
        if not self._lasts_until_close():
            raise httpx.RemoteProtocolError("the connection was closed in the middle of a reply")
        return self._build_response()

    def _enforce_limits(self) -> None:
        if not self._head_read and self._wire > MAX_HEAD_BYTES:
            raise httpx.RemoteProtocolError("the head of the reply is too large")
        if self._size > self._max_body or self._wire > self._max_wire:
            self._reply = Response(self._status, self._headers, self._body(), too_large=True)

    def _lasts_until_close(self) -> bool:
        coding = self._headers.get("transfer-encoding", "").lower()
        return "content-length" not in self._headers and not coding.endswith("chunked")

    def _build_response(self) -> Response:
        return Response(self._status, self._headers, self._body(), self._size > self._max_body)

    def _body(self) -> bytes:
        return b"".join(self._parts)[: self._max_body]

    # Called by httptools, in this order.

    def on_message_begin(self) -> None:
        if self._reply is not None:
            self.keep_alive = False  # unrequested bytes after the response
        self._headers: dict[str, str] = {}
        self._parts = []
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_read:
            return  # a trailer must not be taken for a header
        key, text = name.lower().decode("latin-1"), value.decode("latin-1")
        earlier = self._headers.get(key)
        self._headers[key] = text if earlier is None else f"{earlier}, {text}"

    def on_headers_complete(self) -> None:
        self._status: int = self._parser.get_status_code()
        self._head_read = self._status >= 200
        if self._head_only and self._head_read and self._reply is None:
            # The parser now waits for a body that never comes, so the connection ends here.
            self._reply = self._build_response()

    def on_body(self, data: bytes) -> None:
        if self._size <= self._max_body:
            self._size += len(data)
            self._parts.append(data)

    def on_message_complete(self) -> None:
        if self._head_read and self._reply is None:
            self._reply = self._build_response()
            self.keep_alive = self._parser.should_keep_alive() and not self._reply.too_large
