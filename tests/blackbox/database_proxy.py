"""A TCP proxy before the database, so that the database can go away and come back."""

from __future__ import annotations

import asyncio
from contextlib import suppress

CHUNK_BYTES = 65536
HOST = "127.0.0.1"


class DatabaseProxy:
    """Forwards connections to `host` and `port`. `port` of the proxy is known once it is up."""

    def __init__(self, host: str, port: int) -> None:
        self.target, self.port = (host, port), 0
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    async def up(self) -> None:
        """Accept connections and let bytes through."""
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._relay, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def down(self) -> None:
        """Reset the connections there are, and refuse new ones."""
        if self._server:
            self._server.close()
        self._server = None
        for writer in self._writers:
            writer.transport.abort()

    def freeze(self) -> None:
        """Stay connected and let nothing through."""
        self._flowing.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            server_reader, server_writer = await asyncio.open_connection(*self.target)
            writers = {writer, server_writer}
            self._writers |= writers
            await asyncio.gather(
                self._pump(reader, server_writer), self._pump(server_reader, writer)
            )
            self._writers -= writers

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(CHUNK_BYTES):
                await self._flowing.wait()
                writer.write(chunk)
                await writer.drain()
        writer.close()
