"""Inputs that other nodes forward are applied once."""

from __future__ import annotations

from saga_orchestrator.fsm.errors import NotAllowed
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationStarted,
    ForwardedInputApplied,
    SagaPaused,
    SignalReceived,
)
from saga_orchestrator.fsm.inputs import (
    Abandon,
    Cancel,
    ForwardedInput,
    Input,
    OperatorCommand,
    Pause,
    Resume,
    SendSignal,
    StepCallback,
)
from saga_orchestrator.fsm.testing import DONE, action_answer, define, given

WAITS = define("book", "approve signal=approval", "pay")
ONE = define("book")
TAKEN = ForwardedInputApplied(message_id="m1")


def message(input_: StepCallback | OperatorCommand, message_id: str = "m1") -> Input:
    return ForwardedInput(message_id=message_id, input=input_)


def test_a_message_is_recorded_behind_what_comes_of_it() -> None:
    given(ONE).when(message(Pause(actor="anna"))).then(SagaPaused(actor="anna"), TAKEN)


def test_consequences_of_a_message_are_in_the_same_append() -> None:
    back = CompensationStarted(cause=Cause.REQUEST, error="compensation was requested")

    settled = given(ONE).when(message(Cancel())).then(back, TAKEN)

    settled.when(action_answer("book", DONE)).then_calls("undo book#1")


def test_a_message_that_comes_again_changes_nothing() -> None:
    paused = given(ONE).when(message(Pause()))

    paused.when(message(Pause())).then_nothing_happened()


def test_repeated_message_changes_nothing_even_if_its_input_would_have_an_effect_again() -> None:
    resumed = given(ONE).when(message(Pause())).when(Resume())

    resumed.when(message(Pause())).then_nothing_happened().then_status("running")


def test_two_messages_are_two() -> None:
    signal = SendSignal(name="approval", body=1)
    heard = SignalReceived(name="approval", body=1)

    first = given(WAITS).when(message(signal)).then(heard, TAKEN)

    first.when(message(signal, "m2")).then(heard, ForwardedInputApplied(message_id="m2"))


def test_a_message_that_is_refused_is_not_recorded() -> None:
    refused = given(ONE).when(message(Resume())).then_refused(NotAllowed, "not paused")

    refused.then_nothing_happened()


def test_a_message_that_changes_nothing_is_not_recorded() -> None:
    given(ONE).when(Pause()).when(message(Pause())).then_nothing_happened()


def test_a_message_can_be_the_last_thing_that_happens() -> None:
    abandoned = given(ONE).when(message(Abandon(reason="lost")))

    abandoned.then_status("abandoned")
    assert abandoned.events[-1] == TAKEN
