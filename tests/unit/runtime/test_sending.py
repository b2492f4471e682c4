"""What a process that stops records: all that it knows, and nothing that it would send next."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.command import wake_up
from saga_orchestrator.fsm.decide import Decision, decide
from saga_orchestrator.fsm.happening import (
    CallAnswered,
    Happening,
    ProcessLeaves,
    StartRequested,
    TimePassed,
)
from saga_orchestrator.fsm.outcome import Direction, Verdict
from saga_orchestrator.fsm.runtime.sending import without_calls
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.state import as_recorded
from saga_orchestrator.fsm.testing import NOON, SAGA_ID, Process, define
from saga_orchestrator.fsm.testing.answers import BUSY, DONE, REJECTED, THROTTLED

HOUR = timedelta(hours=1)


def begun(*steps: str) -> Process:
    request = StartRequested(entity_id=1, input={})
    return Process(define(*steps), SAGA_ID, request, now=NOON)


def repeat(process: Process, step: str, verdict: Verdict, times: int) -> None:
    """`step` is answered so often with `verdict`, and waits."""
    for number in range(times):
        if number:
            due = wake_up(process.saga)
            assert due is not None
            process.happen(TimePassed(), now=due)
        sent = next(one for one in process.sent if one.call.step == step)
        process.receive(sent, verdict, now=process.now)


def stopping(process: Process, happening: Happening) -> Decision:
    """As a process decides that sends nothing any more, with what that leaves in the log."""
    before = process.saga
    decision = decide(before, happening, now=process.now, jitter=0.5)
    decision = without_calls(before, decision)
    process._commit(decision)
    assert decision.calls == ()
    assert process.replayed().state == as_recorded(decision.saga.state)
    return decision


def known(saga: Saga, step: str) -> tuple[str, int]:
    state = saga.state.step(step)
    return state.status, state.times


@pytest.mark.parametrize("times", range(1, 10))
@pytest.mark.parametrize("verdict", [BUSY, THROTTLED])
def test_a_repetition_is_recorded_when_a_process_leaves(verdict: Verdict, times: int) -> None:
    process = begun("book", "pay")
    repeat(process, "book", verdict, times)

    stopping(process, ProcessLeaves())
    assert known(process.replayed(), "book") == ("backing_off", times)


@pytest.mark.parametrize("times", range(1, 10))
@pytest.mark.parametrize("verdict", [BUSY, THROTTLED])
def test_so_is_one_of_a_compensation(verdict: Verdict, times: int) -> None:
    process = begun("book", "pay")
    repeat(process, "book", DONE, 1)
    repeat(process, "pay", REJECTED, 1)
    repeat(process, "book", verdict, times)

    stopping(process, ProcessLeaves())
    assert known(process.replayed(), "book") == ("compensation_backing_off", times)


@pytest.mark.parametrize("times", range(2, 10))
@pytest.mark.parametrize("verdict", [BUSY, THROTTLED])
def test_one_that_is_answered_while_a_process_stops_is_recorded(
    verdict: Verdict, times: int
) -> None:
    process = begun("book", "pay")
    repeat(process, "book", verdict, times - 1)
    due = wake_up(process.saga)
    assert due is not None
    process.happen(TimePassed(), now=due)

    stopping(process, process.sent[0].answered(verdict))
    assert known(process.replayed(), "book") == ("backing_off", times)


@pytest.mark.parametrize("times", range(1, 10))
def test_what_is_answered_after_that_follows_it_once(times: int) -> None:
    process = begun("book", "pay after=")
    paid = next(one for one in process.sent if one.call.step == "pay")
    repeat(process, "book", THROTTLED, times)

    stopping(process, ProcessLeaves())
    before = len(process.log)
    stopping(process, paid.answered(DONE))
    assert [type(one).__name__ for one in process.history[before:]] == ["StepSucceeded"]


def test_an_answer_is_recorded_and_the_next_call_is_left_to_the_next_process() -> None:
    process = begun("book", "pay")
    answer = CallAnswered(step="book", direction=Direction.ACTION, attempt=1, verdict=DONE)

    stopping(process, answer)
    assert process.replayed().status_of("pay") == "pending"
    process.now += HOUR
    process.happen(TimePassed(), now=process.now)
    assert process.replayed().status_of("pay") == "calling"
