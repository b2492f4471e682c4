"""The version of a saga as an entity tag (RFC 9110, section 8.8.3) and conditions on it."""

from __future__ import annotations

import re
from typing import Final

from .errors import InvalidIfMatch
from .request import Request

LONGEST_HEADER: Final = 1000  # characters
TAG: Final = re.compile(r'(W/)?"([^"]*)"')
TAGS: Final = re.compile(rf"{TAG.pattern}(?:[ \t]*,[ \t]*{TAG.pattern})*")


def etag(version: int) -> str:
    return f'"{version}"'


def is_known(request: Request, version: int) -> bool:
    """Whether If-None-Match says that the client has this version."""
    given = _header(request, b"if-none-match")
    return given == "*" or any(tag[2] == str(version) for tag in TAG.finditer(given))


def demands_version(request: Request) -> bool:
    """Whether If-Match is more than a demand that the saga exists. Raises InvalidIfMatch.

    A weak tag is refused too: it matches no version, and a client that sends one means the other.
    """
    given = _header(request, b"if-match")
    if given in ("", "*"):
        return False
    if not TAGS.fullmatch(given) or all(tag[1] for tag in TAG.finditer(given)):
        raise InvalidIfMatch(given)
    return True


def is_expected(request: Request, version: int) -> bool:
    """Whether If-Match allows to act on this version; without the header all are allowed."""
    if not demands_version(request):
        return True
    given = _header(request, b"if-match")
    return any(tag[2] == str(version) and not tag[1] for tag in TAG.finditer(given))


def _header(request: Request, name: bytes) -> str:
    return ",".join(request.headers(name))[:LONGEST_HEADER].strip()
