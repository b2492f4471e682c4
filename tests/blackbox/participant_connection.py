"""One connection of the orchestrator to a participant: HTTP/1.1 by hand, so that it can go wrong.

A real HTTP server would not reset a connection before its reply, send one byte every 50 ms, or
answer with something that is not HTTP.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import time
import zlib
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from saga_orchestrator.tests.blackbox.json_values import Json, parse_json
from saga_orchestrator.tests.blackbox.ledger import ReceivedCall
from saga_orchestrator.tests.blackbox.script import ScriptedReply

BIG_REPLY_BYTES = 8 * 1024 * 1024  # the contract bounds a reply at 1 MiB
DRIP_INTERVAL_SECONDS = 0.05
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER that makes close() send RST


class CallHandler(Protocol):
    """What a connection needs of the participants it belongs to."""

    def label_of(self, participant: str, method: str, path: str) -> str: ...
    def record(self, call: ReceivedCall) -> ScriptedReply: ...
    def may_refuse(self, participant: str) -> bool: ...
    def released(self, label: str) -> asyncio.Event: ...
    def kill_orchestrator(self, connected_at: float) -> None: ...
    async def update_listener(self, participant: str) -> None: ...


@dataclass(eq=False, slots=True)
class ParticipantConnection:
    handler: CallHandler
    participant: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    connected_at: float = field(default_factory=time.time)

    async def run(self) -> None:
        """Reply to requests until either side closes the connection."""
        try:
            while await self._exchange():
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the caller hung up

    async def _exchange(self) -> bool:
        """Reply to one request; return True if the connection stays open."""
        method, path, headers, body = await _read_request(self.reader)
        label = self.handler.label_of(self.participant, method, path)
        call = ReceivedCall(label, method, path, headers, body)
        reply = self.handler.record(call)
        await self.handler.update_listener(self.participant)
        try:
            if reply.is_held:
                await _first_of(self.handler.released(label).wait(), self._await_hang_up())
            elif reply.delay_seconds:
                await _first_of(asyncio.sleep(reply.delay_seconds), self._await_hang_up())
            return await self._reply(call, reply)
        finally:
            call.ended = time.time()

    async def _reply(self, call: ReceivedCall, reply: ScriptedReply) -> bool:
        match reply.kind:
            case "TO":
                await self._await_hang_up()
            case "KILL":
                self.handler.kill_orchestrator(self.connected_at)
            case "RST":
                sock = self.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                self.writer.transport.abort()
            case "GARBAGE":
                await self._write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
            case "DRIP":
                await self._write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
                await _first_of(self._drip(), self._await_hang_up())
            case _:
                # A connection that is kept would not be refused.
                is_kept = not self.handler.may_refuse(self.participant)
                await self._write(_response(call, reply, is_kept=is_kept))
                if reply.kills_afterwards:
                    self.handler.kill_orchestrator(self.connected_at)
                return is_kept
        return False

    async def _write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def _drip(self) -> None:
        while True:
            self.writer.write(b" ")
            await asyncio.sleep(DRIP_INTERVAL_SECONDS)

    async def _await_hang_up(self) -> None:
        """Return when the caller closes the connection: it sends nothing more before our reply."""
        await self.reader.read(1)


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], Json]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await _read_body(reader, headers)
    try:
        return method, path, headers, parse_json(body) if body else None
    except ValueError:
        return method, path, headers, body.decode("latin-1")


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int((await reader.readline()).strip(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


def _response(call: ReceivedCall, reply: ScriptedReply, *, is_kept: bool) -> bytes:
    """Render the reply. A 2xx without a scripted body names the endpoint and repeats the body."""
    status, body = reply.kind, reply.body
    if status == "BIG":
        status, body = "200", json.dumps({"id": call.label, "filler": "x" * BIG_REPLY_BYTES})
    elif body is None:
        body = json.dumps({"id": call.label, "got": call.body} if status[0] == "2" else {})
    payload = b"" if status == "204" else _encode(body, reply.headers)
    headers = {
        "content-type": "application/json" if body.startswith(("{", "[")) else "text/plain",
        "content-length": str(len(payload)),
        "connection": "keep-alive" if is_kept else "close",
        **reply.headers,
    }
    fields = (f"{name}: {value}" for name, value in headers.items())
    return "\r\n".join([f"HTTP/1.1 {status} as scripted", *fields, "", ""]).encode() + payload


def _encode(body: str, headers: Mapping[str, str]) -> bytes:
    """Encode the body as its headers say; an unknown encoding is left as it is."""
    _, _, charset = headers.get("content-type", "").partition("charset=")
    payload = body.encode(charset.strip('"') or "utf-8")
    match headers.get("content-encoding"):
        case "gzip":
            return gzip.compress(payload)
        case "deflate":
            return zlib.compress(payload)
        case _:
            return payload


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Return when the first of `waits` is over, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
