"""Sends one call to its participant and classifies what comes back.

How many calls a participant has at once is bounded here, not in its connection pool: a call that
waits for its turn has not begun, and must not use up its time or an attempt.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from ..answer import Answer
from ..command import CallParticipant
from ..definition import Definition
from ..outcome import Direction, Verdict, classify
from .clock import Clock
from .log import logger


class Participants(Protocol):
    async def send(
        self,
        participant: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        within: timedelta,
    ) -> Answer:
        """One request, once. Trouble is an answer too."""


class Executor:
    def __init__(self, participants: Participants, clock: Clock, *, limit: int) -> None:
        """`limit` calls at a time to each participant."""
        self.participants, self.clock, self.limit = participants, clock, limit
        self._turns: dict[str, asyncio.Semaphore] = {}

    async def call(self, call: CallParticipant, definition: Definition, epoch: int) -> Verdict:
        turn = self._turns.get(call.participant)
        if turn is None:
            turn = self._turns[call.participant] = asyncio.Semaphore(self.limit)
        async with turn:
            began = time.perf_counter()
            answer = await self.participants.send(
                call.participant,
                call.method,
                call.path,
                {**call.headers, **headers_of(call, epoch)},
                call.body,
                call.timeout,
            )
        verdict = classify(
            answer, call.direction, now=self.clock.now(), done_on=_done_on(call, definition)
        )
        _report(call, verdict, time.perf_counter() - began)
        return verdict


def headers_of(call: CallParticipant, epoch: int) -> dict[str, str]:
    """What every call carries. The trace is named by the saga, the span by key and attempt."""
    trace = call.saga_id.replace("-", "")
    span = hashlib.sha256(f"{call.key}/{call.attempt}".encode()).hexdigest()[:16]
    headers = {
        "idempotency-key": call.key,
        "saga-id": call.saga_id,
        "saga-step": call.step,
        "saga-attempt": str(call.attempt),
        "saga-epoch": str(epoch),
        "traceparent": f"00-{trace}-{span}-01",
    }
    if call.body is not None:
        headers["content-type"] = "application/json"
    return headers


def _done_on(call: CallParticipant, definition: Definition) -> frozenset[int]:
    compensation = definition[call.step].compensation
    if call.direction is Direction.ACTION or compensation is None:
        return frozenset()
    return compensation.done_on


def _report(call: CallParticipant, verdict: Verdict, seconds: float) -> None:
    if not logger.isEnabledFor(logging.DEBUG):
        return
    logger.debug(
        "call answered",
        extra={
            "saga_id": call.saga_id,
            "step": call.step,
            "direction": call.direction,
            "attempt": call.attempt,
            "outcome": verdict.outcome,
            "duration_ms": round(seconds * 1000, 1),
        },
    )
