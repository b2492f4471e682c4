"""A connection without a network: what is sent is kept, and time passes when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Wire(asyncio.Transport):
    """What has been sent, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = self.aborted = self.ended = self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Clockwork:
    """The running event loop, whose time passes when it is told to."""

    def __init__(self) -> None:
        self.loop, self.now = asyncio.get_running_loop(), 0.0
        self.timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, ring: Callable[[], object]) -> asyncio.TimerHandle:
        self.timers.append(asyncio.TimerHandle(self.now + delay, ring, (), self.loop))
        return self.timers[-1]

    def create_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self.loop.create_task(work)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        while due := [one for one in self.timers if one.when() <= self.now]:
            self.timers.remove(due[0])
            if not due[0].cancelled():
                due[0]._run()
