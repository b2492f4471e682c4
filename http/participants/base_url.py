"""Base URLs of participants, parsed once at start so that a call only joins two strings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import httpx

DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """The key by which connections are pooled: a tuple, because it is hashed for every call."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def from_url(cls, url: httpx.URL) -> Self:
        """Return the origin. Raises ValueError unless `url` is http or https and names a host."""
        if url.scheme not in DEFAULT_PORTS:
            raise ValueError(f"neither http nor https: {url.scheme or 'no scheme'!r}")
        if not url.host:
            raise ValueError("the URL names no host")
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        if not 1 <= port <= 65535:
            raise ValueError(f"no such port: {port}")
        return cls(url.scheme, url.raw_host.decode("ascii"), port)


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """A participant's origin, its Host header, and the path before the path of every call."""

    origin: Origin
    authority: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a URL. Raises ValueError for one that cannot be the base of others."""
        url = _parse_url(text)
        if url.userinfo:
            # A password would reach logs with the URL; secrets belong into the headers of calls.
            raise ValueError(f"the URL of {url.host} holds credentials")
        if b"?" in url.raw_path or url.fragment:
            raise ValueError(f"{text} has a query or a fragment")
        return cls(
            origin=Origin.from_url(url),
            authority=url.netloc.decode("ascii"),
            path=url.raw_path.decode("ascii").rstrip("/"),
        )

    def target(self, path: str) -> str:
        """Return the target of the request line. Raises ValueError if `path` is not absolute."""
        if not path.startswith("/"):
            raise ValueError("the path does not start with /")
        return self.path + path


def _parse_url(text: str) -> httpx.URL:
    try:
        return httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"not a URL: {error}") from error
