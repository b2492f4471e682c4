"""Test the rules on values: given a history, when an input arrives, then these events are recorded.

    given(define("book", "pay")).when(action_answer("book", DONE)).then(
        StepSucceeded(step="book", attempt=1), StepCalled(step="pay", attempt=1)
    ).then_calls("pay#1")

Without a history the saga has just been started. Calls are written `pay#2`, the second attempt of
the action of `pay`; `undo pay#1`, its compensation; and `status pay#2`, the query about its second
attempt. Child sagas are written `start pay`, `undo pay` and `pause pay`. Several inputs may follow
one another; every assertion is about the last of them. Time stands still unless `after` says
otherwise. No assertion uses a clock, a network or a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ..call_outcome import Direction
from ..decider.decide import decide, start
from ..decider.decision import Decision
from ..definitions.definition import Definition
from ..errors import SagaError
from ..events import Event, SagaStarted
from ..formats.strict_json import JsonObject
from ..inputs import Input, StartSaga
from ..instructions import (
    CallParticipant,
    ChildInstruction,
    CompensateChild,
    Instruction,
    PauseChild,
    StartChild,
)
from ..saga import Saga, replay
from ..state import SagaState
from ..step_state import StepState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAGA_ID = "018f0000-0000-7000-8000-000000000001"
CALL_PREFIXES = {Direction.ACTION: "", Direction.STATUS: "status ", Direction.COMPENSATION: "undo "}
CHILD_VERBS = {StartChild: "start", CompensateChild: "undo", PauseChild: "pause"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A saga at a moment, with the result of its last input: events, calls or a refusal.

    A scenario is a value: two inputs can follow the same one. An unexpected refusal is raised by
    the next assertion or input.
    """

    now: datetime
    latest_saga: Saga
    events: tuple[Event, ...]
    calls: tuple[CallParticipant, ...] = ()
    children: tuple[ChildInstruction, ...] = ()
    refusal: SagaError | None = None

    @property
    def saga(self) -> Saga:
        """The saga after the last input. Raises the refusal, if that input was refused."""
        self._raise_refusal()
        return self.latest_saga

    @property
    def state(self) -> SagaState:
        return self.saga.state

    def step(self, name: str) -> StepState:
        return self.state.step(name)

    def when(
        self, received: Input, *, after: timedelta = timedelta(), jitter: float = 0.5
    ) -> Scenario:
        """Return the scenario in which the saga receives an input, `after` some time."""
        saga, now = self.saga, self.now + after
        try:
            decision = decide(saga, received, now=now, jitter=jitter)
        except SagaError as refusal:
            return replace(self, now=now, events=(), calls=(), children=(), refusal=refusal)
        return _scenario_after(decision, now)

    def then(self, event: Event, *more: Event) -> Scenario:
        """Assert that exactly these events were recorded, in this order."""
        self._raise_refusal()
        _assert_equal(self.events, (event, *more))
        return self

    def then_no_events(self) -> Scenario:
        """Assert that nothing was recorded; calls may have left once more."""
        self._raise_refusal()
        _assert_equal(self.events, ())
        return self

    def then_nothing_happened(self) -> Scenario:
        """Assert that nothing was recorded, and nothing sent."""
        return self.then_no_events().then_calls()

    def then_calls(self, *calls: str) -> Scenario:
        """Assert that exactly these calls left, in this order; those of child sagas come last."""
        self._raise_refusal()
        _assert_equal(tuple(call_name(call) for call in (*self.calls, *self.children)), calls)
        return self

    def then_status(self, status: str, **steps: str) -> Scenario:
        """Assert the status of the saga, and of the steps that are named."""
        _assert_equal(str(self.state.status), status)
        _assert_equal({name: str(self.step(name).status) for name in steps}, steps)
        return self

    def then_refused(self, kind: type[SagaError], reason: str = "") -> Scenario:
        """Assert that the last input was refused with such an error, whose text has `reason`."""
        if not (isinstance(self.refusal, kind) and reason in str(self.refusal)):
            raise AssertionError(f"expected {kind.__name__} {reason!r}, got {self.refusal!r}")
        return replace(self, refusal=None)

    def _raise_refusal(self) -> None:
        if self.refusal is not None:
            raise self.refusal


def given(
    definition: Definition,
    *,
    input: JsonObject | None = None,  # noqa: A002  # the word of the definition language
    history: Sequence[Event] | None = None,
    now: datetime = NOON,
    deadline: datetime | timedelta | None = None,
    start_at: datetime | None = None,
) -> Scenario:
    """Return the scenario of a saga that was started `now`, or that has a history.

    `history` follows the start; all of it was recorded `now`. Raises CorruptStream.
    """
    request = StartSaga(
        entity_id="order-1", input=input or {}, deadline=deadline, start_at=start_at
    )
    decision = start(definition, SAGA_ID, request, now=now)
    if history is None:
        return _scenario_after(decision, now)
    started = decision.events[0]
    assert isinstance(started, SagaStarted)
    recorded = [(event, now) for event in (started, *history)]
    return Scenario(now=now, latest_saga=replay(definition, SAGA_ID, recorded), events=())


def _scenario_after(decision: Decision, now: datetime) -> Scenario:
    return Scenario(
        now=now,
        latest_saga=decision.saga,
        events=decision.events,
        calls=decision.calls,
        children=decision.children,
    )


def call_name(call: Instruction) -> str:
    """Return the name of a call as scenarios write it: `pay#2`, `undo pay#1`, `start pay`."""
    if isinstance(call, CallParticipant):
        return f"{CALL_PREFIXES[call.direction]}{call.step}#{call.attempt}"
    return f"{CHILD_VERBS[type(call)]} {call.parent.step}"


def _assert_equal(actual: object, expected: object) -> None:
    if actual != expected:
        raise AssertionError(f"\nexpected {expected}\n     got {actual}")
