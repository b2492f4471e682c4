"""A simulated saga is compared with its participants and with the memory of its process."""

from __future__ import annotations

import dataclasses

import pytest
from msgspec.structs import replace
from saga_orchestrator.fsm.call_outcome import Direction
from saga_orchestrator.fsm.codec import encode
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.events import Resolution, SagaAbandoned
from saga_orchestrator.fsm.inputs import Abandon, Compensate, ResolveStep, Retry, StartSaga
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.testing import (
    NOON,
    SAGA_ID,
    ParticipantBehavior,
    ParticipantsModel,
    SimulatedProcess,
    define,
    violated_invariants,
)
from saga_orchestrator.fsm.testing.participants_model import Effect
from saga_orchestrator.fsm.testing.simulated_process import SentCall

TWO = define("book", "pay")
REQUEST = StartSaga(entity_id="order-1", input={})


def driven(
    *behaviors: ParticipantBehavior, definition: Definition = TWO
) -> tuple[SimulatedProcess, ParticipantsModel]:
    process, participants = (
        SimulatedProcess(definition, SAGA_ID, REQUEST, now=NOON),
        ParticipantsModel(),
    )
    for behavior in behaviors:
        sent = process.in_flight[0]
        process.receive(sent, participants.answer(sent.call, behavior), now=NOON)
    return process, participants


def breaches(process: SimulatedProcess, participants: ParticipantsModel) -> list[tuple[str, str]]:
    return [
        (str(violation.code), violation.detail)
        for violation in violated_invariants(process, participants)
    ]


@pytest.mark.parametrize(
    "behaviors",
    [
        (),
        (ParticipantBehavior.DONE, ParticipantBehavior.DONE),
        (ParticipantBehavior.DONE, ParticipantBehavior.REJECTED, ParticipantBehavior.DONE),
        (ParticipantBehavior.DONE, ParticipantBehavior.REJECTED, ParticipantBehavior.REJECTED),
        (ParticipantBehavior.TOO_LARGE,),
    ],
)
def test_saga_that_was_really_driven_violates_no_invariant(
    behaviors: tuple[ParticipantBehavior, ...],
) -> None:
    assert violated_invariants(*driven(*behaviors)) == []


def test_abandoned_saga_names_every_effect_that_stays() -> None:
    process, participants = driven(ParticipantBehavior.DONE)
    process.handle(Abandon(reason="enough"), now=NOON)
    assert violated_invariants(process, participants) == []

    given_up = dataclasses.replace(process.log[-1], payload=encode(SagaAbandoned(reason="enough")))
    process.log[-1] = given_up
    assert ("I2", "abandoned, and book still stands") in breaches(process, participants)


def test_effect_that_stands_after_compensation_is_a_violation() -> None:
    process, participants = driven(
        ParticipantBehavior.DONE, ParticipantBehavior.REJECTED, ParticipantBehavior.DONE
    )
    participants.effects.remove(Effect("book", Direction.COMPENSATION))

    assert breaches(process, participants) == [("I2", "compensated, and book still stands")]


def test_call_without_an_intent_is_a_violation() -> None:
    process, participants = driven()
    participants.received.append(replace(process.in_flight[0].call, attempt=2))

    found = breaches(process, participants)

    assert found == [("I6", "the action of book, attempt 2, was sent and never recorded")]


def test_key_that_changes_is_a_violation() -> None:
    process, participants = driven()
    participants.received.append(replace(process.in_flight[0].call, key="another"))

    found = breaches(process, participants)

    assert found == [("I7", "the action of book was sent under the key another")]


def test_step_that_an_operator_calls_done_without_an_effect_is_a_violation() -> None:
    process, participants = driven(
        ParticipantBehavior.REQUEST_LOST, definition=define("pay pivot attempts=1", "ship")
    )
    resolve(process, "pay", Resolution.DONE)

    assert breaches(process, participants) == [("I2", "pay is called done, and took no effect")]
    assert violated_invariants(process, participants, truthful_operator=False) == []


def test_step_that_an_operator_calls_undone_is_undone_by_hand() -> None:
    process, participants = driven(
        ParticipantBehavior.DONE, ParticipantBehavior.REJECTED, ParticipantBehavior.REJECTED
    )
    resolve(process, "book", Resolution.UNDONE)

    assert breaches(process, participants) == [("I2", "compensated, and book still stands")]
    assert violated_invariants(process, participants, truthful_operator=False) == []

    participants.undo_by_hand("book")
    assert violated_invariants(process, participants) == []


def test_pivot_that_an_operator_calls_done_during_compensation_is_a_violation() -> None:
    rejected = ParticipantBehavior.REJECTED
    process, participants = driven(
        *(ParticipantBehavior.DONE, rejected, rejected), definition=define("book", "pay pivot")
    )
    resolve(process, "pay", Resolution.DONE)
    participants.effects.append(Effect("pay", Direction.ACTION))
    process.handle(Retry(), now=NOON)

    assert breaches(process, participants) == [
        ("I5", "CompensationCalled of book after the pivot pay was passed"),
        ("R3", "pay was done, and counts as not executed"),
    ]
    assert violated_invariants(process, participants, truthful_operator=False) == []


def resolve(process: SimulatedProcess, step: str, resolution: Resolution) -> None:
    process.handle(ResolveStep(step=step, verdict=resolution, evidence="seen"), now=NOON)


def test_saga_that_waits_for_a_child_is_not_idle() -> None:
    assert violated_invariants(*driven(definition=define("trip child=room"))) == []


def test_forward_call_that_a_new_process_repeats_after_the_turn_is_a_violation() -> None:
    process, participants = driven(ParticipantBehavior.DONE, definition=define("book", "pay pivot"))
    call = process.in_flight[0].call
    process.handle(Compensate(), now=NOON)
    process.crash()
    assert (process.in_flight, violated_invariants(process, participants)) == ([], [])

    process.all_sent.append(SentCall(call, resent=True, epoch=process.epoch))
    assert breaches(process, participants) == [
        ("R2", "the action of pay was repeated in epoch 2, and the saga is to be compensated")
    ]


def test_unknown_step_whose_replies_all_arrived_is_a_violation() -> None:
    process, participants = driven(
        ParticipantBehavior.RESPONSE_LOST, definition=define("book attempts=1")
    )
    assert violated_invariants(process, participants) == []

    participants.uncertain_steps.clear()
    assert breaches(process, participants) == [
        ("R3", "book counts as unknown, and every reply about it has arrived")
    ]


def test_compensation_that_is_given_up_without_a_refusal_is_a_violation() -> None:
    process, participants = driven(
        ParticipantBehavior.DONE, ParticipantBehavior.REJECTED, ParticipantBehavior.REJECTED
    )
    assert violated_invariants(process, participants) == []

    participants.refused_compensations.clear()
    assert breaches(process, participants) == [
        ("R5", "the compensation of book was given up after attempt 1")
    ]


def test_state_that_the_log_does_not_fold_into_is_a_violation() -> None:
    process, participants = driven(ParticipantBehavior.DONE)
    version = process.saga.state.version
    process.states_by_version[version - 2] = replace(
        process.states_by_version[version], error="made up"
    )

    assert breaches(process, participants)[0] == (
        "I8",
        f"the log folds into another state than was seen at {version - 2}",
    )


def test_process_that_is_behind_its_log_is_a_violation() -> None:
    process, participants = driven(ParticipantBehavior.DONE)
    other, _ = driven(ParticipantBehavior.DONE, ParticipantBehavior.DONE)
    process.log = other.log

    assert ("I8", "the process is at version 4 of 6") in breaches(process, participants)


def test_process_that_forgets_what_wakes_its_saga_is_a_violation() -> None:
    process, participants = driven(ParticipantBehavior.RESPONSE_LOST)
    step = replace(process.saga.state.steps["book"], next_attempt_at=None)
    process.saga = Saga(TWO, replace(process.saga.state, steps={"book": step}))

    assert ("I11", "running, and waits for nothing") in breaches(process, participants)
