"""An active saga: its watchers, and the decisions of a process that stops."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome, Direction
from saga_orchestrator.fsm.decider.decide import decide
from saga_orchestrator.fsm.decider.decision import Decision
from saga_orchestrator.fsm.inputs import (
    CallCompleted,
    ForwardedInput,
    Input,
    ProcessStops,
    Retry,
    StartSaga,
    TimerFired,
)
from saga_orchestrator.fsm.instructions import next_wakeup
from saga_orchestrator.fsm.runtime.active_saga import (
    ActiveSaga,
    is_at_rest,
    without_calls,
)
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.state import as_recorded
from saga_orchestrator.fsm.testing import (
    NOON,
    SAGA_ID,
    SimulatedProcess,
    action_answer,
    compensation_answer,
    define,
    given,
)
from saga_orchestrator.fsm.testing.replies import BUSY, DONE, REJECTED, THROTTLED
from saga_orchestrator.tests.support.in_memory_service import in_memory_service

NOBODY = given(define("book", "pay")).saga
BOOKED = given(define("book", "pay")).when(action_answer("book", DONE)).saga
AT_REST = given(define("book")).when(action_answer("book", REJECTED)).saga


async def active_saga(saga: Saga) -> ActiveSaga:
    return ActiveSaga(saga, (await in_memory_service()).driver)


async def test_watcher_of_a_fulfilled_condition_does_not_wait() -> None:
    active = await active_saga(AT_REST)

    assert await active.wait_for(is_at_rest) is AT_REST


async def test_watcher_gets_the_first_state_that_fulfils_its_condition() -> None:
    active = await active_saga(NOBODY)
    booked = active.wait_for(lambda saga: saga.state.version >= 4)
    resting = active.wait_for(is_at_rest)

    active.update(BOOKED)

    assert booked.result() is BOOKED
    assert not resting.done()
    active.update(AT_REST)
    assert resting.result() is AT_REST


async def test_cancelled_watcher_does_not_affect_the_others() -> None:
    active = await active_saga(NOBODY)
    gone, left = active.wait_for(is_at_rest), active.wait_for(is_at_rest)
    gone.cancel()

    active.update(AT_REST)

    assert left.result() is AT_REST


async def test_released_watcher_gets_the_newest_state() -> None:
    active = await active_saga(NOBODY)
    waiting = [active.wait_for(is_at_rest) for _ in range(3)]
    active.update(BOOKED)

    active.release_watchers()

    assert await asyncio.gather(*waiting) == [BOOKED] * 3
    active.update(AT_REST)
    assert active.saga is AT_REST


def test_sagas_of_these_tests_have_the_status_of_their_name() -> None:
    def summary(saga: Saga) -> tuple[str, int]:
        return saga.state.status, saga.state.version

    assert [summary(NOBODY), summary(BOOKED)] == [("running", 2), ("running", 4)]
    assert is_at_rest(AT_REST)


HOUR = timedelta(hours=1)


def begun(*steps: str) -> SimulatedProcess:
    request = StartSaga(entity_id=1, input={})
    return SimulatedProcess(define(*steps), SAGA_ID, request, now=NOON)


def repeat(process: SimulatedProcess, step: str, outcome: CallOutcome, times: int) -> None:
    """`step` is answered so often with `verdict`, and waits."""
    for number in range(times):
        if number:
            due = next_wakeup(process.saga)
            assert due is not None
            process.handle(TimerFired(), now=due)
        sent = next(call for call in process.in_flight if call.call.step == step)
        process.receive(sent, outcome, now=process.now)


def stopping(process: SimulatedProcess, happening: Input) -> Decision:
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
    return state.status, state.repetitions


def test_forwarded_input_is_marked_as_applied_though_its_calls_are_not_sent() -> None:
    """Else the next owner of the shard would apply it a second time."""
    compensating = (
        given(define("book", "pay"))
        .when(action_answer("book", DONE))
        .when(action_answer("pay", REJECTED))
    )
    before = compensating.when(compensation_answer("book", REJECTED)).saga
    assert before.state.status == "parked"
    retry = ForwardedInput(message_id="m-1", input=Retry())

    decision = without_calls(before, decide(before, retry, now=NOON, jitter=0.5))

    assert [event.type_name for event in decision.events] == [
        "SagaUnparked",
        "ForwardedInputApplied",
    ]
    assert decision.saga.state.applied_message_ids == {"m-1"}


@pytest.mark.parametrize("times", range(1, 10))
@pytest.mark.parametrize("outcome", [BUSY, THROTTLED])
def test_repetition_is_recorded_when_the_process_stops(outcome: CallOutcome, times: int) -> None:
    process = begun("book", "pay")
    repeat(process, "book", outcome, times)

    stopping(process, ProcessStops())
    assert known(process.replayed(), "book") == ("backing_off", times)


@pytest.mark.parametrize("times", range(1, 10))
@pytest.mark.parametrize("outcome", [BUSY, THROTTLED])
def test_repetition_of_a_compensation_is_recorded_when_the_process_stops(
    outcome: CallOutcome, times: int
) -> None:
    process = begun("book", "pay")
    repeat(process, "book", DONE, 1)
    repeat(process, "pay", REJECTED, 1)
    repeat(process, "book", outcome, times)

    stopping(process, ProcessStops())
    assert known(process.replayed(), "book") == ("compensation_backing_off", times)


@pytest.mark.parametrize("times", range(2, 10))
@pytest.mark.parametrize("outcome", [BUSY, THROTTLED])
def test_repetition_that_ends_during_the_stop_is_recorded(outcome: CallOutcome, times: int) -> None:
    process = begun("book", "pay")
    repeat(process, "book", outcome, times - 1)
    due = next_wakeup(process.saga)
    assert due is not None
    process.handle(TimerFired(), now=due)

    stopping(process, process.in_flight[0].result(outcome))
    assert known(process.replayed(), "book") == ("backing_off", times)


@pytest.mark.parametrize("times", range(1, 10))
def test_result_after_a_recorded_repetition_follows_it_once(times: int) -> None:
    process = begun("book", "pay after=")
    paid = next(call for call in process.in_flight if call.call.step == "pay")
    repeat(process, "book", THROTTLED, times)

    stopping(process, ProcessStops())
    before = len(process.log)
    stopping(process, paid.result(DONE))
    assert [type(event).__name__ for event in process.history[before:]] == ["StepSucceeded"]


def test_result_is_recorded_and_the_next_call_is_left_to_the_next_process() -> None:
    process = begun("book", "pay")
    answer = CallCompleted(step="book", direction=Direction.ACTION, attempt=1, outcome=DONE)

    stopping(process, answer)
    assert process.replayed().status_of("pay") == "pending"
    process.now += HOUR
    process.handle(TimerFired(), now=process.now)
    assert process.replayed().status_of("pay") == "calling"
