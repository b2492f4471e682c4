"""The receiver of webhooks, which learns the status of each saga that rests."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


class WebhookReceiver:
    """While it hangs, it accepts no webhook and answers none, so each must be sent again."""

    def __init__(self) -> None:
        self.delivered: dict[str, str] = {}  # the latest status of each saga
        self.received = asyncio.Event()  # set with each webhook
        self.hangs = False
        self._connections: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        self._server.close()
        for connection in self._connections:
            connection.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                await self._receive(reader, writer)
        self._connections.discard(writer)
        writer.transport.abort()

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        view = json.loads(await reader.readexactly(length))
        if not self.hangs:
            self.delivered[view["saga_id"]] = view["status"]
            self.received.set()
            writer.write(NO_CONTENT)
            await writer.drain()
