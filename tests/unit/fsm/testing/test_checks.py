"""Each promise is broken once on purpose, and must be found broken."""

from __future__ import annotations

import dataclasses
from contextlib import suppress

import pytest
from msgspec.structs import replace
from saga_orchestrator.fsm.call_outcome import Direction
from saga_orchestrator.fsm.codec import encode
from saga_orchestrator.fsm.errors import CorruptStream
from saga_orchestrator.fsm.events import (
    CallbackReceived,
    Cause,
    CompensationCalled,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    Event,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaParked,
    SagaPaused,
    SagaResumed,
    SagaUnparked,
    StepCalled,
    StepNotSent,
    StepRejected,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from saga_orchestrator.fsm.inputs import Abandon, StartSaga
from saga_orchestrator.fsm.testing import (
    NOON,
    SAGA_ID,
    LogRow,
    ParticipantBehavior,
    ParticipantsModel,
    SimulatedProcess,
    define,
    violated_invariants,
)
from saga_orchestrator.fsm.testing.back_promises import pivots_hold
from saga_orchestrator.fsm.testing.checks import (
    callbacks_count,
    nothing_is_forgotten,
    pauses_hold,
    replay_tells_the_same,
    the_idle_can_be_forgotten,
)
from saga_orchestrator.fsm.testing.participants_model import Effect
from saga_orchestrator.fsm.testing.undo_promises import failures_stop

TWO = define("book", "pay")
REQUEST = StartSaga(entity_id="order-1", input={})
BACK = CompensationStarted(cause=Cause.STEP_FAILED, error="no")


def called(step: str) -> StepCalled:
    return StepCalled(step=step, attempt=1)


def done(step: str) -> StepSucceeded:
    return StepSucceeded(step=step, attempt=1)


def undo(step: str) -> CompensationCalled:
    return CompensationCalled(step=step, attempt=1)


BOTH_DONE: list[Event] = [called("book"), done("book"), called("pay"), done("pay")]
LIES: dict[str, tuple[list[Event], str]] = {
    "an end that goes on": ([*BOTH_DONE, SagaCompleted(), called("pay")], "follows the completion"),
    "an undo that goes on": ([BACK, SagaCompensated(), called("pay")], "follows the end"),
    "an undo over a call": ([called("book"), BACK, undo("book")], "may still run"),
    "an undo in order": ([*BOTH_DONE, BACK, undo("book"), undo("pay")], "in the order"),
    "an undo of nothing": (
        [called("book"), StepRejected(step="book", attempt=1, error="no"), BACK, undo("book")],
        "has nothing to undo",
    ),
    "a life after the giving up": (
        [SagaAbandoned(reason="enough"), called("book")],
        "follows the giving up",
    ),
    "an undo before that of a later step": ([*BOTH_DONE, BACK, undo("book")], "came after it"),
    "a call in a pause": ([SagaPaused(), called("book")], "in a pause"),
    "a wait in a pause": ([SagaPaused(), WaitStarted(step="book", until=NOON)], "in a pause"),
    "a completion of nothing": ([*BOTH_DONE, SagaCompleted()], "completed without"),
    "a list that is too short": ([called("book"), SagaParked(reason="no")], "not done, but it is"),
    "one on the way back": (
        [called("book"), done("book"), BACK, SagaParked(reason="no")],
        "not undone, but it is",
    ),
}


def told(events: list[Event]) -> SimulatedProcess:
    """A process whose log is made up."""
    process = SimulatedProcess(TWO, SAGA_ID, REQUEST, now=NOON)
    process.log = process.log[:1] + [
        LogRow(one.type_name, one.schema_version, encode(one), NOON) for one in events
    ]
    process.states_by_version = {}
    with suppress(CorruptStream):
        process.saga = process.replayed()
    return process


def driven(*fates: ParticipantBehavior) -> tuple[SimulatedProcess, ParticipantsModel]:
    process, participants = SimulatedProcess(TWO, SAGA_ID, REQUEST, now=NOON), ParticipantsModel()
    for fate in fates:
        sent = process.in_flight[0]
        process.receive(sent, participants.answer(sent.call, fate), now=NOON)
    return process, participants


@pytest.mark.parametrize(("events", "complaint"), LIES.values(), ids=LIES.keys())
def test_a_made_up_history_is_found_out(events: list[Event], complaint: str) -> None:
    assert complaint in "; ".join(violated_invariants(told(events), ParticipantsModel()))


@pytest.mark.parametrize(
    "fates",
    [
        (),
        (ParticipantBehavior.DONE, ParticipantBehavior.DONE),
        (ParticipantBehavior.DONE, ParticipantBehavior.REJECTED, ParticipantBehavior.DONE),
        (ParticipantBehavior.DONE, ParticipantBehavior.REJECTED, ParticipantBehavior.REJECTED),
        (ParticipantBehavior.TOO_LARGE,),
    ],
)
def test_what_really_happened_breaks_no_promise(fates: tuple[ParticipantBehavior, ...]) -> None:
    assert violated_invariants(*driven(*fates)) == []


def test_an_undo_after_a_failure_that_stops_is_found_out() -> None:
    failed = CompensationFailed(step="pay", attempt=1, error="no")

    assert len(list(failures_stop(TWO, [failed, undo("book")]))) == 1
    assert list(failures_stop(TWO, [failed, SagaUnparked(back=True), undo("pay")])) == []
    assert list(failures_stop(define("book", "pay continue"), [failed, undo("book")])) == []


def test_a_pivot_that_is_turned_back_on_is_found_out() -> None:
    history: list[Event] = [called("book"), done("book"), BACK, undo("book")]

    assert len(list(pivots_hold(define("book pivot", "pay"), history))) == 2


@pytest.mark.parametrize(
    "end",
    [SagaResumed(), CompensationRequested(), BACK, SagaAbandoned(reason="enough"), called("book")],
)
def test_a_pause_holds_until_it_ends(end: Event) -> None:
    found = list(pauses_hold([SagaPaused(), end, undo("book")]))

    assert len(found) == (2 if end == called("book") else 0)


def test_what_stays_and_is_not_named_is_found_out() -> None:
    process, participants = driven(ParticipantBehavior.DONE)
    process.handle(Abandon(reason="enough"), now=NOON)
    assert violated_invariants(process, participants) == []

    given_up = dataclasses.replace(process.log[-1], payload=encode(SagaAbandoned(reason="enough")))
    process.log[-1] = given_up
    assert "abandoned without a word of ['book']" in violated_invariants(process, participants)


def test_steps_that_were_done_in_another_order_are_found_out() -> None:
    process, participants = driven(ParticipantBehavior.DONE, ParticipantBehavior.DONE)
    participants.effects.reverse()

    assert violated_invariants(process, participants) == [
        "pay was done before ['book'], which it comes after"
    ]


def test_an_effect_that_still_stands_is_found_out() -> None:
    process, participants = driven(
        ParticipantBehavior.DONE, ParticipantBehavior.REJECTED, ParticipantBehavior.DONE
    )
    participants.effects.remove(Effect("book", Direction.COMPENSATION))

    assert violated_invariants(process, participants) == ["compensated, and ['book'] still stand"]


def test_an_effect_that_happened_twice_is_found_out() -> None:
    process, participants = driven(ParticipantBehavior.DONE, ParticipantBehavior.DONE)
    participants.effects.append(Effect("pay", Direction.ACTION))

    assert "done were ['book', 'pay', 'pay']" in violated_invariants(process, participants)[0]


def test_an_effect_that_was_undone_at_completion_is_found_out() -> None:
    process, participants = driven(ParticipantBehavior.DONE, ParticipantBehavior.DONE)
    participants.effects.append(Effect("pay", Direction.COMPENSATION))

    assert violated_invariants(process, participants) == ["completed, and undone were ['pay']"]


def test_a_step_that_is_called_done_and_is_not_is_found_out() -> None:
    process, participants = driven(ParticipantBehavior.TOO_LARGE)
    participants.effects.clear()

    assert violated_invariants(process, participants) == ["['book'] are called done"]


def test_a_call_without_an_intent_is_found_out() -> None:
    process, participants = driven()
    participants.received.append(replace(process.in_flight[0].call, attempt=2))

    assert violated_invariants(process, participants) == ["book action 2 was never recorded"]


def test_a_key_that_changes_is_found_out() -> None:
    process, participants = driven()
    participants.received.append(replace(process.in_flight[0].call, key="another"))

    assert violated_invariants(process, participants) == ["the key another is not that of book"]


def test_a_request_that_changes_under_its_key_is_found_out() -> None:
    process, participants = driven(ParticipantBehavior.DONE)
    first = participants.received[0]
    participants.received.append(replace(first, body=b"1"))

    assert violated_invariants(process, participants) == [f"{first.key} was sent with two requests"]


def test_a_state_that_the_log_does_not_tell_is_found_out() -> None:
    process, _ = driven(ParticipantBehavior.DONE)
    version = process.saga.state.version
    process.states_by_version[version] = replace(
        process.states_by_version[version], error="made up"
    )
    process.log.append(process.log[-1])

    found = list(replay_tells_the_same(process))

    assert found == [
        f"replay differs at version {version}",
        f"version {version} of {version + 1} events",
    ]


def test_a_saga_that_waits_for_nothing_is_found_out() -> None:
    waiting = told([called("book"), done("book")]).saga

    assert list(nothing_is_forgotten(waiting)) == ["running, and waits for nothing"]


def test_an_idle_saga_that_nothing_wakes_is_found_out() -> None:
    waiting = told([WaitStarted(step="book", signal="go")]).saga

    assert list(the_idle_can_be_forgotten(waiting)) == ["idle, and nothing wakes it"]


def test_a_saga_that_rests_over_a_call_is_found_out() -> None:
    resting = told([called("book"), SagaParked(reason="no", not_done=("book", "pay"))]).saga

    assert list(nothing_is_forgotten(resting)) == ["parked, and ['book'] is under way"]


@pytest.mark.parametrize(
    "ended",
    [
        StepUnknown(step="pay", attempt=1, error="lost"),
        StepNotSent(step="pay", attempt=1, error="refused"),
    ],
)
def test_a_callback_that_counts_for_nothing_is_found_out(ended: Event) -> None:
    heard = CallbackReceived(step="pay", done=True)

    assert len(list(callbacks_count([heard, ended]))) == 1
    assert list(callbacks_count([heard, done("pay"), ended])) == []
    assert list(callbacks_count([heard, BACK, ended])) == []
