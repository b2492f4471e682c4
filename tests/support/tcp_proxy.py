"""A TCP proxy whose connections fail on demand: they break, fall silent, lose exactly one message
to the database, or are left half open.

    client ──> 127.0.0.1:port ──> proxy ──> a port, or the socket file of a PostgreSQL server

It runs in a thread with an event loop of its own, so that blocking tests and asyncio tests use it
alike: no method waits for the network.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from saga_orchestrator.tests.support.waiting import wait_for_event

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER
CHUNK_BYTES = 1 << 20
SYNC = b"S\x00\x00\x00\x04"  # the end of a statement; the server commits when it arrives

Result = TypeVar("Result")


class LostPart(StrEnum):
    """The part of an append that is lost, and the connection with it."""

    REQUEST = "request"  # never reaches the database
    ANSWER = "answer"  # is committed, but the reply is lost
    END = "end"  # is executed and never committed: the server waits for its last bytes


class HalfOpen(StrEnum):
    """How the client side of a half-open connection looks; the server keeps its session."""

    RESET = "reset"
    SILENT = "silent"


@dataclass(slots=True)
class MessageLoss:
    """The loss of the next append that records an event of `event_type`."""

    part: LostPart
    event_type: bytes
    seen: bool = False
    happened: threading.Event = field(default_factory=threading.Event)

    def await_loss(self) -> None:
        wait_for_event(self.happened, f"the {self.part} of an append is lost")

    def takes_request(self, data: bytes) -> bool:
        self.seen = self.seen or (b"eventstore" not in data and self.event_type in data)
        return self._takes(self.seen and self.part is LostPart.REQUEST)

    def takes_end(self, data: bytes) -> bool:
        return self._takes(self.event_type in data and self.part is LostPart.END)

    def takes_answer(self, data: bytes) -> bool:
        return self._takes(self.seen and b"INSERT 0 " in data)

    def _takes(self, fits: bool) -> bool:
        """True the first time that a message fits."""
        takes = fits and not self.happened.is_set()
        if takes:
            self.happened.set()
        return takes


@dataclass(frozen=True, slots=True, eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    @property
    def ends(self) -> set[asyncio.StreamWriter]:
        return {self.client, self.server}


class TcpProxy:
    """`target` is the port of a server on this machine, or the socket file of one."""

    def __init__(self, target: int | str, host: str = "127.0.0.1", port: int = 0) -> None:
        self.target = target
        self.refuses = False  # new connections are reset
        self.statements = 0  # that were sent to the database
        self.accepted = 0  # connections that came about
        self._listener = socket.create_server((host, port), backlog=128)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._losses: list[MessageLoss] = []
        self._connections: list[_Connection] = []
        self._severed: set[asyncio.StreamWriter] = set()  # ends of half-open connections

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @contextmanager
    def running(self) -> Iterator[TcpProxy]:
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        listening = asyncio.start_server(self._accept, sock=self._listener)
        server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._close(server), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Reset every connection, and refuse new ones while the block runs."""
        self.refuses = True
        self.reset()
        try:
            yield
        finally:
            self.refuses = False

    def reset(self) -> None:
        """Reset every connection."""
        self._run(self._reset_all)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Hold back what is sent, ends of connections too; all of it arrives after the block."""
        self.silence()
        try:
            yield
        finally:
            self.resume()

    def silence(self) -> None:
        self._run(self._flowing.clear)

    def resume(self) -> None:
        self._run(self._flowing.set)

    def leave_half_open(self, seen: HalfOpen) -> None:
        """Sever the connections there are: the server keeps their sessions and receives nothing.

        New connections work.
        """
        self._run(lambda: self._sever(seen))

    @contextmanager
    def lose_message(self, part: LostPart, event_type: str) -> Iterator[MessageLoss]:
        loss = MessageLoss(part, event_type.encode())
        self._run(lambda: self._losses.append(loss))
        try:
            yield loss
        finally:
            self._run(lambda: self._losses.remove(loss))

    def _run(self, function: Callable[[], Result]) -> Result:
        """Run `function` in the thread of the proxy."""

        async def run() -> Result:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    # In the thread of the proxy

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        self._flowing.set()
        self.refuses = True
        self._reset_all()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reset_all(self) -> None:
        for connection in self._connections:
            for end in connection.ends:
                _reset(end)

    def _sever(self, seen: HalfOpen) -> None:
        for connection in self._connections:
            self._severed |= connection.ends
            if seen is HalfOpen.RESET:
                _reset(connection.client)

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        with suppress(OSError):
            if not self.refuses:
                await self._connect(reader, client)
        _reset(client)

    async def _connect(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if isinstance(self.target, int):
            replies, server = await asyncio.open_connection("127.0.0.1", self.target)
        else:
            replies, server = await asyncio.open_unix_connection(self.target)
        connection = _Connection(client, server)
        self._connections.append(connection)
        self.accepted += 1
        await asyncio.gather(
            self._pump(connection, reader, server, self._loses_request),
            self._pump(connection, replies, client, self._loses_answer),
        )
        self._connections.remove(connection)
        self._severed -= connection.ends

    async def _pump(
        self,
        connection: _Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        loses: Callable[[bytes], bool],
    ) -> None:
        """Carry bytes until either side ends; then end both, or one of a severed connection."""
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._flowing.wait()
                if loses(data):
                    break
                self.statements += data.endswith(SYNC)
                if any(loss.takes_end(data) for loss in self._losses):
                    writer.write(data[: -len(SYNC)])
                    self._severed |= connection.ends
                if writer not in self._severed:
                    writer.write(data)
                    await writer.drain()
        await self._flowing.wait()
        own_end = connection.server if writer is connection.client else connection.client
        for end in connection.ends - self._severed or {own_end}:
            _reset(end)

    def _loses_request(self, data: bytes) -> bool:
        return any(loss.takes_request(data) for loss in self._losses)

    def _loses_answer(self, data: bytes) -> bool:
        return any(loss.takes_answer(data) for loss in self._losses)


def _reset(end: asyncio.StreamWriter) -> None:
    """Close with a reset."""
    transport = end.transport
    if not transport.is_closing():
        sock = transport.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    transport.abort()
