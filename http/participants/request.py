"""A request as the bytes of one socket write.

Nothing a caller passes can end a line early or change the framing: names are tokens, values and
targets are printable ASCII, and the headers that say where a message ends are written here only.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
# A dot segment, plain or encoded, would leave the base path.
_target = re.compile(r"(?![^?]*/(?:\.|%2[eE]){1,2}(?:[/?]|\Z))/[!-\"$-~]*").fullmatch
_PRINTABLE = b"\t" + bytes(range(0x20, 0x7F))
_LINE_END = b"\r\n"

FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# A server may wait for a body that these methods usually have, so "none" is said aloud.
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def encode(
    method: str,
    target: str,
    authority: str,
    headers: Collection[tuple[str, str]],
    body: bytes | None,
) -> bytes:
    """The whole request. Raises ValueError for what must not reach a socket."""
    if _target(target) is None:
        raise ValueError("the path is not absolute, not percent-encoded, or has a dot segment")
    fields = "".join([f"{_field_name(name)}: {value}\r\n" for name, value in headers])
    length = _length(method, body)
    text = f"{_method(method)} {target} HTTP/1.1\r\nhost: {authority}\r\n{fields}{length}\r\n"
    head = text.encode("ascii")
    # One look at all of it: what is not printable may be nothing but the ends of our own lines.
    if head.translate(None, _PRINTABLE) != _LINE_END * (len(headers) + (4 if length else 3)):
        raise ValueError("a header value holds a character that is not printable ASCII")
    return head + body if body else head


def _length(method: str, body: bytes | None) -> str:
    if body is None and method not in _WITH_BODY:
        return ""
    return f"content-length: {len(body or b'')}\r\n"


@lru_cache(maxsize=64)
def _method(method: str) -> str:
    if _token(method) is None:
        raise ValueError("the method is not a token")
    return method


# The same dozen names come with every call.
@lru_cache(maxsize=1024)
def _field_name(name: str) -> str:
    if _token(name) is None:
        raise ValueError("a header name is not a token")
    if name.lower() in FRAMING:
        raise ValueError(f"the header {name} is the transport's to set")
    return name
