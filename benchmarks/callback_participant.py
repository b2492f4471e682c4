"""A participant that takes its time: it accepts an order with 202, and calls back a moment later.

It is also whom sagas tell that they rest. It lives in the process of the benchmark.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

import httptools

TAKES_SECONDS = 0.05
TOLD = b"/told"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
NOTED = b"HTTP/1.1 204 No Content\r\n\r\n"

CallBack = Callable[[str, str], Awaitable[None]]  # of which saga, and with which token


class Clerk:
    """`told` counts the sagas that said that they rest, and `waits` are for its callbacks."""

    def __init__(self, call_back: CallBack) -> None:
        self.call_back = call_back
        self.told = 0
        self.waits: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self, port: int) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            partial(_Conversation, self), "127.0.0.1", port, backlog=1024
        )
        try:
            yield
        finally:
            server.close()

    def accept(self, saga_id: str, token: str) -> None:
        task = asyncio.create_task(self._settle(saga_id, token))
        self.waits.add(task)
        task.add_done_callback(self.waits.discard)

    async def _settle(self, saga_id: str, token: str) -> None:
        await asyncio.sleep(TAKES_SECONDS)
        await self.call_back(saga_id, token)


class _Conversation(asyncio.Protocol):
    def __init__(self, clerk: Clerk) -> None:
        self._clerk = clerk
        self._parser = httptools.HttpRequestParser(self)
        self._target, self._headers = b"", dict[bytes, str]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._target, self._headers = b"", {}

    def on_url(self, target: bytes) -> None:
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value.decode()

    def on_message_complete(self) -> None:
        if self._target == TOLD:
            self._clerk.told += 1
            self._transport.write(NOTED)
            return
        headers = self._headers
        self._clerk.accept(headers[b"saga-id"], headers[b"saga-callback-token"])
        self._transport.write(ACCEPTED)
