"""Repetitions without news are recorded first, at each power of two, and with what ends them.

R1 holds all the same: an action or a compensation is out only while the log says so.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from saga_orchestrator.fsm.call_outcome import CallOutcome, OpenCircuit
from saga_orchestrator.fsm.decider.decide import allowed_actions, decide, is_idle
from saga_orchestrator.fsm.events import (
    CompensationBackedOff,
    CompensationRequested,
    CompensationStarted,
    Event,
    SagaPaused,
    StatusQueried,
    StepAccepted,
    StepBackedOff,
    StepCalled,
    StepNotSent,
    StepSucceeded,
    StepUnknown,
)
from saga_orchestrator.fsm.inputs import CallCompleted, Cancel, CircuitClosed, Pause, TimerFired
from saga_orchestrator.fsm.instructions import next_wakeup, pending_instructions
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.state import as_recorded, unrecorded_changes_of, with_unrecorded_changes
from saga_orchestrator.fsm.testing import (
    ACCEPTED,
    BUSY,
    CIRCUIT_OPEN,
    DONE,
    REJECTED,
    THROTTLED,
    UNKNOWN,
    Scenario,
    action_answer,
    call_name,
    compensation_answer,
    define,
    document,
    given,
    status_answer,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import MINUTE, mapped

POWERS = [1, 2, 4, 8, 16]
NEXT = 20 * MINUTE  # when whatever is waited for is due


def of(*steps: str) -> Scenario:
    return given(define(*steps))


def repeated(
    case: Scenario, answer: Callable[[], CallCompleted], times: int
) -> tuple[Scenario, dict[int, tuple[Event, ...]]]:
    """Return the scenario after `times` equal results, with the events that each recorded."""
    recorded: dict[int, tuple[Event, ...]] = {}
    for number in range(1, times + 1):
        if number > 1:
            case = case.when(TimerFired(), after=NEXT)
            assert len(case.calls) == 1
        case = case.when(answer())
        recorded[number] = case.events
    return case, recorded


def busy_pay(times: int, outcome: CallOutcome = BUSY, *, pay: str = "pay") -> Scenario:
    case = of("book", pay).when(action_answer("book", DONE))
    return repeated(case, lambda: action_answer("pay", outcome), times)[0]


@pytest.mark.parametrize("outcome", [BUSY, THROTTLED, CIRCUIT_OPEN])
def test_an_action_that_is_repeated_is_recorded_at_powers_of_two(outcome: CallOutcome) -> None:
    _, recorded = repeated(of("book"), lambda: action_answer("book", outcome), 20)

    assert [number for number, events in recorded.items() if events] == POWERS
    for number in POWERS:
        (event,) = recorded[number]
        assert isinstance(event, StepBackedOff)
        assert (event.times, event.attempt) == (number, 1)


def test_repeated_compensation_is_recorded_at_powers_of_two() -> None:
    case = of("book", "pay").when(action_answer("book", DONE)).when(action_answer("pay", REJECTED))
    case, recorded = repeated(case, lambda: compensation_answer("book", THROTTLED), 20)

    assert [number for number, events in recorded.items() if events] == POWERS
    assert all(isinstance(recorded[number][-1], CompensationBackedOff) for number in POWERS)
    case.when(TimerFired(), after=NEXT).then_no_events().then_calls("undo book#1")
    case.when(TimerFired(), after=NEXT).when(compensation_answer("book", DONE)).then_status(
        "compensated"
    )


def test_repeated_poll_is_recorded_at_powers_of_two() -> None:
    case = of("book poll").when(action_answer("book", ACCEPTED))
    asked = case.when(TimerFired(), after=MINUTE).then(StatusQueried(step="book", attempt=1))
    recorded = []
    for number in range(2, 12):
        asked = asked.when(status_answer("book", BUSY))
        recorded += [number - 1 for event in asked.events if isinstance(event, StepAccepted)]
        asked = asked.when(TimerFired(), after=MINUTE)
        asked.then_calls("status book#1")

    assert recorded == [1, 2, 4, 8]
    assert asked.step("book").polls == 11


def test_repeated_status_query_is_recorded_at_powers_of_two() -> None:
    case = of("book status").when(action_answer("book", UNKNOWN)).when(TimerFired(), after=MINUTE)
    case, recorded = repeated(case, lambda: status_answer("book", BUSY), 20)

    assert [number for number, events in recorded.items() if events] == POWERS
    assert case.step("book").attempts == 1


@pytest.mark.parametrize(
    ("end", "last"),
    [
        (DONE, StepSucceeded(step="pay", attempt=1)),
        (UNKNOWN, None),
        (THROTTLED, None),
    ],
)
def test_the_count_is_recorded_with_what_ends_it(end: CallOutcome, last: Event | None) -> None:
    case = busy_pay(11).when(TimerFired(), after=NEXT).then_no_events().then_calls("pay#1")

    case = case.when(action_answer("pay", end))

    counted = [event for event in case.events if isinstance(event, StepBackedOff)]
    assert counted[0].times == (12 if end is THROTTLED else 11)
    assert last is None or last in case.events


def test_an_answer_of_another_kind_is_news() -> None:
    case = busy_pay(11, THROTTLED).when(TimerFired(), after=NEXT).when(action_answer("pay", BUSY))

    assert case.step("pay").was_busy
    assert as_recorded(case.state).step("pay").was_busy


def test_a_crash_finds_the_call_in_the_log_and_its_attempt_and_doubts_it() -> None:
    case = busy_pay(11, THROTTLED)
    logged = Scenario(now=case.now, latest_saga=saga_as_logged(case), events=())

    assert [call_name(instruction) for instruction in pending_instructions(logged.saga)] == [
        "pay#1"
    ]
    assert logged.step("pay").repetitions == 8
    again = logged.when(action_answer("pay", THROTTLED, resent=True))
    (event,) = again.events
    assert isinstance(event, StepBackedOff)
    assert (event.times, event.resent) == (9, True)
    again.when(Cancel()).then_calls("undo pay#1")


def test_a_wait_that_is_recorded_survives_a_crash_as_it_is() -> None:
    case = busy_pay(8, THROTTLED)

    assert as_recorded(case.state) == case.state
    assert next_wakeup(case.saga) == case.step("pay").next_attempt_at
    case.when(Cancel()).then_status("compensating", pay="not_sent")


@pytest.mark.parametrize("pay", ["pay", "pay pivot"])
def test_a_cancel_while_it_waits_finds_out_that_it_was_not_executed(pay: str) -> None:
    case = busy_pay(11, THROTTLED, pay=pay).when(Cancel())

    counted, turned, settled, _ = case.events
    assert isinstance(counted, StepBackedOff)
    assert counted.times == 11
    assert isinstance(turned, CompensationStarted)
    assert settled == StepNotSent(step="pay", attempt=1, error="429 not now")


def test_a_cancel_while_it_is_out_waits_for_it() -> None:
    case = busy_pay(11, THROTTLED, pay="pay pivot").when(TimerFired(), after=NEXT)

    case = case.when(Cancel(reason="enough"))

    assert [type(event) for event in case.events] == [
        StepBackedOff,
        StepCalled,
        CompensationRequested,
    ]
    case.when(action_answer("pay", THROTTLED)).then_status("compensating", pay="not_sent")
    case.when(action_answer("pay", UNKNOWN)).then_status("running", pay="backing_off")


def test_a_busy_one_is_undone() -> None:
    case = busy_pay(11).when(Cancel())

    assert isinstance(case.events[2], StepUnknown)
    case.then_calls("undo pay#1")


def test_a_pause_finds_all_recorded() -> None:
    case = busy_pay(11, THROTTLED).when(Pause())

    assert [type(event) for event in case.events] == [StepBackedOff, SagaPaused]
    assert as_recorded(case.state) == case.state


def test_withheld_call_is_not_recorded_as_called() -> None:
    open_circuits = {"book-service": OpenCircuit(MINUTE)}
    saga = given(define("rest sleep=1m", "book")).saga
    now = saga.state.updated_at + MINUTE
    woken = decide(saga, TimerFired(), now=now, jitter=0, open_circuits=open_circuits)

    assert [type(event) for event in woken.events] == [StepSucceeded, StepBackedOff]
    assert (woken.calls, woken.saga.status_of("book")) == ((), "backing_off")
    recorded = []
    saga = woken.saga
    for number in range(2, 18):
        now += NEXT
        decision = decide(saga, TimerFired(), now=now, jitter=0, open_circuits=open_circuits)
        recorded += [number] * bool(decision.events)
        assert decision.calls == ()
        saga = decision.saga
    assert recorded == POWERS[1:]
    back = decide(saga, CircuitClosed("book-service"), now=now, jitter=0)
    assert [type(event) for event in back.events] == [StepBackedOff, StepCalled]
    assert [call_name(call) for call in back.calls] == ["book#1"]


def test_call_that_cannot_be_built_parks_though_its_circuit_is_open() -> None:
    body = {"of": "${steps.book.output.id}"}
    action = {"path": "/pay", "body": body}
    case = given(mapped(dict(document("book", "pay")), 1, action=action))
    saga, now = case.saga, case.state.updated_at
    parked = decide(
        saga,
        action_answer("book", DONE),
        now=now,
        jitter=0,
        open_circuits={"pay-service": OpenCircuit(MINUTE)},
    )

    assert (parked.saga.state.status, parked.saga.status_of("pay")) == ("parked", "pending")
    assert "skip" in allowed_actions(parked.saga)


def test_evicted_saga_keeps_its_unrecorded_changes() -> None:
    case = busy_pay(11, THROTTLED)

    assert (
        with_unrecorded_changes(as_recorded(case.state), unrecorded_changes_of(case.state))
        == case.state
    )
    assert is_idle(case.saga)


def test_unrecorded_changes_of_an_earlier_version_are_void() -> None:
    case = busy_pay(11, THROTTLED)
    later = case.when(Pause()).state

    assert with_unrecorded_changes(later, unrecorded_changes_of(case.state)) == later


@drawn(st.lists(st.sampled_from([BUSY, THROTTLED, CIRCUIT_OPEN]), max_size=70))
def test_alternating_results_are_recorded_rarely(outcomes: list[CallOutcome]) -> None:
    case, events = of("book"), 0
    for outcome in outcomes:
        case = case.when(action_answer("book", outcome))
        events += len(case.events)
        case = case.when(TimerFired(), after=NEXT)
        events += len(case.events)

    assert events <= 2 * (7 + 3)
    assert case.step("book").repetitions == len(outcomes)
    assert case.step("book").was_busy == (BUSY in outcomes)


def saga_as_logged(case: Scenario) -> Saga:
    """Return the saga as another process reads it."""
    return Saga(case.saga.definition, as_recorded(case.state))
