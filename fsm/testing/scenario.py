"""Given a history, when something happens, then these events are recorded and these calls leave.

    given(define("book", "pay")).when(answered("book", DONE)).then(
        StepSucceeded(step="book", attempt=1), StepCalled(step="pay", attempt=1)
    ).then_calls("pay#1")

Without a history the saga has just been started by the core. Calls are written `pay#2`, the second
attempt of the action of `pay`, `undo pay#1`, and `ask pay#2`, about its second attempt; sagas that
are steps are started, `start pay`, and undone, `undo pay`. Several happenings may follow one
another; what is looked at is always what came of the last. Time stands still unless `after` says
otherwise.
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
CHILD_VERBS = {StartChild: "start", CompensateChild: "undo", PauseChild: "pause"}
SAGA_ID = "018f0000-0000-7000-8000-000000000001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A saga at a moment, with the events, the calls and the refusal of the last happening."""

    now: datetime
    latest_saga: Saga
    events: tuple[Event, ...]
    calls: tuple[CallParticipant, ...] = ()
    children: tuple[ChildInstruction, ...] = ()
    refusal: SagaError | None = None

    @property
    def saga(self) -> Saga:
        """Raises the refusal, if the last happening was refused."""
        self._raise_refusal()
        return self.latest_saga

    @property
    def state(self) -> SagaState:
        return self.saga.state

    def step(self, name: str) -> StepState:
        return self.state.step(name)

    def when(
        self, happening: Input, *, after: timedelta = timedelta(), jitter: float = 0.5
    ) -> Scenario:
        """`after` how long it happens."""
        saga, now = self.saga, self.now + after
        try:
            decision = decide(saga, happening, now=now, jitter=jitter)
        except SagaError as refusal:
            return replace(self, now=now, events=(), calls=(), children=(), refusal=refusal)
        return _scenario_after(decision, now)

    def then(self, *events: Event) -> Scenario:
        """Exactly these events were recorded; none if none are named."""
        self._raise_refusal()
        _assert_equal(self.events, events)
        return self

    def then_calls(self, *calls: str) -> Scenario:
        """Exactly these left, in this order; what is asked of other sagas comes last."""
        self._raise_refusal()
        _assert_equal(tuple(call_name(one) for one in (*self.calls, *self.children)), calls)
        return self

    def then_status(self, status: str, **steps: str) -> Scenario:
        """The status of the saga, and of the steps that are named."""
        _assert_equal(str(self.state.status), status)
        _assert_equal({name: str(self.step(name).status) for name in steps}, steps)
        return self

    def then_refused(self, kind: type[SagaError], why: str = "") -> Scenario:
        """The last happening was refused for that reason, and changed nothing."""
        refused = isinstance(self.refusal, kind) and why in str(self.refusal)
        if not refused:
            raise AssertionError(f"expected {kind.__name__} {why!r}, got {self.refusal!r}")
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
    """`history` is what followed the start; all of it was recorded `now`. Raises CorruptStream."""
    request = StartSaga(
        entity_id="order-1", input=input or {}, deadline=deadline, start_at=start_at
    )
    decision = start(definition, SAGA_ID, request, now=now)
    if history is None:
        return _scenario_after(decision, now)
    began = decision.events[0]
    assert isinstance(began, SagaStarted)
    told = [(event, now) for event in (began, *history)]
    return Scenario(now=now, latest_saga=replay(definition, SAGA_ID, told), events=())


def _scenario_after(decision: Decision, now: datetime) -> Scenario:
    return Scenario(
        now=now,
        latest_saga=decision.saga,
        events=decision.events,
        calls=decision.calls,
        children=decision.children,
    )


def call_name(call: Instruction) -> str:
    """`pay#2`, `undo pay#1`, `ask pay#2`; of a child saga `start pay`, `undo pay`, `pause pay`."""
    if not isinstance(call, CallParticipant):
        return f"{CHILD_VERBS[type(call)]} {call.parent.step}"
    words = {Direction.ACTION: "", Direction.STATUS: "ask ", Direction.COMPENSATION: "undo "}
    return f"{words[call.direction]}{call.step}#{call.attempt}"


def _assert_equal(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"\nexpected {expected}\n     got {found}")
