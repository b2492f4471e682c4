"""Response bodies, decoded: decompressed, and from any charset to UTF-8.

Calls ask for neither (`Accept-Encoding: identity`), but a proxy in front of a participant may
compress all the same. The limit is for the decoded body, and decoding stops there: a few kilobytes
can decode to gigabytes. An unknown encoding is named in the error, because "not JSON" would
mislead.
"""

from __future__ import annotations

import codecs
import re
import zlib
from typing import Final

from msgspec.structs import replace

from ...fsm.call_outcome import Response

GZIP, ZLIB, DEFLATE = 31, 15, -15  # zlib's window bits, each for a format
FORMATS: Final = {"gzip": [GZIP], "x-gzip": [GZIP], "deflate": [ZLIB, DEFLATE]}
NO_CODING: Final = ("", "identity", "chunked")
MAX_CODINGS: Final = 3
MAX_GZIP_MEMBERS: Final = 100  # of one gzip file; each costs more than its size suggests
CHARSET: Final = re.compile(r""";\s*charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)
# Charsets of texts; Python has others, which are slow or no charsets.
CHARSETS: Final = re.compile(
    r"utf-(8|16|32)(-[bl]e)?|ascii|iso8859-\d+|cp\d+|koi8-[ru]|mac-\w+|tis-620"
    r"|shift_jis|euc_(jp|kr)|iso2022_jp|gb2312|gbk|gb18030|big5"
)
# Byte-order marks, the longer ones first; and how an ASCII character in two or four bytes begins.
BYTE_ORDER_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
WIDE_ASCII_STARTS: Final = (
    (re.compile(rb"\0\0\0[^\0]"), "utf-32-be"),
    (re.compile(rb"[^\0]\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0[^\0]"), "utf-16-be"),
    (re.compile(rb"[^\0]\0"), "utf-16-le"),
)


class _Undecodable(ValueError):
    """The body cannot be decoded; the message gives the reason."""


def needs_no_decoding(reply: Response) -> bool:
    """True if the body is certainly not encoded, as nearly every body: a quick check."""
    headers, beginning = reply.headers, reply.body[:4]
    return (
        "content-encoding" not in headers
        and headers.get("transfer-encoding", "chunked") == "chunked"
        and "charset" not in headers.get("content-type", "").lower()
        and beginning.isascii()  # so that it is no byte-order mark
        and 0 not in beginning
    )


def decoded(reply: Response, limit: int) -> Response:
    """Return `reply` with its body in UTF-8, `limit` bytes at most, or marked as unreadable."""
    if not reply.body:
        return reply
    try:
        body, cut = _decompress(reply, limit)
        body = _to_utf8(body, reply, cut or reply.too_large)
    except _Undecodable as error:
        return replace(reply, body=b"", unreadable=str(error))
    too_large = reply.too_large or cut or len(body) > limit
    return replace(reply, body=body[:limit], too_large=too_large)


def _decompress(reply: Response, limit: int) -> tuple[bytes, bool]:
    """Return the decompressed body, and whether it was cut at `limit`."""
    codings = [*_codings(reply, "content-encoding"), *_codings(reply, "transfer-encoding")]
    if len(codings) > MAX_CODINGS:
        raise _Undecodable(f"the reply is encoded {len(codings)} times over")
    body, cut = reply.body, reply.too_large
    for coding in reversed(codings):
        if coding not in FORMATS:
            raise _Undecodable(
                f"the reply is in the encoding {coding[:40]}, not in gzip, deflate or none"
            )
        body, cut = _decompress_coding(body, coding, limit, cut)
    return body, cut


def _codings(reply: Response, header: str) -> list[str]:
    """Return the codings in the order of their application."""
    codings = (coding.strip().lower() for coding in reply.headers.get(header, "").split(","))
    return [coding for coding in codings if coding not in NO_CODING]


def _decompress_coding(data: bytes, coding: str, limit: int, cut: bool) -> tuple[bytes, bool]:
    """Decompress one coding. With `cut`, `data` is only the beginning."""
    *others, last = FORMATS[coding]
    for window in others:
        try:
            return _inflate(data, window, limit, cut)
        except (zlib.error, _Undecodable):
            continue  # many servers send the bare format as "deflate"
    try:
        return _inflate(data, last, limit, cut)
    except zlib.error:
        raise _Undecodable(f"the reply is not valid {coding}") from None


def _inflate(data: bytes, window: int, limit: int, cut: bool) -> tuple[bytes, bool]:
    parts, size = list[bytes](), 0
    for _ in range(MAX_GZIP_MEMBERS):
        member = zlib.decompressobj(window)
        parts.append(member.decompress(data, limit + 1 - size))
        size += len(parts[-1])
        data = member.unused_data
        if size > limit or not member.eof or not data:
            break
    if size <= limit and not cut and (data or not member.eof):
        raise _Undecodable("the reply is compressed, and damaged or cut short")
    return b"".join(parts)[:limit], cut or size > limit


def _to_utf8(body: bytes, reply: Response, cut: bool) -> bytes:
    """Return the body in UTF-8. With `cut`, it may end within a character."""
    charset = _charset_from_bytes(body) or _charset_from_header(reply)
    if charset == "utf-8":
        return body
    try:
        reader = codecs.getincrementaldecoder(charset)()
        text = reader.decode(body, final=not cut)
    except ValueError:
        raise _Undecodable(f"the reply is not valid {charset}") from None
    return text.removeprefix("\ufeff").encode(errors="replace")


def _charset_from_bytes(body: bytes) -> str | None:
    for mark, charset in BYTE_ORDER_MARKS.items():
        if body.startswith(mark):
            return charset
    return next((charset for begin, charset in WIDE_ASCII_STARTS if begin.match(body)), None)


def _charset_from_header(reply: Response) -> str:
    declared = CHARSET.search(reply.headers.get("content-type", ""))
    if declared is None:
        return "utf-8"
    try:
        charset = codecs.lookup(declared[1]).name
    except (LookupError, ValueError):
        charset = ""
    if not CHARSETS.fullmatch(charset):
        raise _Undecodable(
            f"the reply is in the charset {declared[1][:40]}, which is not known here"
        )
    return "utf-8" if charset == "ascii" else charset
