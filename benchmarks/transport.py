"""Measure what a call to a participant costs: each way of this transport, beside the pool of httpx.

    python benchmarks/transport.py [--calls N] [--at-once N] [--loop asyncio|uvloop] [--only WAY]

The participant is a process of its own that answers every request with the same small reply, so
that the CPU time printed is the caller's alone.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from multiprocessing.connection import Connection as Pipe
from typing import Any

import httpx
import uvloop
from msgspec.structs import replace
from saga_orchestrator.fsm.call_outcome import Outcome, Response
from saga_orchestrator.fsm.runtime.calls.callback_tokens import SECRET_BYTES, CallbackTokens
from saga_orchestrator.fsm.runtime.calls.executor import Executor
from saga_orchestrator.fsm.runtime.clock import SystemClock
from saga_orchestrator.fsm.testing import define, given
from saga_orchestrator.http.participants.client import ParticipantsClient
from saga_orchestrator.http.participants.pool import TransportLimits
from saga_orchestrator.http.participants.transport import ParticipantTransport

REPLY = (
    b"HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-type: application/json\r\n"
    b'content-length: 17\r\n\r\n{"order_id": 123}'
)
BODY = b'{"customer_id": 1, "restaurant_id": 2, "total_amount": 50.00, "status": "PENDING"}'
HEADERS = {
    "Content-Type": "application/json",
    "Idempotency-Key": "0192f0c1-7b1a-7000-8000-00000000002a/create_order/action",
    "Saga-Id": "0192f0c1-7b1a-7000-8000-00000000002a",
    "Saga-Step": "create_order",
    "Saga-Attempt": "1",
    "Saga-Epoch": "7",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}
TIMEOUT = timedelta(seconds=10)
OBJECTS_A_COLLECTION = 20_000  # as in the service

Call = Callable[[], Awaitable[object]]


class Participant(asyncio.Protocol):
    """A participant that counts the ends of bodies instead of parsing, to cost little itself."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        requests = (self._tail + data).count(BODY)
        self._tail = (self._tail + data)[-len(BODY) + 1 :]
        self._transport.write(REPLY * requests)


def serve(pipe: Pipe) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Participant, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


@asynccontextmanager
async def through_executor(url: str, at_once: int) -> AsyncIterator[Call]:
    transport = ParticipantTransport(TransportLimits(connections_per_origin=at_once))
    client = ParticipantsClient({"shop-service": url}, transport)
    tokens = CallbackTokens(bytes(SECRET_BYTES))
    executor = Executor(client, tokens, SystemClock(), limit=at_once)
    definition = define("shop")
    (order,) = given(definition).calls
    order = replace(order, body=BODY)

    async def call() -> None:
        verdict = await executor.call(order, definition, epoch=7)
        assert verdict.kind is Outcome.DONE, verdict

    yield call
    await transport.aclose()


@asynccontextmanager
async def lean(url: str, at_once: int) -> AsyncIterator[Call]:
    transport = ParticipantTransport(TransportLimits(connections_per_origin=at_once))
    client = ParticipantsClient({"shop": url}, transport)

    async def call() -> None:
        answer = await client.request("shop", "POST", "/orders", HEADERS, BODY, TIMEOUT)
        assert isinstance(answer, Response), answer

    yield call
    await transport.aclose()


@asynccontextmanager
async def as_httpx_transport(url: str, at_once: int) -> AsyncIterator[Call]:
    transport = ParticipantTransport(TransportLimits(connections_per_origin=at_once))

    async def call() -> None:
        request = httpx.Request("POST", f"{url}/orders", headers=HEADERS, content=BODY)
        response = await transport.handle_async_request(request)
        assert response.status_code == 200

    yield call
    await transport.aclose()


@asynccontextmanager
async def under_httpx_client(url: str, at_once: int) -> AsyncIterator[Call]:
    transport = ParticipantTransport(TransportLimits(connections_per_origin=at_once))
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        yield posting(client, url)


@asynccontextmanager
async def httpx_alone(url: str, at_once: int) -> AsyncIterator[Call]:
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as client:
        yield posting(client, url)


def posting(client: httpx.AsyncClient, url: str) -> Call:
    async def call() -> None:
        response = await client.post(f"{url}/orders", headers=HEADERS, content=BODY)
        assert response.status_code == 200

    return call


# A slow way makes fewer calls, or the run would take too long.
CONTENDERS = (
    ("ours, by the executor", through_executor, 1.0),
    ("ours, lean", lean, 1.0),
    ("ours, handle_async_request", as_httpx_transport, 0.5),
    ("ours, under httpx.AsyncClient", under_httpx_client, 0.25),
    ("httpx's own pool", httpx_alone, 0.1),
)


async def measure(call: Call, calls: int, at_once: int) -> tuple[float, float]:
    """Return the calls a second, and the CPU microseconds of the caller for each."""
    await in_parallel(call, at_once, at_once)  # opens the connections
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_A_COLLECTION, 10, 20)
    began, used = time.perf_counter(), cpu_seconds()
    await in_parallel(call, calls, at_once)
    return calls / (time.perf_counter() - began), (cpu_seconds() - used) / calls * 1e6


async def in_parallel(call: Call, calls: int, at_once: int) -> None:
    async def some_calls() -> None:
        for _ in range(calls // at_once):
            await call()

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(some_calls())


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def compare(url: str, calls: int, at_once: int, only: str) -> None:
    print(f"{at_once} at once".ljust(32), "calls/s".rjust(9), "CPU us/call".rjust(12))
    for name, contender, share in CONTENDERS:
        if only not in name:
            continue
        async with AsyncExitStack() as stack:
            call = await stack.enter_async_context(contender(url, at_once))
            rate, cpu = await measure(call, max(at_once, int(calls * share)), at_once)
        print(name.ljust(32), f"{rate:9.0f}", f"{cpu:12.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="uvloop")
    parser.add_argument("--only", default="", metavar="WAY", help="whose name has this in it")
    options = parser.parse_args()
    run: Callable[[Coroutine[Any, Any, None]], None] = {
        "asyncio": asyncio.run,
        "uvloop": uvloop.run,
    }[options.loop]
    ours, theirs = multiprocessing.Pipe()
    participant = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    participant.start()
    try:
        url = f"http://127.0.0.1:{ours.recv()}"
        run(compare(url, options.calls, options.at_once, options.only))
    finally:
        participant.terminate()
        participant.join()


if __name__ == "__main__":
    main()
