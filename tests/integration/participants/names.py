"""A name server that a test is master of, and an address at which nobody ever answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from aiohappyeyeballs import AddrInfoType
from saga_orchestrator.http.participants.resolver import MAX_CONCURRENT_LOOKUPS, Resolver

SILENT = "silent.example"


class Names:
    """Answers each question with the next of its answers, then with the last; of SILENT nothing,
    until it is told to."""

    def __init__(self, *answers: Collection[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.speak = threading.Event()

    def look_up(self, name: str) -> Sequence[AddrInfoType]:
        self.asked.append(name)
        if name == SILENT:
            self.speak.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, (address, 0)) for address in answer]

    def resolver(
        self, *, at_a_time: int = MAX_CONCURRENT_LOOKUPS, kept_for: timedelta = timedelta()
    ) -> Resolver:
        return Resolver(self.look_up, at_a_time=at_a_time, kept_for=kept_for)


@contextmanager
def black_hole(address: str, port: int) -> Iterator[None]:
    """Its queue of connections is full, so that the kernel answers no further one."""
    with ExitStack() as stack:
        door = stack.enter_context(socket.socket())
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((address, port))
        door.listen(0)
        for _ in range(3):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex((address, port))
        yield
