"""A request as the bytes of one socket write.

Nothing a caller passes can end a line early or change the framing: names are tokens, values and
targets are printable ASCII, and the headers that say where a message ends are written here only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from ...fsm.definitions.reserved_headers import FRAMING_HEADERS

_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
# A dot segment, plain or encoded, would leave the base path.
_target = re.compile(r"(?![^?]*/(?:\.|%2[eE]){1,2}(?:[/?]|\Z))/[!-\"$-~]*").fullmatch
_sendable_line = re.compile(r"[\t -~]*\r\n").fullmatch
_NO_TARGET = "the path is not absolute, not percent-encoded, or has a dot segment"
_NOT_PRINTABLE = "a header value holds a character that is not printable ASCII"
_PRINTABLE = b"\t" + bytes(range(0x20, 0x7F))
_LINE_END = b"\r\n"

# A server may wait for the usual body of these methods, so its length is sent even if it is 0.
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def encode(
    method: str,
    target: str,
    authority: str,
    names: tuple[str, ...],
    values: Iterable[str],
    body: bytes | None,
) -> bytes:
    """Return the whole request, with `names` and `values` of its headers.

    Raises ValueError for a request that must not reach a socket.
    """
    if _target(target) is None:
        raise ValueError(_NO_TARGET)
    if body is None and method not in _WITH_BODY:
        form, line_ends = _head_template(method, authority, names, has_length=False)
        text = form % (target, *values)
    else:
        form, line_ends = _head_template(method, authority, names, has_length=True)
        text = form % (target, *values, len(body or b""))
    head = text.encode("ascii")
    # One check of the whole head: its only unprintable bytes may be the ends of our own lines.
    if head.translate(None, _PRINTABLE) != line_ends:
        raise ValueError(_NOT_PRINTABLE)
    return head + body if body else head


def encode_request_with_lines(method: str, target: str, lines: str, body: bytes | None) -> bytes:
    """Return the request with header `lines` that need no validation. Raises ValueError."""
    if _target(target) is None:
        raise ValueError(_NO_TARGET)
    start = f"{_check_method(method)} {target} HTTP/1.1\r\n{lines}"
    if body is None and method not in _WITH_BODY:
        return f"{start}\r\n".encode("ascii")
    body = body or b""
    return f"{start}content-length: {len(body)}\r\n\r\n".encode("ascii") + body


def encode_header_lines(headers: Iterable[tuple[str, str]]) -> str:
    """Return the lines for `encode_request_with_lines`. Raises ValueError."""
    lines = [f"{_check_field_name(name)}: {value}\r\n" for name, value in headers]
    if any(_sendable_line(line) is None for line in lines):
        raise ValueError(_NOT_PRINTABLE)
    return "".join(lines)


# Every call to a participant has the same names.
@lru_cache(maxsize=1024)
def _head_template(
    method: str, authority: str, names: tuple[str, ...], *, has_length: bool
) -> tuple[str, bytes]:
    """Return a head with gaps for its target and header values, and its line ends."""
    lines = [
        f"{_escape_percent(_check_method(method))} %s HTTP/1.1",
        f"host: {_escape_percent(authority)}",
    ]
    lines += [f"{_escape_percent(_check_field_name(name))}: %s" for name in names]
    if has_length:
        lines.append("content-length: %s")
    return "\r\n".join([*lines, "", ""]), _LINE_END * (len(lines) + 1)


def _escape_percent(text: str) -> str:
    return text.replace("%", "%%")


@lru_cache(maxsize=64)
def _check_method(method: str) -> str:
    if _token(method) is None:
        raise ValueError("the method is not a token")
    return method


def _check_field_name(name: str) -> str:
    if _token(name) is None:
        raise ValueError("a header name is not a token")
    if name.lower() in FRAMING_HEADERS:
        raise ValueError(f"the header {name} is set by the transport")
    return name
