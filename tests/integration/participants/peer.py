"""Participants of flesh and blood: real sockets, in this event loop, doing what a script says."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Protocol, cast

from saga_orchestrator.fsm.call_outcome import CallResult
from saga_orchestrator.http.participants.client import ParticipantsClient
from saga_orchestrator.http.participants.pool import TransportLimits
from saga_orchestrator.http.participants.resolver import AddressPolicy, Resolver
from saga_orchestrator.http.participants.transport import ParticipantTransport

PATIENCE = timedelta(seconds=5)

Script = Callable[["Conversation"], Awaitable[None]]


class Conversation:
    """One accepted connection, seen from the participant."""

    def __init__(
        self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.peer = peer
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """The next request; IncompleteReadError if the caller hangs up instead."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        request = head + await self.reader.readexactly(length)
        self.peer.requests.append(request)
        self.peer.asked.set()
        return request

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    def reset(self) -> None:
        """Hang up with an RST."""
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    def deafen(self) -> None:
        """Read nothing more."""
        cast(asyncio.Transport, self.writer.transport).pause_reading()

    def shut(self) -> None:
        """Hang up in the kernel, before any event loop hears of it."""
        fd = os.dup(self.writer.get_extra_info("socket").fileno())
        with socket.socket(fileno=fd) as twin:
            twin.shutdown(socket.SHUT_RDWR)


class Peer:
    """A server that plays `script` on each connection and remembers what it was asked."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self.conversations: list[Conversation] = []
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.hung_up = asyncio.Event()  # a conversation is over
        self.open_now = 0
        self.open_most = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, host, port, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(self, reader, writer)
        self.conversations.append(conversation)
        self._tasks.add(asyncio.ensure_future(self._converse(conversation)))

    async def _converse(self, conversation: Conversation) -> None:
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        try:
            # The caller may hang up whenever it likes.
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._script(conversation)
        finally:
            self.open_now -= 1
            conversation.writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await conversation.writer.wait_closed()
            self.hung_up.set()


class Network:
    """Makes peers, transports and clients, and puts them away after the test."""

    def __init__(self) -> None:
        self._peers: list[Peer] = []
        self._transports: list[ParticipantTransport] = []

    async def peer(
        self,
        script: Script,
        tls: ssl.SSLContext | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> Peer:
        peer = Peer(script, tls)
        await peer.start(host, port)
        self._peers.append(peer)
        return peer

    def client(
        self,
        port: int,
        *,
        scheme: str = "http",
        host: str = "127.0.0.1",
        limits: TransportLimits | None = None,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
    ) -> ParticipantsClient:
        transport = self.transport(limits, tls, resolver=resolver)
        return ParticipantsClient({"shop": f"{scheme}://{host}:{port}/base"}, transport)

    def transport(
        self,
        limits: TransportLimits | None = None,
        tls: ssl.SSLContext | None = None,
        address_policy: AddressPolicy | None = None,
        resolver: Resolver | None = None,
    ) -> ParticipantTransport:
        transport = ParticipantTransport(limits, tls, address_policy, resolver)
        self._transports.append(transport)
        return transport

    async def end(self) -> None:
        for transport in self._transports:
            await transport.aclose()
        for peer in self._peers:
            await peer.stop()


class Answering(Protocol):
    """Makes a script that answers every request with the same bytes."""

    def __call__(self, reply: bytes) -> Script: ...


class Ask(Protocol):
    """Makes one ordinary call."""

    async def __call__(
        self,
        client: ParticipantsClient,
        *,
        method: str = "POST",
        path: str = "/orders",
        within: timedelta = PATIENCE,
        body: bytes | None = b"{}",
    ) -> CallResult: ...
