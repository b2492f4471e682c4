"""Sends one call to its participant and classifies what comes back.

How many calls a participant has at once is bounded here, not in its connection pool: a call that
waits for its turn has not begun, and must not use up its time or an attempt.
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
from .circuit_breaker import CLOSED, RECHECK_SPREAD, CircuitBreaker
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
        """One request, once. Trouble is an answer too."""


# Asked for of every call: Python takes four times longer to find `Direction.ACTION`.
ACTION = Direction.ACTION
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
        """`limit` calls at a time to each participant whose `terms` have no other.

        `addressed` are the participants whose URL is known; without it all are.

        `closed` is told of a participant that answers again, and of the sagas held back from it.
        """
        self.participants, self.tokens = participants, tokens
        self.clock, self.limit, self.settings = clock, limit, terms
        self.breakers: defaultdict[str, CircuitBreaker] = defaultdict(CircuitBreaker)
        self.closed: Callable[[str, set[str]], None] = _ignore
        self.metrics: dict[str, CallMetrics] = {}
        self.missing_urls = MissingUrls(addressed)
        self.open_circuits: set[str] = set()  # participants whose breaker is not closed

    async def call(
        self,
        call: CallParticipant,
        definition: Definition,
        epoch: int,
        is_wanted: Callable[[], bool] = _always,
        *,
        in_backlog: bool = False,
    ) -> CallOutcome:
        """`is_still_wanted` is asked when the turn of the call has come: it may have waited for
        long.

        `in_backlog`: the call is of a saga that a crash has left, and may be one of very many.
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
            if breaker.state is not CLOSED and self._must_wait(call, breaker):
                return breaker.hold(call.saga_id, self.clock.now(), self.clock.jitter())
            token = self.tokens.issue(call.saga_id, call.step) if call.awaits_callback else None
            headers: Mapping[str, str] = headers_of(call, epoch, token)
            if call.headers:  # those of the definition never replace ours
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
            done_on=NO_STATUS if call.direction is ACTION else _done_on(step),
            accepts=step.completion is not None,
            profile=traffic.settings.profile,
        )
        traffic.record(call.direction, verdict.kind, seconds)
        if logger.isEnabledFor(logging.DEBUG):
            _log_result(call, verdict, seconds)
        if breaker.record(verdict.kind, now):
            self.open_circuits.discard(participant)
            self.closed(participant, breaker.take_held())
        elif breaker.state is not CLOSED:
            self.open_circuits.add(participant)
        return verdict

    def held_participants(self, definition: Definition) -> Mapping[str, OpenCircuit]:
        """The participants to which nothing is sent forward now, with why and for how long."""
        unaddressed = self.missing_urls.participants_of(definition)
        if not self.open_circuits and not unaddressed:
            return NO_HOLDS
        now, spread = self.clock.now(), RECHECK_SPREAD * self.clock.jitter()
        rests = {one: self.breakers[one].remaining(now) for one in self.open_circuits}
        held = {one: OpenCircuit(rest + spread) for one, rest in rests.items() if rest}
        return held | {one: OpenCircuit(spread, missing_url_message(one)) for one in unaddressed}

    def wake_when_closed(self, participants: Iterable[str], saga_id: str) -> None:
        """Let `closed` be told of the saga as well: a call of it is held back there."""
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
    """Until somebody wants to be told."""


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
