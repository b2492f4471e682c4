from __future__ import annotations

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from saga_orchestrator.fsm.call_outcome import Direction
from saga_orchestrator.fsm.errors import CorruptStream
from saga_orchestrator.fsm.events import Event, SagaCompleted, StepCalled, StepSucceeded
from saga_orchestrator.fsm.inputs import StartSaga, WebhookDelivered
from saga_orchestrator.fsm.saga import replay
from saga_orchestrator.fsm.testing import (
    NOON,
    REJECTED,
    SAGA_ID,
    UNKNOWN,
    ParticipantBehavior,
    ParticipantsModel,
    SimulatedProcess,
    action_answer,
    define,
    done,
    given,
)

TWO = define("book", "pay pivot")
REQUEST = StartSaga(entity_id="order-1", input={"a": 1})


def test_replay_needs_a_first_event() -> None:
    with pytest.raises(CorruptStream, match="is not SagaStarted"):
        replay(TWO, SAGA_ID, [])
    with pytest.raises(CorruptStream, match="is not SagaStarted"):
        replay(TWO, SAGA_ID, [(SagaCompleted(), NOON)])


def test_replay_needs_the_definition_that_the_saga_started_with() -> None:
    began = given(TWO).events[0]

    with pytest.raises(CorruptStream, match="is not of tour 1"):
        replay(define("book", name="tour"), SAGA_ID, [(began, NOON)])


def test_replay_names_the_version_at_which_a_history_breaks() -> None:
    began = given(TWO).events[0]

    with pytest.raises(CorruptStream) as refusal:
        replay(TWO, SAGA_ID, [(began, NOON), (StepSucceeded(step="book", attempt=1), NOON)])

    assert refusal.value.version == 2


@drawn(st.lists(st.sampled_from(ParticipantBehavior), max_size=12))
def test_every_prefix_of_a_history_replays_to_the_state_of_its_time(
    fates: list[ParticipantBehavior],
) -> None:
    process, participants = SimulatedProcess(TWO, SAGA_ID, REQUEST, now=NOON), ParticipantsModel()
    for fate in fates:
        for sent in list(process.in_flight):
            process.receive(sent, participants.answer(sent.call, fate), now=NOON, jitter=0)

    for version, state in process.states_by_version.items():
        assert process.replayed(version).state == state


def test_expressions_read_input_outputs_keys_and_the_saga() -> None:
    case = given(TWO, input={"a": 1}).when(action_answer("book", done({"id": 7})))

    assert case.saga.scope() == {
        "input": {"a": 1},
        "steps": {
            "book": {"output": {"id": 7}, "key": f"{SAGA_ID}/book/action"},
            "pay": {"key": f"{SAGA_ID}/pay/action"},
        },
        "saga": {"id": SAGA_ID, "type": "trip", "entity_id": "order-1", "error": None},
    }


def test_a_scope_may_be_of_some_steps_alone() -> None:
    saga = given(TWO).when(action_answer("book", done({"id": 7}))).saga
    whole = saga.scope()

    assert saga.scope(["book", "nobody"]) == {
        **whole,
        "steps": {"book": {"output": {"id": 7}, "key": f"{SAGA_ID}/book/action"}},
    }


def test_outputs_are_those_of_the_steps_that_were_done() -> None:
    case = given(TWO).when(action_answer("book", done({"id": 7})))

    assert case.saga.outputs == {"book": {"id": 7}}


def test_webhook_is_pending_from_each_rest_until_its_delivery() -> None:
    request = StartSaga(entity_id=1, input={}, callback_url="https://shop.example/sagas")
    process, participants = (
        SimulatedProcess(define("book"), SAGA_ID, request, now=NOON),
        ParticipantsModel(),
    )
    owes = [process.saga.has_pending_webhook]

    sent = process.in_flight[0]
    process.receive(sent, participants.answer(sent.call, ParticipantBehavior.DONE), now=NOON)
    owes.append(process.saga.has_pending_webhook)
    process.handle(WebhookDelivered(rest_version=process.saga.state.rest_version), now=NOON)
    owes.append(process.saga.has_pending_webhook)

    assert owes == [False, True, False]


def test_a_key_has_one_direction() -> None:
    saga = given(TWO).saga

    assert saga.key("pay", Direction.COMPENSATION) == f"{SAGA_ID}/pay/compensation"


def test_a_pivot_is_in_doubt_from_its_first_call_to_its_outcome() -> None:
    before = given(TWO)
    called = before.when(action_answer("book", done(None)))
    waiting = called.when(action_answer("pay", UNKNOWN))
    passed = called.when(action_answer("pay", done(None)))
    refused = called.when(action_answer("pay", REJECTED))

    cases = (before, called, waiting, passed, refused)
    assert [scenario.saga.pivot_is_uncertain for scenario in cases] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert [scenario.saga.pivot_succeeded for scenario in cases] == [
        False,
        False,
        False,
        True,
        False,
    ]


def test_not_done_is_in_the_order_of_the_definition() -> None:
    history: list[Event] = [
        StepCalled(step="book", attempt=1),
        StepSucceeded(step="book", attempt=1),
    ]

    assert given(TWO, history=history).saga.not_done == ("pay",)
