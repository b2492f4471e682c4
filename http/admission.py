"""Which requests are let in, by what their heads say of where they come from.

A browser runs pages of anybody on machines that can reach this service, so a request that a page of
another site has made is refused, and so is one under a name that is not ours: whoever owns a name
can point it here once the page is loaded (DNS rebinding). A client that is no browser sends neither
`Origin` nor `Sec-Fetch-Site`, and reaches the service under an address or a name of it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Collection, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, NamedTuple

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from .openapi import RESPONSE_HEADERS
from .wire.errors import (
    ForeignHost,
    ForeignOrigin,
    HeadTooLarge,
    MalformedRequest,
    RequestRefused,
    UnsupportedTransferCoding,
)
from .wire.problems import problem_response
from .wire.request import Request

AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(?::([0-9]{0,5}))?")
ORIGIN: Final = re.compile(r"(https?)://(.+)")
MAX_HEADER_LINES: Final = 100  # lines; browsers send some twenty
MAX_HOST_BYTES: Final = 300  # bytes: a name has 253, a port five
HOST_CACHE_ENTRIES: Final = 64
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
HOST, ORIGIN_HEADER, TRANSFER_ENCODING = b"host", b"origin", b"transfer-encoding"
FETCH_SITE, FETCH_MODE = b"sec-fetch-site", b"sec-fetch-mode"
BROWSER_HEADERS: Final = frozenset({ORIGIN_HEADER, FETCH_SITE, FETCH_MODE})
FOREIGN_SITES: Final = (b"cross-site", b"same-site")


class Authority(NamedTuple):
    """`host` in small letters and without the dot of the root; `port` None if it was not given."""

    host: str
    port: int | None


class AdmissionMiddleware:
    """ASGI middleware that answers what is refused, and browsers' questions about pages that are
    allowed to call (CORS)."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], origins: Collection[str]) -> None:
        """`hosts` are names of this service, `*.name` those of all hosts below it; `origins` are
        written as browsers do: without the default port, in small letters."""
        self.app = app
        self._names = frozenset(one.lower().rstrip(".") for one in ("localhost", *hosts))
        self._domains = tuple(one[1:] for one in self._names if one.startswith("*."))
        self._origins = frozenset(one.encode() for one in origins)
        # Such pages are trusted with all that clients can ask; a wrong method is told by the route.
        self._cors = CORSMiddleware(
            app,
            allow_origins=frozenset(origins),
            allow_methods=("*",),
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=tuple(RESPONSE_HEADERS),
        )
        self._authority_of = lru_cache(HOST_CACHE_ENTRIES)(self._check_host)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        try:
            is_of_page = self._admit(scope)
        except RequestRefused as error:
            return problem_response(Request(scope, receive), error)(scope, receive, send)
        if is_of_page:
            # Headers are added to what is sent as ASGI says, and to nothing that passes it by.
            return self._cors({**scope, "extensions": {}}, receive, send)
        return self.app(scope, receive, send)

    def _admit(self, scope: Scope) -> bool:
        """Whether a page of another origin, one that is allowed to, has made the request.

        Raises HeadTooLarge, MalformedRequest, UnknownCoding, ForeignHost, ForeignOrigin.
        """
        headers = scope["headers"]
        head: dict[bytes, bytes] = dict(headers)
        if len(head) < len(headers):
            _refuse_repeated(headers)
        if len(headers) > MAX_HEADER_LINES:
            raise HeadTooLarge(f"{MAX_HEADER_LINES} header lines")
        if TRANSFER_ENCODING in head and head[TRANSFER_ENCODING].lower() != b"chunked":
            raise UnsupportedTransferCoding
        host = head.get(HOST)
        if host is None and scope["http_version"] != "1.0":
            raise MalformedRequest("there is no Host header")
        authority = None if host is None else self._authority_of(host)
        if BROWSER_HEADERS.isdisjoint(head):
            return False
        return self._is_cross_origin(scope, head, authority)

    def _is_cross_origin(
        self, scope: Scope, head: dict[bytes, bytes], authority: Authority | None
    ) -> bool:
        """Raises ForeignOrigin."""
        if scope["method"] == "GET" and head.get(FETCH_MODE) == b"navigate":
            return False  # a link that is followed shows its answer to a person and to no page
        origin = head.get(ORIGIN_HEADER)
        if origin is None:
            if head.get(FETCH_SITE) in FOREIGN_SITES:
                raise ForeignOrigin(None)
            return False
        if origin in self._origins:
            return True
        if authority is None or not _is_same_origin(origin, authority):
            raise ForeignOrigin(origin.decode("latin-1"))
        return False

    def _check_host(self, host: bytes) -> Authority:
        """Raises MalformedRequest, ForeignHost."""
        authority = _parse_authority(host) if len(host) <= MAX_HOST_BYTES else None
        if authority is None:
            raise MalformedRequest("the Host header is not a host with perhaps a port")
        name = authority.host
        if not (name in self._names or name.endswith(self._domains) or _is_address(name)):
            raise ForeignHost(name)
        return authority


def _refuse_repeated(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raises MalformedRequest for what may be there once. Others may be a list in several lines."""
    names = [name for name, _ in headers]
    for name in (HOST, TRANSFER_ENCODING, *BROWSER_HEADERS):
        if names.count(name) > 1:
            raise MalformedRequest(f"there is more than one {name.decode()} header")


def _is_same_origin(origin: bytes, authority: Authority) -> bool:
    """Whether pages of `origin` come from `authority`. The scheme may be that of a proxy before
    us, so it only says which port is meant where none is given."""
    parts = ORIGIN.fullmatch(origin.decode("latin-1"))
    page = parts and _parse_authority(parts[2].encode("latin-1"))
    if not parts or not page:
        return False
    usual = DEFAULT_PORTS[parts[1]]
    return (page.host, page.port or usual) == (authority.host, authority.port or usual)


def _parse_authority(authority: bytes) -> Authority | None:
    parts = AUTHORITY.fullmatch(authority.decode("latin-1"))
    if not parts:
        return None
    return Authority(parts[1].lower().removesuffix("."), int(parts[2]) if parts[2] else None)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
