"""What comes through another node counts once, however often it comes."""

from __future__ import annotations

from saga_orchestrator.fsm.errors import NotAllowed
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationStarted,
    MessageTaken,
    SagaPaused,
    SignalReceived,
)
from saga_orchestrator.fsm.happening import (
    AbandonAsked,
    CancelAsked,
    Happening,
    MessageDelivered,
    PauseAsked,
    ResumeAsked,
    SignalSent,
    StepReported,
    Verb,
)
from saga_orchestrator.fsm.testing import DONE, answered, define, given

WAITS = define("book", "approve signal=approval", "pay")
ONE = define("book")
TAKEN = MessageTaken(message_id="m1")


def message(happening: StepReported | Verb, message_id: str = "m1") -> Happening:
    return MessageDelivered(message_id=message_id, happening=happening)


def test_a_message_is_recorded_behind_what_comes_of_it() -> None:
    given(ONE).when(message(PauseAsked(actor="anna"))).then(SagaPaused(actor="anna"), TAKEN)


def test_what_follows_follows_in_the_same_append() -> None:
    back = CompensationStarted(cause=Cause.REQUEST, error="compensation was requested")

    settled = given(ONE).when(message(CancelAsked())).then(back, TAKEN)

    settled.when(answered("book", DONE)).then_calls("undo book#1")


def test_a_message_that_comes_again_changes_nothing() -> None:
    paused = given(ONE).when(message(PauseAsked()))

    paused.when(message(PauseAsked())).then()


def test_not_even_when_it_would_count_again() -> None:
    resumed = given(ONE).when(message(PauseAsked())).when(ResumeAsked())

    resumed.when(message(PauseAsked())).then().then_status("running")


def test_two_messages_are_two() -> None:
    signal = SignalSent(name="approval", body=1)
    heard = SignalReceived(name="approval", body=1)

    first = given(WAITS).when(message(signal)).then(heard, TAKEN)

    first.when(message(signal, "m2")).then(heard, MessageTaken(message_id="m2"))


def test_a_message_that_is_refused_is_not_recorded() -> None:
    refused = given(ONE).when(message(ResumeAsked())).then_refused(NotAllowed, "not paused")

    refused.then()


def test_a_message_that_changes_nothing_is_not_recorded() -> None:
    given(ONE).when(PauseAsked()).when(message(PauseAsked())).then()


def test_a_message_can_be_the_last_thing_that_happens() -> None:
    abandoned = given(ONE).when(message(AbandonAsked(reason="lost")))

    abandoned.then_status("abandoned")
    assert abandoned.events[-1] == TAKEN
