"""The participants without nginx: static replies behind a bare HTTP parser.

python -m saga_orchestrator.benchmarks.static_participants ORDERS PAYMENTS DECLINING COUNT
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import cast

import httptools
import uvloop

Answer = Callable[[bytes], tuple[str, str]]  # status line and body, of a target

numbers = count(1)
arrived = 0


def orders(target: bytes) -> tuple[str, str]:
    if target == b"/orders":
        return "201 Created", f'{{"order_id": {next(numbers)}, "status": "PENDING_PAYMENT"}}'
    return "200 OK", '{"status": "changed"}'


def payments(_target: bytes) -> tuple[str, str]:
    return "201 Created", f'{{"payment_id": {next(numbers)}, "status": "PAID"}}'


def declining(_target: bytes) -> tuple[str, str]:
    return "402 Payment Required", '{"detail": "card declined"}'


def counting(_target: bytes) -> tuple[str, str]:
    return "200 OK", str(arrived)


class Participant(asyncio.Protocol):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, target: bytes) -> None:
        self._target = target

    def on_message_complete(self) -> None:
        global arrived
        arrived += self._answer is not counting
        status, body = self._answer(self._target)
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
        self._transport.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())


async def serve(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    answers = (orders, payments, declining, counting)
    for answer, port in zip(answers, ports, strict=True):
        await loop.create_server(partial(Participant, answer), "127.0.0.1", port)
    await loop.create_future()


if __name__ == "__main__":
    uvloop.run(serve([int(port) for port in sys.argv[1:]]))
