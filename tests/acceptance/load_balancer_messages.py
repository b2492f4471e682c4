"""Requests and answers as a front reads them, and which requests it may send once more."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httptools

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110, 9.2.2
# POSTs of which the interface says that asking twice changes nothing, or that they change nothing.
IDEMPOTENT_POSTS = re.compile(
    r"/sagas/[^/]+/compensate"
    r"|/sagas/[^/]+/steps/[^/]+/(complete|fail)"
    r"|/definitions/verify"
    r"|/definitions/[^/]+/[^/]+/replay"
)
HOP_BY_HOP_HEADERS = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length"}
)
MAX_KEPT_BYTES = 64 * 1024  # bytes of an answer that are looked into


class MalformedRequest(Exception):
    """What came is no HTTP request, or not all of one."""


@dataclass(frozen=True, slots=True)
class Request:
    """Whole. Names of headers are in lower case."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.method} {self.target}"

    def header(self, name: str) -> str | None:
        return next((value for one, value in self.headers if one == name), None)

    @property
    def may_be_repeated(self) -> bool:
        """Though it may have been carried out, by a node that did not live to say so."""
        if self.method in {"GET", "HEAD"}:
            return True
        if self.header("if-match") is not None:
            return False  # it may have made its own condition untrue
        return (
            self.method in IDEMPOTENT_METHODS
            or self.header("idempotency-key") is not None
            or IDEMPOTENT_POSTS.fullmatch(self.target.partition("?")[0]) is not None
        )

    def to_bytes(self) -> bytes:
        """As it is sent on: whole, and alone on its connection."""
        kept = [(name, value) for name, value in self.headers if name not in HOP_BY_HOP_HEADERS]
        length = [("content-length", str(len(self.body)))] if self._has_body else []
        lines = [f"{name}: {value}" for name, value in (*kept, *length, ("connection", "close"))]
        head = "\r\n".join([f"{self.method} {self.target} HTTP/1.1", *lines, "", ""])
        return head.encode("latin-1") + self.body

    @property
    def _has_body(self) -> bool:
        return bool(self.body) or self.method in {"POST", "PUT"}


class RequestReader:
    """`feed` until it returns the request; what follows it on the connection is not read."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._target, self._body = b"", b""
        self._headers: list[tuple[str, str]] = []
        self._request: Request | None = None

    def feed(self, data: bytes) -> Request | None:
        """Raises Unreadable."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise MalformedRequest(str(error)) from error
        return self._request

    # What httptools calls, in this order.

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
    """Looks at an answer that passes by: has it begun, is it whole, and what does it tell?"""

    def __init__(self, *, head_only: bool = False) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head_only, self._kept = head_only, b""
        self.began = self.is_whole = False
        self.status = 0

    def feed(self, data: bytes) -> None:
        self.began = True
        with suppress(httptools.HttpParserError):  # then it never becomes whole
            self._parser.feed_data(data)

    @property
    def json_object(self) -> dict[str, Any]:
        """The JSON object that it is, or an empty one."""
        with suppress(ValueError):
            value = json.loads(self._kept)
            return value if isinstance(value, dict) else {}
        return {}

    # What httptools calls, in this order.

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.is_whole = self._head_only

    def on_body(self, part: bytes) -> None:
        self._kept += part[: MAX_KEPT_BYTES - len(self._kept)]

    def on_message_complete(self) -> None:
        self.is_whole = True
