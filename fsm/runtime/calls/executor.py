"""Sends calls to participants and classifies their results.

The number of concurrent calls to a participant is limited here, not by its connection pool: a call
that waits for a slot has not begun, and uses up neither its timeout nor an attempt.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from time import perf_counter
from types import MappingProxyType
from typing import Protocol

from ...call_outcome import (
    CallOutcome,
    CallResult,
    Direction,
    OpenCircuit,
    Outcome,
    classify,
    redact_result,
)
from ...definitions.definition import Definition, Step
from ...formats.redaction import Redaction
from ...instructions import CallParticipant
from ...saga import Saga
from ..clock import Clock
from ..logging import logger
from .callback_tokens import CallbackTokens
from .circuit_breaker import RECHECK_SPREAD, CircuitBreaker, CircuitState
from .participant_calls import ParticipantCalls
from .participant_settings import DEFAULTS, MissingUrls, ParticipantSettings, missing_url_message


class Participants(Protocol):
    async def send(self, call: CallParticipant, epoch: int, token: str | None) -> CallResult:
        """Send a call once; return its result. Never raises: a failure is a result too.

        `epoch` is that of the shard; a step callback of the participant brings back `token`.
        """


NO_STATUS: frozenset[int] = frozenset()
NO_HOLDS: Mapping[str, OpenCircuit] = MappingProxyType({})
NOT_WANTED = CallOutcome(
    kind=Outcome.CIRCUIT_OPEN,
    reason="not sent: its saga has stopped or compensates",
    retry_after=timedelta(seconds=1),
)


def _always() -> bool:
    return True


class Executor:
    """Sends calls within the limits and circuits of their participants."""

    def __init__(
        self,
        participants: Participants,
        tokens: CallbackTokens,
        clock: Clock,
        *,
        limit: int,
        settings: Mapping[str, ParticipantSettings] = MappingProxyType({}),
        addressed: Collection[str] | None = None,
    ) -> None:
        """`limit` is the number of concurrent calls to a participant whose settings have none.

        `addressed` are the participants with a URL; None means all.
        """
        self.participants, self.tokens = participants, tokens
        self.clock, self.limit, self.settings = clock, limit, settings
        self.breakers: defaultdict[str, CircuitBreaker] = defaultdict(CircuitBreaker)
        self.participant_calls: dict[str, ParticipantCalls] = {}
        self.missing_urls = MissingUrls(addressed)
        self.open_circuits: set[str] = set()  # participants whose circuit is not closed
        self.closed_circuits: dict[str, set[str]] = {}  # just now, with the sagas that were held

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

        `is_wanted` is called when the call gets its slot, for which it may have waited long.
        `in_backlog`: the call is repeated after a crash, maybe one of very many.
        """
        participant = call.participant
        calls = self.participant_calls.get(participant) or self._calls_to(participant)
        semaphore = calls.semaphore
        if not semaphore.try_acquire():
            await semaphore.acquire(in_backlog=in_backlog)
        try:
            if not is_wanted():
                return NOT_WANTED
            breaker = self.breakers[participant]
            if not breaker.is_closed and self._must_wait(call, breaker):
                return breaker.hold(call.saga_id, self.clock.now(), self.clock.jitter())
            token = self.tokens.issue(call.saga_id, call.step) if call.awaits_callback else None
            began = perf_counter()
            result = await self.participants.send(call, epoch, token)
            seconds = perf_counter() - began
            if token is not None:
                result = redact_result(result, Redaction([token]))
        finally:
            semaphore.release()
        step = definition[call.step]
        outcome = classify(
            result,
            call.direction,
            now=self.clock.now,
            done_on=NO_STATUS if call.direction is Direction.ACTION else _done_on(step),
            accepts=step.completion is not None,
            profile=calls.settings.profile,
        )
        calls.record(call.direction, outcome.kind, seconds)
        if logger.isEnabledFor(logging.DEBUG):
            _log_result(call, outcome, seconds)
        if breaker.record(outcome.kind, self.clock.now()):
            self.open_circuits.discard(participant)
            self.closed_circuits.setdefault(participant, set()).update(breaker.take_held())
        elif not breaker.is_closed:
            self.open_circuits.add(participant)
        return outcome

    def take_closed_circuits(self) -> list[tuple[str, set[str]]]:
        """Return the participants whose circuits have closed, with the sagas that were held."""
        closed, self.closed_circuits = self.closed_circuits, {}
        return list(closed.items())

    def circuit_state(self, participant: str) -> CircuitState:
        """Return the state of a participant's circuit; it is closed before the first call."""
        breaker = self.breakers.get(participant)
        return CircuitState.CLOSED if breaker is None else breaker.state

    def held_participants(self, definition: Definition) -> Mapping[str, OpenCircuit]:
        """Return the participants that get no forward calls now, with the reason and the time."""
        without_url = self.missing_urls.participants_of(definition)
        if not self.open_circuits and not without_url:
            return NO_HOLDS
        now, spread = self.clock.now(), RECHECK_SPREAD * self.clock.jitter()
        remaining = {name: self.breakers[name].remaining(now) for name in self.open_circuits}
        held = {name: OpenCircuit(rest + spread) for name, rest in remaining.items() if rest}
        return held | {name: OpenCircuit(spread, missing_url_message(name)) for name in without_url}

    def register_held(self, saga: Saga, held: Collection[str]) -> None:
        """Register the saga with the `held` participants whose calls it waits to send."""
        waited_for = {
            step.participant
            for step, state in saga.steps
            if state.last_outcome is Outcome.CIRCUIT_OPEN and step.participant in held
        }
        # A missing URL comes with a restart only.
        for participant in waited_for - self.missing_urls.participants_of(saga.definition):
            self.breakers[participant].held.add(saga.state.saga_id)
        self.missing_urls.update(saga)

    def _calls_to(self, participant: str) -> ParticipantCalls:
        settings = self.settings.get(participant, DEFAULTS)
        limit = settings.calls_at_a_time or self.limit
        calls = self.participant_calls[participant] = ParticipantCalls(limit, settings)
        return calls

    def _must_wait(self, call: CallParticipant, breaker: CircuitBreaker) -> bool:
        is_forward = call.direction is not Direction.COMPENSATION
        return is_forward and breaker.should_hold(self.clock.now())


def _done_on(step: Step) -> frozenset[int]:
    return NO_STATUS if step.compensation is None else step.compensation.done_on


def _log_result(call: CallParticipant, outcome: CallOutcome, seconds: float) -> None:
    logger.debug(
        "call answered",
        extra={
            "saga_id": call.saga_id,
            "step": call.step,
            "direction": call.direction,
            "attempt": call.attempt,
            "outcome": outcome.kind,
            "duration_ms": round(seconds * 1000, 1),
        },
    )
