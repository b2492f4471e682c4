from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from saga_orchestrator.fsm.outcome import Outcome
from saga_orchestrator.fsm.runtime.breaker import FAILURES_TO_OPEN, SPREAD, Breaker, BreakerState
from saga_orchestrator.tests.world import NOON

SECOND = timedelta(seconds=1)
AN_ANSWER = [one for one in Outcome if one not in (Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.HELD)]


def at(time: datetime) -> Callable[[], datetime]:
    return lambda: time


def failing(breaker: Breaker, times: int = FAILURES_TO_OPEN) -> Breaker:
    for _ in range(times):
        assert breaker.saw(Outcome.NOT_SENT, at(NOON)) is False
    return breaker


def an_open_breaker() -> Breaker:
    """It lets the first probe through two seconds after noon."""
    return failing(Breaker())


@pytest.mark.parametrize("trouble", [Outcome.UNKNOWN, Outcome.NOT_SENT])
def test_it_opens_after_so_many_failures_in_a_row_and_not_before(trouble: Outcome) -> None:
    breaker = failing(Breaker(), FAILURES_TO_OPEN - 1)
    assert breaker.holds_back(NOON) is False

    breaker.saw(trouble, at(NOON))

    assert (breaker.state, breaker.holds_back(NOON)) == (BreakerState.OPEN, True)


@pytest.mark.parametrize("answer", AN_ANSWER)
def test_whoever_answers_at_all_is_there(answer: Outcome) -> None:
    breaker = failing(Breaker(), FAILURES_TO_OPEN - 1)

    assert breaker.saw(answer, at(NOON)) is False

    failing(breaker, FAILURES_TO_OPEN - 1)
    assert breaker.state is BreakerState.CLOSED


def test_after_its_time_one_call_is_the_probe_and_the_others_wait() -> None:
    breaker = an_open_breaker()

    held = [breaker.holds_back(NOON + seconds * SECOND) for seconds in (0, 1.9, 2, 2, 3.9)]

    assert held == [True, True, False, True, True]
    assert breaker.state is BreakerState.HALF_OPEN


def test_a_clock_that_steps_back_does_not_keep_it_open() -> None:
    breaker = an_open_breaker()

    assert breaker.holds_back(NOON - timedelta(hours=1)) is False


def test_a_probe_that_succeeds_closes_it_and_is_told_once() -> None:
    breaker = an_open_breaker()
    breaker.holds_back(NOON + 2 * SECOND)

    closed = [breaker.saw(Outcome.DONE, at(NOON + 3 * SECOND)) for _ in range(2)]

    assert closed == [True, False]
    assert breaker.holds_back(NOON + 3 * SECOND) is False
    assert failing(breaker, FAILURES_TO_OPEN - 1).state is BreakerState.CLOSED


def test_each_probe_that_fails_doubles_the_rest_up_to_a_cap() -> None:
    breaker, now, rests = an_open_breaker(), NOON, []

    for _ in range(7):
        assert breaker.until is not None
        rests.append((breaker.until - now) / SECOND)
        now = breaker.until
        assert breaker.holds_back(now) is False
        breaker.saw(Outcome.UNKNOWN, at(now))

    assert rests == [2, 4, 8, 16, 30, 30, 30]


def test_a_probe_that_is_never_heard_of_again_is_followed_by_another_one() -> None:
    breaker = an_open_breaker()
    assert breaker.holds_back(NOON + 2 * SECOND) is False

    held = [breaker.holds_back(NOON + seconds * SECOND) for seconds in (3.9, 4, 4)]

    assert held == [True, False, True]


def test_answers_that_were_under_way_when_it_opened_do_not_make_the_rest_longer() -> None:
    breaker = an_open_breaker()

    breaker.saw(Outcome.UNKNOWN, at(NOON + SECOND))

    assert (breaker.openings, breaker.until) == (1, NOON + 2 * SECOND)


@pytest.mark.parametrize("jitter", [0.0, 0.5])
def test_who_is_held_back_is_told_when_to_look_again(jitter: float) -> None:
    verdict = an_open_breaker().hold("one", NOON + SECOND, jitter)

    assert (verdict.outcome, verdict.may_have_happened) == (Outcome.HELD, False)
    assert verdict.retry_after == SECOND + jitter * SPREAD


def test_each_saga_that_was_held_back_is_told_of_once() -> None:
    breaker = an_open_breaker()
    for saga_id in ("one", "other", "one"):
        breaker.hold(saga_id, NOON, 0.5)

    assert breaker.take_held() == {"one", "other"}
    assert breaker.take_held() == set()


def test_a_call_that_had_no_turn_neither_opens_nor_closes_it() -> None:
    breaker = an_open_breaker()

    closed = breaker.saw(Outcome.HELD, at(NOON))

    assert (closed, breaker.state, breaker.failures) == (
        False,
        BreakerState.OPEN,
        FAILURES_TO_OPEN,
    )
