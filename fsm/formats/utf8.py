"""Text in UTF-8, and where bytes are no such text."""

from __future__ import annotations


class NotUtf8(ValueError):
    """Bytes that are not UTF-8; the message says where."""


def read_utf8(data: bytes) -> str:
    """Raises NotUtf8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, byte = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise NotUtf8(f"it is not UTF-8 text (byte {byte} of line {line})") from None
