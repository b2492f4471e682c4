"""A piece of network, as between a node and the database: bytes both ways, until it fails."""

from __future__ import annotations

import asyncio
from contextlib import suppress

CHUNK = 65536


class Wire:
    """Silent, it holds back what is sent, and whatever ends; later everything arrives. Cut, it
    resets the connections there are. Refusing, it takes no new ones. Left half open, the
    connections there are carry nothing any more, and the database keeps their sessions."""

    def __init__(self, port: int) -> None:
        """`port` is that of the far end."""
        self.port = port
        self.refuses = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self._apart: set[asyncio.StreamWriter] = set()

    async def lay(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """The port of the near end."""
        self._server = await asyncio.start_server(self._connected, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    def silence(self) -> None:
        self._flows.clear()

    def resound(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()

    def leave_half_open(self, *, reset: bool) -> None:
        """`reset`: the node is told."""
        for node, database in self._pairs:
            self._apart |= {node, database}
            if reset:
                node.transport.abort()

    async def close(self) -> None:
        self._server.close()
        self.resound()
        self.cut()
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, node: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        with suppress(OSError):
            if not self.refuses:
                await self._joined(reader, node)
        node.transport.abort()

    async def _joined(self, reader: asyncio.StreamReader, node: asyncio.StreamWriter) -> None:
        answers, database = await asyncio.open_connection("127.0.0.1", self.port)
        ends = {node, database}
        self._ends |= ends
        self._pairs.append((node, database))
        try:
            await asyncio.gather(self._carry(reader, database), self._carry(answers, node))
        finally:
            self._ends -= ends
            self._apart -= ends
            self._pairs.remove((node, database))
            database.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                if writer not in self._apart:
                    writer.write(data)
                    await writer.drain()
        await self._flows.wait()
        if writer not in self._apart:
            writer.close()
