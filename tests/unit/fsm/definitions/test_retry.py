from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.retry import (
    MIN_REPETITION_DELAY,
    UNTHROTTLED_REPETITIONS,
    RetryPolicy,
)
from saga_orchestrator.fsm.testing.strategies import jitters

policies = st.builds(
    RetryPolicy,
    attempts=st.none() | st.integers(1, 1_000_000),
    first=st.timedeltas(timedelta(), timedelta(days=3660)),
    factor=st.floats(1, 100),
    cap=st.timedeltas(timedelta(), timedelta(days=3660)),
)
attempts = st.integers(1, 10**9)


def test_max_delay_doubles_from_first_to_cap() -> None:
    policy = RetryPolicy()

    seconds = [policy.max_delay(attempt).total_seconds() for attempt in range(1, 10)]

    assert seconds == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


@given(policies, attempts, jitters)
def test_delay_is_between_zero_and_the_cap(
    policy: RetryPolicy, attempt: int, jitter: float
) -> None:
    longest = policy.max_delay(attempt)
    assert longest <= policy.cap
    if attempt > UNTHROTTLED_REPETITIONS:
        longest = max(longest, MIN_REPETITION_DELAY)
    assert timedelta() <= policy.delay(attempt, jitter) <= longest


@given(policies, attempts)
def test_max_delay_never_decreases(policy: RetryPolicy, attempt: int) -> None:
    assert policy.max_delay(attempt) <= policy.max_delay(attempt + 1)


@given(policies, st.integers(1, UNTHROTTLED_REPETITIONS))
def test_full_jitter_reaches_the_max_delay(policy: RetryPolicy, attempt: int) -> None:
    assert policy.delay(attempt, 0) == timedelta()
    assert policy.delay(attempt, 0.5) * 2 - policy.max_delay(attempt) <= timedelta(microseconds=1)


@given(policies, st.integers(UNTHROTTLED_REPETITIONS + 1, 10**9), jitters)
def test_later_attempts_are_at_least_a_second_apart(
    policy: RetryPolicy, attempt: int, jitter: float
) -> None:
    assert policy.delay(attempt, jitter) >= MIN_REPETITION_DELAY


@given(policies, st.timedeltas(timedelta(), timedelta(minutes=5)), attempts)
def test_repetition_delay_is_at_least_the_interval_and_never_decreases(
    policy: RetryPolicy, interval: timedelta, times: int
) -> None:
    wait = policy.repetition_delay(interval, times)

    assert max(interval, MIN_REPETITION_DELAY) <= wait
    assert wait <= max(interval, MIN_REPETITION_DELAY, policy.cap)
    assert wait <= policy.repetition_delay(interval, times + 1)
    if times <= UNTHROTTLED_REPETITIONS:
        assert wait == max(interval, MIN_REPETITION_DELAY)


@pytest.mark.parametrize("jitter", [-0.1, 1.0, 2.0])
def test_jitter_outside_of_its_range_is_an_assertion_error(jitter: float) -> None:
    with pytest.raises(AssertionError):
        RetryPolicy().delay(1, jitter)


def test_attempts_count_from_one() -> None:
    with pytest.raises(AssertionError):
        RetryPolicy().max_delay(0)


def test_last_attempt_allows_no_other() -> None:
    policy = RetryPolicy(attempts=3)

    assert [policy.allows_another(attempt) for attempt in (1, 2, 3, 4)] == [
        True,
        True,
        False,
        False,
    ]


def test_unlimited_policy_always_allows_another_attempt() -> None:
    assert RetryPolicy(attempts=None).allows_another(10**9)
