"""Sends calls to participants and classifies their results.

The number of concurrent calls to a participant is limited here, not by its connection pool: a call
that waits for a slot has not begun, and uses up neither its timeout nor an attempt.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from time import perf_counter
from types import MappingProxyType
from typing import Protocol

from ...call_outcome import CallOutcome, CallResult, Direction, OpenCircuit, Outcome, classify
from ...definitions.definition import Definition, Step
from ...formats.redaction import Redaction
from ...instructions import CallParticipant
from ..clock import Clock
from ..logging import logger
from ..metrics import CallMetrics
from .call_headers import headers_of
from .callback_tokens import CallbackTokens
from .circuit_breaker import RECHECK_SPREAD, CircuitBreaker
from .participant_settings import DEFAULTS, MissingUrls, ParticipantSettings, missing_url_message


class Participants(Protocol):
    async def send(
        self,
        participant: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        within: timedelta,
    ) -> CallResult:
        """Send a request once; return its result. Never raises: a failure is a result too."""


NO_STATUS: frozenset[int] = frozenset()
NO_HOLDS: Mapping[str, OpenCircuit] = MappingProxyType({})
NOT_WANTED = CallOutcome(
    kind=Outcome.CIRCUIT_OPEN,
    reason="not sent: its saga has stopped or goes back",
    retry_after=timedelta(seconds=1),
)


def _always() -> bool:
    return True


class Executor:
    def __init__(
        self,
        participants: Participants,
        tokens: CallbackTokens,
        clock: Clock,
        *,
        limit: int,
        terms: Mapping[str, ParticipantSettings] = MappingProxyType({}),
        addressed: Collection[str] | None = None,
    ) -> None:
        """`limit` is the number of concurrent calls to a participant whose settings have none.

        `addressed` are the participants with a URL; None means all.

        `closed` is called when a circuit closes, with the sagas whose calls were held.
        """
        self.participants, self.tokens = participants, tokens
        self.clock, self.limit, self.settings = clock, limit, terms
        self.breakers: defaultdict[str, CircuitBreaker] = defaultdict(CircuitBreaker)
        self.closed: Callable[[str, set[str]], None] = _ignore
        self.metrics: dict[str, CallMetrics] = {}
        self.missing_urls = MissingUrls(addressed)
        self.open_circuits: set[str] = set()  # participants whose circuit is not closed

    async def call(
        self,
        call: CallParticipant,
        definition: Definition,
        epoch: int,
        is_wanted: Callable[[], bool] = _always,
        *,
        in_backlog: bool = False,
    ) -> CallOutcome:
        """Send a call and return its outcome.

        `is_still_wanted` is called when the call gets its slot, for which it may have waited long.
        `in_backlog`: the call is repeated after a crash, maybe one of very many.
        """
        participant = call.participant
        traffic = self.metrics.get(participant) or self._metrics_of(participant)
        turns = traffic.semaphore
        if not turns.try_acquire():
            await turns.acquire(in_backlog=in_backlog)
        try:
            if not is_wanted():
                return NOT_WANTED
            breaker = self.breakers[participant]
            if not breaker.is_closed and self._must_wait(call, breaker):
                return breaker.hold(call.saga_id, self.clock.now(), self.clock.jitter())
            token = self.tokens.issue(call.saga_id, call.step) if call.awaits_callback else None
            headers: Mapping[str, str] = headers_of(call, epoch, token)
            if call.headers:  # headers of the definition never replace ours
                headers = {**call.headers, **headers}
            began = perf_counter()
            answer = await self.participants.send(
                participant,
                call.method,
                call.path,
                headers,
                call.body,
                call.timeout,
            )
            seconds = perf_counter() - began
            if token is not None:
                answer = Redaction([token]).redact(answer)
        finally:
            turns.release()
        now, step = self.clock.now, definition[call.step]
        verdict = classify(
            answer,
            call.direction,
            now=now,
            done_on=NO_STATUS if call.direction is Direction.ACTION else _done_on(step),
            accepts=step.completion is not None,
            profile=traffic.settings.profile,
        )
        traffic.record(call.direction, verdict.kind, seconds)
        if logger.isEnabledFor(logging.DEBUG):
            _log_result(call, verdict, seconds)
        if breaker.record(verdict.kind, now):
            self.open_circuits.discard(participant)
            self.closed(participant, breaker.take_held())
        elif not breaker.is_closed:
            self.open_circuits.add(participant)
        return verdict

    def held_participants(self, definition: Definition) -> Mapping[str, OpenCircuit]:
        """Return the participants that get no forward calls now, with the reason and the time."""
        unaddressed = self.missing_urls.participants_of(definition)
        if not self.open_circuits and not unaddressed:
            return NO_HOLDS
        now, spread = self.clock.now(), RECHECK_SPREAD * self.clock.jitter()
        remaining = {name: self.breakers[name].remaining(now) for name in self.open_circuits}
        held = {name: OpenCircuit(rest + spread) for name, rest in remaining.items() if rest}
        return held | {name: OpenCircuit(spread, missing_url_message(name)) for name in unaddressed}

    def wake_when_closed(self, participants: Iterable[str], saga_id: str) -> None:
        """Wake the saga when the circuits of the participants close: its calls are held."""
        for participant in participants:
            self.breakers[participant].held.add(saga_id)

    def _metrics_of(self, participant: str) -> CallMetrics:
        terms = self.settings.get(participant, DEFAULTS)
        traffic = self.metrics[participant] = CallMetrics(
            terms.calls_at_a_time or self.limit, terms
        )
        return traffic

    def _must_wait(self, call: CallParticipant, breaker: CircuitBreaker) -> bool:
        forward = call.direction is not Direction.COMPENSATION
        return forward and breaker.should_hold(self.clock.now())


def _ignore(participant: str, saga_ids: set[str]) -> None:
    """Do nothing."""


def _done_on(step: Step) -> frozenset[int]:
    return NO_STATUS if step.compensation is None else step.compensation.done_on


def _log_result(call: CallParticipant, verdict: CallOutcome, seconds: float) -> None:
    logger.debug(
        "call answered",
        extra={
            "saga_id": call.saga_id,
            "step": call.step,
            "direction": call.direction,
            "attempt": call.attempt,
            "outcome": verdict.kind,
            "duration_ms": round(seconds * 1000, 1),
        },
    )
