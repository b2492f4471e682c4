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

from ..answer import Answer
from ..command import CallParticipant
from ..definition import Definition, Step
from ..outcome import Direction, Hold, Outcome, Verdict, classify
from ..secrecy import Redaction
from .breaker import CLOSED, SPREAD, Breaker
from .call_headers import headers_of
from .clock import Clock
from .log import logger
from .terms import USUAL, Terms
from .tokens import CallbackTokens
from .traffic import Traffic
from .unaddressed import Unaddressed, without_url


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


# Asked for of every call: Python takes four times longer to find `Direction.ACTION`.
ACTION = Direction.ACTION
NO_STATUS: frozenset[int] = frozenset()
NOBODY: Mapping[str, Hold] = MappingProxyType({})
UNWANTED = Verdict(
    outcome=Outcome.HELD,
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
        terms: Mapping[str, Terms] = MappingProxyType({}),
        addressed: Collection[str] | None = None,
    ) -> None:
        """`limit` calls at a time to each participant whose `terms` have no other.

        `addressed` are the participants whose URL is known; without it all are.

        `closed` is told of a participant that answers again, and of the sagas held back from it.
        """
        self.participants, self.tokens = participants, tokens
        self.clock, self.limit, self.terms = clock, limit, terms
        self.breakers: defaultdict[str, Breaker] = defaultdict(Breaker)
        self.closed: Callable[[str, set[str]], None] = _nobody
        self.traffic: dict[str, Traffic] = {}
        self.unaddressed = Unaddressed(addressed)
        self.troubled: set[str] = set()  # participants whose breaker is not closed

    async def call(
        self,
        call: CallParticipant,
        definition: Definition,
        epoch: int,
        is_wanted: Callable[[], bool] = _always,
        *,
        in_backlog: bool = False,
    ) -> Verdict:
        """`is_wanted` is asked when the turn of the call has come: it may have waited for long.

        `in_backlog`: the call is of a saga that a crash has left, and may be one of very many.
        """
        participant = call.participant
        traffic = self.traffic.get(participant) or self._first_call_to(participant)
        turns = traffic.turns
        if not turns.take():
            await turns.come(in_backlog=in_backlog)
        try:
            if not is_wanted():
                return UNWANTED
            breaker = self.breakers[participant]
            if breaker.state is not CLOSED and self._must_wait(call, breaker):
                return breaker.hold(call.saga_id, self.clock.now(), self.clock.jitter())
            token = self.tokens.of(call.saga_id, call.step) if call.awaits_callback else None
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
                answer = Redaction([token]).of(answer)
        finally:
            turns.leave()
        now, step = self.clock.now, definition[call.step]
        verdict = classify(
            answer,
            call.direction,
            now=now,
            done_on=NO_STATUS if call.direction is ACTION else _done_on(step),
            accepts=step.completion is not None,
            profile=traffic.terms.profile,
        )
        traffic.count(call.direction, verdict.outcome, seconds)
        if logger.isEnabledFor(logging.DEBUG):
            _report(call, verdict, seconds)
        if breaker.saw(verdict.outcome, now):
            self.troubled.discard(participant)
            self.closed(participant, breaker.take_held())
        elif breaker.state is not CLOSED:
            self.troubled.add(participant)
        return verdict

    def held(self, definition: Definition) -> Mapping[str, Hold]:
        """The participants to which nothing is sent forward now, with why and for how long."""
        unaddressed = self.unaddressed.of(definition)
        if not self.troubled and not unaddressed:
            return NOBODY
        now, spread = self.clock.now(), SPREAD * self.clock.jitter()
        rests = {one: self.breakers[one].rest(now) for one in self.troubled}
        held = {one: Hold(rest + spread) for one, rest in rests.items() if rest}
        return held | {one: Hold(spread, without_url(one)) for one in unaddressed}

    def wake_once_back(self, participants: Iterable[str], saga_id: str) -> None:
        """Let `closed` be told of the saga as well: a call of it is held back there."""
        for participant in participants:
            self.breakers[participant].held.add(saga_id)

    def _first_call_to(self, participant: str) -> Traffic:
        terms = self.terms.get(participant, USUAL)
        traffic = self.traffic[participant] = Traffic(terms.calls_at_a_time or self.limit, terms)
        return traffic

    def _must_wait(self, call: CallParticipant, breaker: Breaker) -> bool:
        forward = call.direction is not Direction.COMPENSATION
        return forward and breaker.holds_back(self.clock.now())


def _nobody(participant: str, saga_ids: set[str]) -> None:
    """Until somebody wants to be told."""


def _done_on(step: Step) -> frozenset[int]:
    return NO_STATUS if step.compensation is None else step.compensation.done_on


def _report(call: CallParticipant, verdict: Verdict, seconds: float) -> None:
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
