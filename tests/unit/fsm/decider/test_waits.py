"""The effect of outcomes on attempts and delays; R8: each wait has a wake-up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given as drawn
from saga_orchestrator.fsm.call_outcome import CallOutcome, Outcome
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.events import ScheduledStartReached, StepBackedOff, StepCalled
from saga_orchestrator.fsm.inputs import TimerFired
from saga_orchestrator.fsm.testing import (
    BUSY,
    CIRCUIT_OPEN,
    DONE,
    NOON,
    NOT_SENT,
    REJECTED,
    THROTTLED,
    UNKNOWN,
    action_answer,
    circuit_open,
    compensation_answer,
    define,
    given,
    throttled,
)
from saga_orchestrator.fsm.testing.strategies import jitters
from saga_orchestrator.tests.unit.fsm.decider.scenarios import FIRST_WAIT, MINUTE, SECOND, TWO


@drawn(jitters)
def test_a_busy_step_is_asked_again_after_its_first_wait_without_jitter(jitter: float) -> None:
    for first, wait in (("3s", 3 * SECOND), ("500ms", SECOND), ("0ms", SECOND)):
        case = given(waiting_for(first=first))
        for _ in range(10):
            case = case.when(action_answer("book", BUSY), jitter=jitter)
            assert case.step("book").next_attempt_at == case.now + wait
            case = case.when(TimerFired(), after=wait).then_calls("book#1")


@pytest.mark.parametrize(
    "outcome", [BUSY, THROTTLED, CIRCUIT_OPEN, throttled(timedelta()), circuit_open(SECOND)]
)
def test_repetitions_slow_down_to_the_cap_after_ten_times(
    outcome: CallOutcome,
) -> None:
    case, waits = given(waiting_for(first="1ms", cap="20s")), []
    for _ in range(17):
        case = case.when(action_answer("book", outcome))
        waits.append((case.step("book").next_attempt_at or case.now) - case.now)
        case = case.when(TimerFired(), after=waits[-1])

    assert [wait.total_seconds() for wait in waits] == [1] * 10 + [2, 4, 8, 16, 20, 20, 20]


def test_a_longer_wait_that_is_asked_for_is_kept_though_it_is_above_the_cap() -> None:
    case = given(waiting_for(first="1ms", cap="20s"))
    for _ in range(20):
        case = case.when(action_answer("book", throttled(2 * MINUTE)))
        assert case.step("book").next_attempt_at == case.now + 2 * MINUTE
        case = case.when(TimerFired(), after=2 * MINUTE)


def test_answers_that_use_no_attempt_up_are_counted_together_and_others_begin_anew() -> None:
    case = given(TWO)
    for times, outcome in enumerate([BUSY, THROTTLED, BUSY, CIRCUIT_OPEN], start=1):
        case = case.when(action_answer("book", outcome))
        assert case.step("book").repetitions == times
        case = case.when(TimerFired(), after=MINUTE)

    case = case.when(action_answer("book", UNKNOWN)).when(TimerFired(), after=MINUTE)
    assert case.when(action_answer("book", BUSY, attempt=2)).step("book").repetitions == 1


@pytest.mark.parametrize("outcome", [BUSY, THROTTLED])
def test_a_compensation_counts_its_own(outcome: CallOutcome) -> None:
    case = given(TWO).when(action_answer("book", BUSY)).when(TimerFired(), after=MINUTE)
    case = case.when(action_answer("book", DONE)).when(action_answer("pay", REJECTED))

    for times in (1, 2, 3):
        case = case.when(compensation_answer("book", outcome))
        assert case.step("book").repetitions == times
        case = case.when(TimerFired(), after=MINUTE).then_calls("undo book#1")


@pytest.mark.parametrize("outcome", [UNKNOWN, NOT_SENT])
def test_call_that_fails_for_long_is_repeated_at_most_once_a_second(
    outcome: CallOutcome,
) -> None:
    case = given(waiting_for(first="0ms", cap="0ms", attempts=1_000_000))
    for attempt in range(1, 20):
        case = case.when(action_answer("book", outcome, attempt=attempt))
        wait = SECOND if attempt > 10 else timedelta()
        assert case.step("book").next_attempt_at == case.now + wait
        case = case.when(TimerFired(), after=wait)


def waiting_for(**retry: object) -> Definition:
    """Return a definition of one step with this retry policy."""
    step = {"participant": "book-service", "action": {"path": "/book", "retry": retry}}
    form = {"saga": "trip", "version": 1, "steps": [{"name": "book", **step, "effect": "none"}]}
    return parse_definition(form)  # type: ignore[arg-type]


def test_throttled_step_waits_as_long_as_the_reply_says() -> None:
    case = given(TWO).when(action_answer("book", throttled(7 * SECOND)))
    not_told = given(TWO).when(action_answer("book", THROTTLED))

    assert case.step("book").next_attempt_at == NOON + 7 * SECOND
    assert not_told.step("book").next_attempt_at == NOON + SECOND
    case.when(TimerFired(), after=7 * SECOND).then_calls("book#1")


@pytest.mark.parametrize("outcome", [BUSY, THROTTLED])
def test_busy_and_throttled_use_no_attempt_up(outcome: CallOutcome) -> None:
    case = given(define("book attempts=1"))
    for _ in range(20):
        case = case.when(action_answer("book", outcome)).when(TimerFired(), after=MINUTE)

    case.then_calls("book#1")


@drawn(jitters)
def test_the_wait_after_an_unknown_attempt_grows_and_has_jitter(jitter: float) -> None:
    case = given(TWO)
    for attempt in range(1, 5):
        case = case.when(action_answer("book", UNKNOWN, attempt=attempt), jitter=jitter)
        wait = FIRST_WAIT * 2 ** (attempt - 1) * jitter
        assert case.step("book").next_attempt_at == case.now + wait
        case = case.when(TimerFired(), after=MINUTE).then_calls(f"book#{attempt + 1}")


def test_action_has_five_attempts_by_default() -> None:
    case = given(TWO)
    for attempt in range(1, 5):
        case = case.when(action_answer("book", NOT_SENT, attempt=attempt))
        case = case.when(TimerFired(), after=MINUTE).then_calls(f"book#{attempt + 1}")

    case.when(action_answer("book", NOT_SENT, attempt=5)).then_status(
        "compensated", book="not_sent"
    )


def test_no_call_is_sent_before_its_time() -> None:
    case = given(TWO).when(action_answer("book", BUSY))

    case.when(TimerFired(), after=SECOND - timedelta(microseconds=1)).then_nothing_happened()


def test_waits_are_recorded() -> None:
    given(TWO).when(action_answer("book", UNKNOWN, resent=True), jitter=0.5).then(
        StepBackedOff(
            step="book",
            attempt=1,
            outcome=Outcome.UNKNOWN,
            error="500 oops",
            until=NOON + FIRST_WAIT / 2,
            resent=True,
        )
    )


def test_a_start_that_is_put_off_waits_for_its_time() -> None:
    case = given(TWO, start_at=NOON + MINUTE).then_calls().then_status("pending")
    case.when(TimerFired(), after=MINUTE / 2).then_nothing_happened()

    case.when(TimerFired(), after=MINUTE).then(
        ScheduledStartReached(), StepCalled(step="book", attempt=1)
    ).then_calls("book#1")


@pytest.mark.parametrize("start_at", [NOON, NOON - MINUTE])
def test_a_start_whose_time_has_come_is_a_start(start_at: object) -> None:
    case = given(TWO, start_at=start_at)  # type: ignore[arg-type]

    assert case.then_calls("book#1").state.start_at is None


def test_a_deadline_counts_from_the_time_of_the_start() -> None:
    definition = define("book", deadline="1m")

    assert given(definition).state.deadline == NOON + MINUTE
    assert given(definition, start_at=NOON + SECOND).state.deadline == NOON + MINUTE + SECOND
    assert given(definition, deadline=NOON + SECOND).state.deadline == NOON + SECOND
    assert given(definition, deadline=SECOND).state.deadline == NOON + SECOND
