"""What stands before several nodes: each connection goes to one that lives, in turn.

Only a connection that could not be made is tried at another node; what was sent to a node that
died is lost, as it is behind any load balancer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

CHUNK = 65536


class Front:
    """`ports` are those of the nodes, on this machine."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ports = list(ports)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Its URL."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        node = await self._living()
        if node is not None:
            await asyncio.gather(_pass_on(reader, node[1]), _pass_on(node[0], writer))
        writer.close()

    async def _living(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        self.ports.append(self.ports.pop(0))
        for port in list(self.ports):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either end is gone, and then neither is left."""
    with suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
