"""The network between the service and its database: it can be cut, fall silent, lose exactly one
message, or leave sessions half open.

    service ──> 127.0.0.1:port ──> wire ──> the server's socket
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

from saga_orchestrator.tests.support.waiting import wait_for_event

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # a close that resets the connection
CHUNK = 1 << 20
SYNC = b"S\x00\x00\x00\x04"  # what a statement ends with; the server commits at it


class LostPart(StrEnum):
    """What is lost of an append, and with it the connection."""

    REQUEST = "request"  # the database never hears of it
    ANSWER = "answer"  # it is committed, and nobody is told
    END = "end"  # it is executed and never committed: the server waits for the last bytes for ever


class HalfOpen(StrEnum):
    """What the service sees of connections whose sessions go on at the server."""

    RESET = "reset"
    SILENT = "silent"


@dataclass(slots=True)
class MessageLoss:
    """Of the next append that records an event of that type."""

    part: LostPart
    event_type: bytes
    seen: bool = False
    happened: threading.Event = field(default_factory=threading.Event)

    def await_loss(self) -> None:
        wait_for_event(self.happened, f"the {self.part} of an append is lost")

    def takes_request(self, data: bytes) -> bool:
        self.seen = self.seen or (b"eventstore" not in data and self.event_type in data)
        return self.seen and self.part is LostPart.REQUEST

    def takes_end(self, data: bytes) -> bool:
        return self.event_type in data and self.part is LostPart.END

    def takes_answer(self, data: bytes) -> bool:
        return self.seen and b"INSERT 0 " in data


class TcpProxy:
    def __init__(self, target: str) -> None:
        """`target` is the socket of a server."""
        self.target = target
        self._door = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._flowing = threading.Event()
        self._flowing.set()
        self._cut = False
        self._losses: list[MessageLoss] = []
        self._ends: set[socket.socket] = set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._apart: set[socket.socket] = set()  # what one end says does not reach the other
        self.statements = 0  # that were sent

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._door.getsockname()[1]}"

    @property
    def connections(self) -> int:
        """How many have come about."""
        return len(self._pairs)

    @contextmanager
    def running(self) -> Iterator[TcpProxy]:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._cut = True
            self._flowing.set()
            with suppress(OSError):
                self._door.shutdown(socket.SHUT_RDWR)
            self._door.close()
            thread.join()
            self._break_all()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Every connection breaks, and no new one comes about."""
        self._cut = True
        self._break_all()
        try:
            yield
        finally:
            self._cut = False

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Nothing arrives, and nobody is told."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    def leave_half_open(self, seen: HalfOpen) -> None:
        """The server keeps every session that it has and hears nothing of it any more; new
        connections are as always."""
        for service, server in self._pairs:
            self._apart |= {service, server}
            if seen is HalfOpen.RESET:
                reset_connection(service)

    @contextmanager
    def lose_message(self, what: LostPart, event_type: str) -> Iterator[MessageLoss]:
        loss = MessageLoss(what, event_type.encode())
        self._losses.append(loss)
        try:
            yield loss
        finally:
            self._losses.remove(loss)

    def _accept(self) -> None:
        while True:
            try:
                service, _ = self._door.accept()
            except OSError:
                return
            if self._cut:
                reset_connection(service)
            else:
                self._connect(service)

    def _connect(self, service: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.target)
        except OSError:
            reset_connection(server)
            reset_connection(service)
            return
        self._ends |= {service, server}
        self._pairs.append((service, server))
        for source, sink, lost in (
            (service, server, self._loses_request),
            (server, service, self._loses_answer),
        ):
            threading.Thread(target=self._pump, args=(source, sink, lost), daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, lost: Callable[[bytes], bool]
    ) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                self._flowing.wait()
                if lost(data):
                    break
                self.statements += data.endswith(SYNC)
                if any(self._happened(one, one.takes_end(data)) for one in self._losses):
                    sink.sendall(data[: -len(SYNC)])
                    self._apart |= {source, sink}
                if sink not in self._apart:
                    sink.sendall(data)
        for end in {source, sink} - self._apart or {source}:
            self._ends.discard(end)
            reset_connection(end)

    def _loses_request(self, data: bytes) -> bool:
        return any(self._happened(one, one.takes_request(data)) for one in self._losses)

    def _loses_answer(self, data: bytes) -> bool:
        return any(self._happened(one, one.takes_answer(data)) for one in self._losses)

    def _happened(self, loss: MessageLoss, takes: bool) -> bool:
        """Once."""
        takes = takes and not loss.happened.is_set()
        if takes:
            loss.happened.set()
        return takes

    def _break_all(self) -> None:
        for end in list(self._ends):
            reset_connection(end)


def reset_connection(end: socket.socket) -> None:
    """With a reset, also for whoever waits for it."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
