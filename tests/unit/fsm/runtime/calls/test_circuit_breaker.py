from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import Outcome
from saga_orchestrator.fsm.runtime.calls.circuit_breaker import (
    FAILURES_TO_OPEN,
    RECHECK_SPREAD,
    CircuitBreaker,
    CircuitState,
)
from saga_orchestrator.tests.support.in_memory_service import NOON

SECOND = timedelta(seconds=1)
AN_ANSWER = [
    outcome
    for outcome in Outcome
    if outcome not in (Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.CIRCUIT_OPEN)
]


def failing(breaker: CircuitBreaker, times: int = FAILURES_TO_OPEN) -> CircuitBreaker:
    for _ in range(times):
        assert breaker.record(Outcome.NOT_SENT, NOON) is False
    return breaker


def an_open_breaker() -> CircuitBreaker:
    """It lets the first probe through two seconds after noon."""
    return failing(CircuitBreaker())


@pytest.mark.parametrize("trouble", [Outcome.UNKNOWN, Outcome.NOT_SENT])
def test_circuit_opens_after_the_limit_of_failures_in_a_row(trouble: Outcome) -> None:
    breaker = failing(CircuitBreaker(), FAILURES_TO_OPEN - 1)
    assert breaker.should_hold(NOON) is False

    breaker.record(trouble, NOON)

    assert (breaker.state, breaker.should_hold(NOON)) == (CircuitState.OPEN, True)


@pytest.mark.parametrize("answer", AN_ANSWER)
def test_any_answer_resets_the_failures(answer: Outcome) -> None:
    breaker = failing(CircuitBreaker(), FAILURES_TO_OPEN - 1)

    assert breaker.record(answer, NOON) is False

    failing(breaker, FAILURES_TO_OPEN - 1)
    assert breaker.state is CircuitState.CLOSED


def test_first_call_after_the_open_time_is_the_probe_and_others_wait() -> None:
    breaker = an_open_breaker()

    holds = [breaker.should_hold(NOON + seconds * SECOND) for seconds in (0, 1.9, 2, 2, 3.9)]

    assert holds == [True, True, False, True, True]
    assert breaker.state is CircuitState.HALF_OPEN


def test_clock_that_steps_back_does_not_keep_the_circuit_open() -> None:
    breaker = an_open_breaker()

    assert breaker.should_hold(NOON - timedelta(hours=1)) is False


def test_successful_probe_closes_the_circuit_and_is_reported_once() -> None:
    breaker = an_open_breaker()
    breaker.should_hold(NOON + 2 * SECOND)

    closed = [breaker.record(Outcome.DONE, NOON + 3 * SECOND) for _ in range(2)]

    assert closed == [True, False]
    assert breaker.should_hold(NOON + 3 * SECOND) is False
    assert failing(breaker, FAILURES_TO_OPEN - 1).state is CircuitState.CLOSED


def test_failed_probe_doubles_the_open_time_up_to_a_cap() -> None:
    breaker, now, rests = an_open_breaker(), NOON, []

    for _ in range(7):
        assert breaker.open_until is not None
        rests.append((breaker.open_until - now) / SECOND)
        now = breaker.open_until
        assert breaker.should_hold(now) is False
        breaker.record(Outcome.UNKNOWN, now)

    assert rests == [2, 4, 8, 16, 30, 30, 30]


def test_probe_without_a_result_is_followed_by_another_probe() -> None:
    breaker = an_open_breaker()
    assert breaker.should_hold(NOON + 2 * SECOND) is False

    holds = [breaker.should_hold(NOON + seconds * SECOND) for seconds in (3.9, 4, 4)]

    assert holds == [True, False, True]


def test_late_failures_of_earlier_calls_do_not_prolong_the_open_time() -> None:
    breaker = an_open_breaker()

    breaker.record(Outcome.UNKNOWN, NOON + SECOND)

    assert (breaker.openings, breaker.open_until) == (1, NOON + 2 * SECOND)


@pytest.mark.parametrize("jitter", [0.0, 0.5])
def test_held_call_has_a_time_to_retry(jitter: float) -> None:
    outcome = an_open_breaker().hold("one", NOON + SECOND, jitter)

    assert (outcome.kind, outcome.may_have_happened) == (Outcome.CIRCUIT_OPEN, False)
    assert outcome.retry_after == SECOND + jitter * RECHECK_SPREAD


def test_held_saga_is_returned_once() -> None:
    breaker = an_open_breaker()
    for saga_id in ("one", "other", "one"):
        breaker.hold(saga_id, NOON, 0.5)

    assert breaker.take_held() == {"one", "other"}
    assert breaker.take_held() == set()


def test_call_without_a_slot_neither_opens_nor_closes_the_circuit() -> None:
    breaker = an_open_breaker()

    closed = breaker.record(Outcome.CIRCUIT_OPEN, NOON)

    assert (closed, breaker.state, breaker.failures) == (
        False,
        CircuitState.OPEN,
        FAILURES_TO_OPEN,
    )
