"""Who is told when an order rests: every customer at an address of their own, at one origin."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


class WebhookReceiver:
    """Hanging, it takes no callback and answers none; what came meanwhile must come again."""

    def __init__(self) -> None:
        self.delivered: dict[str, str] = {}  # the status of each saga, as it was told last
        self.received = asyncio.Event()  # another callback
        self.hangs = False
        self._connections: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        self._server.close()
        for line in self._connections:
            line.transport.abort()
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, line: asyncio.StreamWriter) -> None:
        self._connections.add(line)
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                await self._take(reader, line)
        self._connections.discard(line)
        line.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, line: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        told = json.loads(await reader.readexactly(length))
        if not self.hangs:
            self.delivered[told["saga_id"]] = told["status"]
            self.received.set()
            line.write(TAKEN)
            await line.drain()
