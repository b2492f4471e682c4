"""Admission of requests, by the headers that name their host and their origin.

A browser runs pages of any site on machines that can reach this service. So a request that a page
of another site has made is refused, and so is a request under a name that is not ours: the owner of
a name can point it here after the page is loaded (DNS rebinding). A client that is no browser sends
neither `Origin` nor `Sec-Fetch-Site`, and reaches the service under its address or a name of it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Collection, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
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

AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(?::([0-9]{0,5}))?")
ORIGIN: Final = re.compile(r"(https?)://(.+)")
MAX_HEADER_LINES: Final = 100  # browsers send some twenty
MAX_HOST_BYTES: Final = 300  # a name has 253, a port five
HOST_CACHE_ENTRIES: Final = 64
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
HOST, ORIGIN_HEADER, TRANSFER_ENCODING = b"host", b"origin", b"transfer-encoding"
FETCH_SITE, FETCH_MODE = b"sec-fetch-site", b"sec-fetch-mode"
BROWSER_HEADERS: Final = frozenset({ORIGIN_HEADER, FETCH_SITE, FETCH_MODE})
FOREIGN_SITES: Final = (b"cross-site", b"same-site")


class Authority(NamedTuple):
    """A host in small letters and without the dot of the root, and its port if one was given."""

    host: str
    port: int | None


class AdmissionMiddleware:
    """ASGI middleware that refuses requests, and answers the CORS requests of browsers for pages
    that may call the service.

    The names of the service and the origins of such pages are `allowed_hosts` and `allowed_origins`
    in the state of the application, which is known once its lifespan has begun.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._admission: Admission | None = None
        self._cors: ASGIApp = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        admission = self._admission or self._begin(scope["state"])
        try:
            is_cross_origin = admission.check(scope)
        except RequestRefused as error:
            return _refuse(error, scope, receive, send)
        return (self._cors if is_cross_origin else self.app)(scope, receive, send)

    def _begin(self, state: Mapping[str, Any]) -> Admission:
        origins = state["allowed_origins"]
        # These pages may do all that clients can; a wrong method is refused by the router.
        self._cors = CORSMiddleware(
            self.app,
            allow_origins=frozenset(origins),
            allow_methods=("*",),
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=tuple(RESPONSE_HEADERS),
        )
        self._admission = Admission(state["allowed_hosts"], origins)
        return self._admission


async def _refuse(error: RequestRefused, scope: Scope, receive: Receive, send: Send) -> None:
    response = await problem_response(Request(scope), error)
    await response(scope, receive, send)


class Admission:
    """The rules by which requests are admitted.

    `hosts` are names of the service, `*.name` those of all hosts below it; `origins` are written as
    browsers do: in small letters, without the default port.
    """

    def __init__(self, hosts: Collection[str], origins: Collection[str]) -> None:
        self._names = frozenset(name.lower().rstrip(".") for name in ("localhost", *hosts))
        self._domains = tuple(name[1:] for name in self._names if name.startswith("*."))
        self._origins = frozenset(origin.encode() for origin in origins)
        self._authority_of = lru_cache(HOST_CACHE_ENTRIES)(self._check_host)

    def check(self, scope: Scope) -> bool:
        """True if a page of another origin, which is allowed to, has made the request.

        Raises HeadTooLarge, MalformedRequest, UnsupportedTransferCoding, ForeignHost,
        ForeignOrigin.
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
        """True if a page of another origin has made the request. Raises ForeignOrigin."""
        if scope["method"] == "GET" and head.get(FETCH_MODE) == b"navigate":
            return False  # a followed link: the user sees the response, and no page reads it
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
        """Return the host and port of a Host header. Raises MalformedRequest, ForeignHost."""
        authority = _parse_authority(host) if len(host) <= MAX_HOST_BYTES else None
        if authority is None:
            raise MalformedRequest("the Host header is not a host with perhaps a port")
        name = authority.host
        if not (name in self._names or name.endswith(self._domains) or _is_address(name)):
            raise ForeignHost(name)
        return authority


def _refuse_repeated(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raises MalformedRequest if a header that may be there once is repeated."""
    names = [name for name, _ in headers]
    for name in (HOST, TRANSFER_ENCODING, *BROWSER_HEADERS):
        if names.count(name) > 1:
            raise MalformedRequest(f"there is more than one {name.decode()} header")


def _is_same_origin(origin: bytes, authority: Authority) -> bool:
    """True if `origin` is that of `authority`.

    The scheme may be that of a proxy in front, so it only gives the port where there is none.
    """
    parts = ORIGIN.fullmatch(origin.decode("latin-1"))
    page = parts and _parse_authority(parts[2].encode("latin-1"))
    if not parts or not page:
        return False
    default = DEFAULT_PORTS[parts[1]]
    return (page.host, page.port or default) == (authority.host, authority.port or default)


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
