"""Section 3: what the outcomes do to attempts and waits; R8: each wait has a wake-up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given as drawn
from saga_orchestrator.fsm.events import (
    SagaFellDue,
    StepBackedOff,
    StepCalled,
)
from saga_orchestrator.fsm.happening import TimePassed
from saga_orchestrator.fsm.outcome import Outcome, Verdict
from saga_orchestrator.fsm.testing import (
    BUSY,
    NOON,
    NOT_SENT,
    THROTTLED,
    UNKNOWN,
    answered,
    define,
    given,
    throttled,
)
from saga_orchestrator.fsm.testing.strategies import jitters
from saga_orchestrator.tests.unit.fsm.decide.cases import FIRST_WAIT, MINUTE, SECOND, TWO


@drawn(jitters)
def test_a_busy_step_is_asked_again_after_the_first_wait_without_jitter(jitter: float) -> None:
    case = given(TWO)
    for _ in range(4):
        case = case.when(answered("book", BUSY), jitter=jitter)
        assert case.step("book").next_attempt_at == case.now + FIRST_WAIT
        case = case.when(TimePassed(), after=FIRST_WAIT).then_calls("book#1")


def test_a_throttled_step_waits_as_it_is_told() -> None:
    case = given(TWO).when(answered("book", throttled(7 * SECOND)))
    not_told = given(TWO).when(answered("book", THROTTLED))

    assert case.step("book").next_attempt_at == NOON + 7 * SECOND
    assert not_told.step("book").next_attempt_at == NOON + FIRST_WAIT
    case.when(TimePassed(), after=7 * SECOND).then_calls("book#1")


@pytest.mark.parametrize("verdict", [BUSY, THROTTLED])
def test_busy_and_throttled_use_no_attempt_up(verdict: Verdict) -> None:
    case = given(define("book attempts=1"))
    for _ in range(20):
        case = case.when(answered("book", verdict)).when(TimePassed(), after=MINUTE)

    case.then_calls("book#1")


@drawn(jitters)
def test_the_wait_after_an_unknown_attempt_grows_and_has_jitter(jitter: float) -> None:
    case = given(TWO)
    for attempt in range(1, 5):
        case = case.when(answered("book", UNKNOWN, attempt=attempt), jitter=jitter)
        wait = FIRST_WAIT * 2 ** (attempt - 1) * jitter
        assert case.step("book").next_attempt_at == case.now + wait
        case = case.when(TimePassed(), after=MINUTE).then_calls(f"book#{attempt + 1}")


def test_by_default_an_action_is_tried_five_times() -> None:
    case = given(TWO)
    for attempt in range(1, 5):
        case = case.when(answered("book", NOT_SENT, attempt=attempt))
        case = case.when(TimePassed(), after=MINUTE).then_calls(f"book#{attempt + 1}")

    case.when(answered("book", NOT_SENT, attempt=5)).then_status("compensated", book="not_sent")


def test_nothing_is_sent_before_its_time() -> None:
    case = given(TWO).when(answered("book", BUSY))

    case.when(TimePassed(), after=FIRST_WAIT - timedelta(microseconds=1)).then()


def test_what_is_waited_for_is_recorded() -> None:
    given(TWO).when(answered("book", UNKNOWN, resent=True), jitter=0.5).then(
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
    case.when(TimePassed(), after=MINUTE / 2).then()

    case.when(TimePassed(), after=MINUTE).then(
        SagaFellDue(), StepCalled(step="book", attempt=1)
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
