"""A transport on which the head of a response leaves in one piece with the beginning of its body.

A server writes them one after the other, and event loops send each write at once. Joined, they take
one system call instead of two, and wake their client once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

END_OF_HEAD: Final = b"\r\n\r\n"


class JoiningTransport:
    """Keeps back a write that ends as a head does, until the next write or the next iteration of
    the event loop. All else passes to the transport below."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held = b""

    def write(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
        elif data.endswith(END_OF_HEAD):
            self._held = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.write(b"".join(parts))

    def write_eof(self) -> None:
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._held and not self._transport.is_closing():
            self._transport.write(self._held)
        self._held = b""
