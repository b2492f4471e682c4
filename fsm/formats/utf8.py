"""Decode UTF-8, with an error that names the place of the first wrong byte."""

from __future__ import annotations


class NotUtf8(ValueError):
    """Bytes that are not UTF-8; the message names the line and the byte."""


def read_utf8(data: bytes) -> str:
    """Decode `data`. Raises NotUtf8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, byte = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise NotUtf8(f"it is not UTF-8 text (byte {byte} of line {line})") from None
