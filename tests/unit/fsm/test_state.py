from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from saga_orchestrator.fsm.call_outcome import Outcome
from saga_orchestrator.fsm.errors import CorruptStream
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationBackedOff,
    CompensationCalled,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    Parent,
    Resolution,
    SagaCompensated,
    SagaCompleted,
    SagaParked,
    SagaStarted,
    ScheduledStartReached,
    StepBackedOff,
    StepCalled,
    StepRejected,
    StepResolved,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from saga_orchestrator.fsm.machines import StepStatus
from saga_orchestrator.fsm.state import Parked, SagaState, evolve, initial_state
from saga_orchestrator.fsm.step_state import StepState, step_after
from saga_orchestrator.fsm.testing import NOON, SAGA_ID
from saga_orchestrator.fsm.testing import strategies as some

LATER = NOON + timedelta(minutes=1)
STARTED = SagaStarted(
    saga_type="trip", definition_version=1, entity_id="order-1", input={"a": 1}, deadline=LATER
)
CALLED = StepCalled(step="pay", attempt=1)


def state_after(*events: Event) -> SagaState:
    state = initial_state(SAGA_ID, STARTED, NOON)
    for event in events:
        state = evolve(state, event, LATER)
    return state


@given(some.events)
def test_the_state_before_an_event_stays_what_it_was(event: Event) -> None:
    before, again = state_after(CALLED), state_after(CALLED)

    with suppress(CorruptStream):
        evolve(before, event, LATER)

    assert before == again


def backed_off(outcome: Outcome, **members: object) -> StepBackedOff:
    return StepBackedOff(
        step="pay",
        attempt=1,
        outcome=outcome,
        error="oops",
        until=LATER,
        **members,  # type: ignore[arg-type]
    )


def test_a_start_is_the_first_version() -> None:
    state = state_after()

    assert (state.version, state.status, state.created_at) == (1, "running", NOON)
    assert (state.input, state.deadline, state.steps) == ({"a": 1}, LATER, {})


def test_a_child_knows_the_step_that_it_is() -> None:
    parent = Parent(saga_id=SAGA_ID, step="book")
    began = SagaStarted(
        saga_type="room", definition_version=1, entity_id=None, input={}, parent=parent
    )

    assert initial_state(SAGA_ID, began, NOON).parent == parent


def test_a_wait_begins_once_and_may_be_prolonged() -> None:
    first = WaitStarted(step="approve", until=LATER, signal="go")
    longer = WaitStarted(step="approve", until=LATER + timedelta(minutes=1), signal="go")
    state = evolve(initial_state(SAGA_ID, STARTED, NOON), first, NOON)

    again = evolve(state, longer, LATER).step("approve")

    assert (again.started_at, again.wait_deadline) == (NOON, longer.until)
    assert again.next_attempt_at == longer.until


def test_a_wait_that_begins_anew_is_not_finished_any_more() -> None:
    rejected = StepRejected(step="approve", attempt=0, error="nobody came")
    wait = WaitStarted(step="approve", until=LATER, signal="go")
    state = state_after(wait, rejected)
    assert state.finished == ("approve",)

    anew = evolve(state, wait, LATER)

    assert (anew.finished, anew.step("approve").finished_at) == ((), None)


def test_an_unknown_step_that_is_called_again_is_in_doubt_whatever_comes() -> None:
    unknown = StepUnknown(step="pay", attempt=1, error="oops")
    again = StepCalled(step="pay", attempt=2)
    state = state_after(CALLED, unknown, again, StepRejected(step="pay", attempt=2, error="no"))

    assert state.step("pay").status == "unknown"


def test_resolution_as_not_done_ends_the_uncertainty() -> None:
    unknown = StepUnknown(step="pay", attempt=1, error="oops")
    resolution = StepResolved(step="pay", verdict=Resolution.NOT_DONE, evidence="asked the bank")
    again = StepCalled(step="pay", attempt=2)
    state = state_after(
        CALLED, unknown, resolution, again, StepRejected(step="pay", attempt=2, error="no")
    )

    assert state.step("pay").status == "rejected"


def test_every_event_is_one_version() -> None:
    state = state_after(CALLED, StepSucceeded(step="pay", attempt=1), SagaCompleted())

    assert (state.version, state.updated_at, state.status) == (4, LATER, "completed")


def test_untouched_step_is_pending() -> None:
    assert state_after().step("pay") == StepState()


@pytest.mark.parametrize(
    "events",
    [
        [STARTED],
        [ScheduledStartReached()],
        [SagaCompensated()],
        [SagaCompleted(), SagaCompleted()],
        [SagaCompleted(), SagaParked(reason="no")],
        [StepSucceeded(step="pay", attempt=1)],
        [CALLED, CALLED],
        [CALLED, StepSucceeded(step="pay", attempt=1), CALLED],
        [CompensationCalled(step="pay", attempt=1)],
        [CompensationSucceeded(step="pay", attempt=1)],
    ],
)
def test_a_history_that_no_machine_can_have_made_is_corrupt(events: list[Event]) -> None:
    with pytest.raises(CorruptStream, match="is corrupt at version") as refusal:
        state_after(*events)

    assert (refusal.value.saga_id, refusal.value.version) == (SAGA_ID, len(events) + 1)


def test_a_put_off_start_does_not_start_twice() -> None:
    waiting = initial_state(
        SAGA_ID,
        SagaStarted(
            saga_type="trip", definition_version=1, entity_id=None, input={}, start_at=LATER
        ),
        NOON,
    )

    assert evolve(waiting, ScheduledStartReached(), LATER).status == "running"
    with pytest.raises(CorruptStream, match="starts once"):
        evolve(waiting, STARTED, LATER)


def test_steps_are_finished_in_the_order_of_completion_and_once() -> None:
    state = state_after(
        StepCalled(step="ship", attempt=1),
        CALLED,
        StepSucceeded(step="pay", attempt=1),
        StepRejected(step="ship", attempt=1, error="no"),
        CompensationStarted(cause=Cause.STEP_FAILED, error="no"),
        CompensationCalled(step="pay", attempt=1),
        CompensationSucceeded(step="pay", attempt=1),
    )

    assert state.finished == ("pay", "ship")


def test_start_of_compensation_gives_its_cause_and_clears_the_request() -> None:
    asked = CompensationRequested(actor="anna")
    parked = state_after(CALLED, asked, SagaParked(reason="stuck", not_done=("pay",)))
    back = evolve(parked, CompensationStarted(cause=Cause.REQUEST, error="asked"), LATER)

    assert parked.compensation_requested == asked
    assert parked.parked == Parked(reason="stuck", since=LATER)
    assert parked.error == "stuck"
    assert (back.parked, back.compensation_requested, back.cause, back.error) == (
        None,
        None,
        Cause.REQUEST,
        "asked",
    )


def test_the_first_error_is_kept_when_the_way_back_is_stuck() -> None:
    state = state_after(
        CompensationStarted(cause=Cause.DEADLINE, error="too late"), SagaParked(reason="stuck")
    )

    assert state.error == "too late"


@pytest.mark.parametrize(
    ("event", "doubtful", "busy"),
    [
        (backed_off(Outcome.UNKNOWN), True, False),
        (backed_off(Outcome.BUSY), False, True),
        (backed_off(Outcome.NOT_SENT), False, False),
        (backed_off(Outcome.THROTTLED), False, False),
        (backed_off(Outcome.NOT_SENT, resent=True), True, False),
    ],
)
def test_back_off_keeps_whether_the_attempt_is_uncertain_or_busy(
    event: StepBackedOff, doubtful: bool, busy: bool
) -> None:
    step = state_after(CALLED, event).step("pay")

    assert (step.is_uncertain, step.was_busy, step.next_attempt_at) == (doubtful, busy, LATER)


def test_uncertainty_stays_over_later_attempts() -> None:
    again = StepCalled(step="pay", attempt=2)
    step = state_after(CALLED, backed_off(Outcome.UNKNOWN), again, backed_off(Outcome.NOT_SENT))

    assert step.step("pay").is_uncertain
    assert evolve(step, again, LATER).step("pay").next_attempt_at is None


@pytest.mark.parametrize(
    ("outcome", "attempt"),
    [(Outcome.BUSY, 1), (Outcome.THROTTLED, 1), (Outcome.UNKNOWN, 2), (Outcome.NOT_SENT, 2)],
)
def test_the_next_attempt_counts_up_unless_nothing_was_used_up(
    outcome: Outcome, attempt: int
) -> None:
    assert state_after(CALLED, backed_off(outcome)).step("pay").next_attempt == attempt


def test_a_busy_action_uses_up_no_attempt_of_its_compensation() -> None:
    step = StepState(status=StepStatus.UNKNOWN, attempts=1, last_outcome=Outcome.BUSY)

    first = step_after(step, CompensationCalled(step="pay", attempt=1), LATER)
    waiting = step_after(
        first,
        CompensationBackedOff(
            step="pay", attempt=1, outcome=Outcome.UNKNOWN, error="oops", until=LATER
        ),
        LATER,
    )

    assert step.next_compensation_attempt == 1
    assert (first.compensation_attempts, waiting.next_compensation_attempt) == (1, 2)


def test_a_failed_compensation_says_why() -> None:
    step = StepState(status=StepStatus.COMPENSATING)

    failed = step_after(step, CompensationFailed(step="pay", attempt=1, error="409 no"), LATER)

    assert (failed.status, failed.last_error) == ("compensation_failed", "409 no")
