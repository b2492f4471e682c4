"""A participant that accepts a call with 202 and calls back later; it also receives webhooks.

It runs in the process of the benchmark.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

import httptools

PROCESSING_SECONDS = 0.05
WEBHOOK_PATH = b"/webhook"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"

CallBack = Callable[[str, str], Awaitable[None]]  # gets the saga id and the token


class CallbackParticipant:
    """`webhooks` counts those received, and `pending` are the callbacks that are due."""

    def __init__(self, call_back: CallBack) -> None:
        self.call_back = call_back
        self.webhooks = 0
        self.pending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self, port: int) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            partial(_Connection, self), "127.0.0.1", port, backlog=1024
        )
        try:
            yield
        finally:
            server.close()

    def accept(self, saga_id: str, token: str) -> None:
        task = asyncio.create_task(self._settle(saga_id, token))
        self.pending.add(task)
        task.add_done_callback(self.pending.discard)

    async def _settle(self, saga_id: str, token: str) -> None:
        await asyncio.sleep(PROCESSING_SECONDS)
        await self.call_back(saga_id, token)


class _Connection(asyncio.Protocol):
    def __init__(self, participant: CallbackParticipant) -> None:
        self._participant = participant
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
        if self._target == WEBHOOK_PATH:
            self._participant.webhooks += 1
            self._transport.write(NO_CONTENT)
            return
        headers = self._headers
        self._participant.accept(headers[b"saga-id"], headers[b"saga-callback-token"])
        self._transport.write(ACCEPTED)
