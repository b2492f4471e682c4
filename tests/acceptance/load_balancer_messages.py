"""Requests and responses as a load balancer reads them, and which requests it may repeat."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httptools

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110, 9.2.2
# POSTs that are idempotent or change nothing, by the description of the interface.
IDEMPOTENT_POSTS = re.compile(
    r"/sagas/[^/]+/compensate"
    r"|/sagas/[^/]+/steps/[^/]+/(complete|fail)"
    r"|/definitions/verify"
    r"|/definitions/[^/]+/[^/]+/replay"
)
HOP_BY_HOP_HEADERS = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length"}
)
MAX_KEPT_BYTES = 64 * 1024  # of a response, to be parsed


class MalformedRequest(Exception):
    """The bytes are not a complete HTTP request."""


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request. Names of headers are in lower case."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.method} {self.target}"

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def may_be_repeated(self) -> bool:
        """True if a repetition does no harm, should the first node have carried the request out."""
        if self.method in {"GET", "HEAD"}:
            return True
        if self.header("if-match") is not None:
            return False  # the first request may have made the condition false
        return (
            self.method in IDEMPOTENT_METHODS
            or self.header("idempotency-key") is not None
            or IDEMPOTENT_POSTS.fullmatch(self.target.partition("?")[0]) is not None
        )

    def to_bytes(self) -> bytes:
        """Return the request with its whole body, and `connection: close`."""
        kept = [(name, value) for name, value in self.headers if name not in HOP_BY_HOP_HEADERS]
        length = [("content-length", str(len(self.body)))] if self._has_body else []
        lines = [f"{name}: {value}" for name, value in (*kept, *length, ("connection", "close"))]
        head = "\r\n".join([f"{self.method} {self.target} HTTP/1.1", *lines, "", ""])
        return head.encode("latin-1") + self.body

    @property
    def _has_body(self) -> bool:
        return bool(self.body) or self.method in {"POST", "PUT"}


class RequestReader:
    """Reads one request: `feed` returns it when it is complete, and ignores what follows."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._target, self._body = b"", b""
        self._headers: list[tuple[str, str]] = []
        self._request: Request | None = None

    def feed(self, data: bytes) -> Request | None:
        """Return the request once it is complete. Raises Unreadable."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise MalformedRequest(str(error)) from error
        return self._request

    # Callbacks of httptools, in this order.

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        if self._request is None:
            method, target = self._parser.get_method().decode(), self._target.decode("latin-1")
            self._request = Request(method, target, tuple(self._headers), self._body)


class ResponseReader:
    """Follows a response that is being forwarded: has it begun, is it complete, what is in it?"""

    def __init__(self, *, head_only: bool = False) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head_only, self._kept = head_only, b""
        self.began = self.is_whole = False
        self.status = 0

    def feed(self, data: bytes) -> None:
        self.began = True
        with suppress(httptools.HttpParserError):  # it never becomes complete then
            self._parser.feed_data(data)

    @property
    def json_object(self) -> dict[str, Any]:
        """The JSON object in the body, or an empty one."""
        with suppress(ValueError):
            value = json.loads(self._kept)
            return value if isinstance(value, dict) else {}
        return {}

    # Callbacks of httptools, in this order.

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.is_whole = self._head_only

    def on_body(self, part: bytes) -> None:
        self._kept += part[: MAX_KEPT_BYTES - len(self._kept)]

    def on_message_complete(self) -> None:
        self.is_whole = True
