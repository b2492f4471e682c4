"""The load without wrk: as many sagas in flight as connections, every response checked.

    python -m saga_orchestrator.benchmarks.generator URL BODY STATUS SUCCESS CONNECTIONS SECONDS

Prints what `check_response.lua` prints.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import quantiles

import uvloop
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.http.participants.client import ParticipantsClient
from saga_orchestrator.http.participants.pool import TransportLimits
from saga_orchestrator.http.participants.transport import ParticipantTransport

HEADERS = {"content-type": "application/json"}
REQUEST_TIMEOUT = timedelta(seconds=60)


@dataclass(slots=True)
class Tally:
    expected: tuple[bytes, bytes]
    waits_ms: list[float] = field(default_factory=list)
    wrong: int = 0
    example: str = ""

    def check(self, answer: object, milliseconds: float) -> None:
        if isinstance(answer, Response) and all(text in answer.body for text in self.expected):
            self.waits_ms.append(milliseconds)
        else:
            self.wrong += 1
            self.example = self.example or str(answer)[:200]

    def as_json(self, seconds: float) -> str:
        cuts = quantiles(self.waits_ms, n=100) if len(self.waits_ms) > 1 else [0.0] * 99
        figures = {"right": len(self.waits_ms), "wrong": self.wrong, "seconds": seconds}
        figures |= {"p50_ms": cuts[49], "p99_ms": cuts[98]}
        return json.dumps({**figures, "example": self.example})


async def start_sagas(client: ParticipantsClient, body: bytes, tally: Tally, end: float) -> None:
    while (began := time.perf_counter()) < end:
        answer = await client.request(
            "service", "POST", "/sagas/start", HEADERS, body, REQUEST_TIMEOUT
        )
        tally.check(answer, (time.perf_counter() - began) * 1000)


async def run(url: str, body: bytes, tally: Tally, connections: int, seconds: float) -> None:
    transport = ParticipantTransport(TransportLimits(connections_per_origin=connections))
    client = ParticipantsClient({"service": url}, transport)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as sagas:
        for _ in range(connections):
            sagas.create_task(start_sagas(client, body, tally, began + seconds))
    print(tally.as_json(time.perf_counter() - began))
    await transport.aclose()


def main(url: str, file: str, status: str, success: str, connections: str, seconds: str) -> None:
    expected = (f'"status":"{status}"'.encode(), f'"success":{success}'.encode())
    body = Path(file).read_bytes()
    uvloop.run(run(url, body, Tally(expected), int(connections), float(seconds)))


if __name__ == "__main__":
    main(*sys.argv[1:])
