"""Waiting for one socket again and again, without a word to the event loop each time: to begin and
to end a watch takes it 8 µs.

The loop watches a duplicate of the socket, so that nobody else can end the watch: neither the
driver, which now and then watches the socket itself and stops that again, nor libpq, which closes
it when the connection is lost. What arrives while nobody waits does end it, until the next wait: it
would keep the loop busy.

A connection that is reset is told of once, maybe together with what arrived before, and libuv then
ends the watch by itself. So before each wait the kernel is asked: of a broken socket it says so.
"""

from __future__ import annotations

import asyncio
import os
import select


class Ear:
    """Of one user at a time."""

    def __init__(self, socket: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket: int | None = os.dup(socket)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._heard: asyncio.Future[None] | None = None
        self._listens = False

    def readable(self) -> asyncio.Future[None]:
        """Done once the socket can be read, or could until a moment ago: look again."""
        assert self._socket is not None, "not closed"
        self._heard = self._loop.create_future()
        if self._poll.poll(0):
            self._heard.set_result(None)
        elif not self._listens:
            self._listens = True
            self._loop.add_reader(self._socket, self._hear)
        return self._heard

    def close(self) -> None:
        """Safe to repeat."""
        if self._socket is not None:
            self._stop(self._socket)
            os.close(self._socket)
            self._socket = None

    def _hear(self) -> None:
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)
        elif self._socket is not None:
            self._stop(self._socket)

    def _stop(self, socket: int) -> None:
        if self._listens:
            self._listens = False
            self._loop.remove_reader(socket)
