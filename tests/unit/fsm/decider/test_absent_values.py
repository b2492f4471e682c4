"""Absent members of outputs and inputs are not sent, and null is sent as null."""

from __future__ import annotations

import json
from typing import cast

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome, Outcome
from saga_orchestrator.fsm.codec import decode
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationBackedOff,
    CompensationCalled,
    CompensationStarted,
    Event,
    Resolution,
    SagaStarted,
    StepBackedOff,
    StepCalled,
    StepSucceeded,
    WaitStarted,
)
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.fsm.inputs import Input, ResolveStep, Retry, SendSignal, TimerFired
from saga_orchestrator.fsm.instructions import pending_instructions
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.saga import Saga, replay
from saga_orchestrator.fsm.testing import (
    ACCEPTED,
    DONE,
    NOON,
    SAGA_ID,
    UNKNOWN,
    Scenario,
    action_answer,
    callback_done,
    child_finished,
    document,
    done,
    given,
    status_answer,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import ASKED, mapped

ORDER_ID = "steps.book.output.order_id"
NESTED: Json = {"order": ["${merge(input.order, {id: " + ORDER_ID + "})}"]}
DOCUMENT = document("book")
BOOK = cast(list[Json], DOCUMENT["steps"])
INPUT: dict[str, Json] = {"order": {"n": 1}}


def trip(**pay: Json) -> Definition:
    return mapped(dict(document("book", "pay")), 1, **pay)


def action(**members: Json) -> dict[str, Json]:
    return {"path": "/pay", **members}


def child(**members: Json) -> Definition:
    pay: Json = {"name": "pay", "saga": {"type": "payment", **members}}
    return parse_definition({**DOCUMENT, "steps": [*BOOK, pay]})


def booked(definition: Definition, reply: Json) -> Scenario:
    return given(definition, input=INPUT).when(action_answer("book", done(reply)))


def body_of(case: Scenario) -> Json:
    (call,) = case.calls
    assert call.body is not None
    found: Json = json.loads(call.body)
    return found


@pytest.mark.parametrize(
    "definition",
    [
        trip(action=action(body=NESTED)),
        trip(action=action(body={"id": "${" + ORDER_ID + "}"})),
        trip(action=action(body={"id": "${to_string(" + ORDER_ID + ")}"})),
        trip(action=action(body={"same": "${" + ORDER_ID + " == `7`}"})),
        trip(action=action(body={"paid": "${!(" + ORDER_ID + ")}"})),
        trip(action={"path": "/${to_string(" + ORDER_ID + ")}"}),
        trip(action=action(headers={"X-Order": "${type(" + ORDER_ID + ")}"})),
        child(input={"order": ["${[" + ORDER_ID + "]}"]}),
    ],
)
@pytest.mark.parametrize("reply", [{"orderid": 777}, "<html>", [], 7, {}])
def test_request_is_not_sent_without_a_member_that_an_output_lacks(
    definition: Definition, reply: Json
) -> None:
    case = booked(definition, reply).then_calls().then_status("parked", pay="pending")

    assert case.state.parked is not None
    assert "the output of book has no order_id" in case.state.parked.reason


def test_a_fallback_is_sent_instead() -> None:
    body: Json = {"order": "${merge(input.order, {id: " + ORDER_ID + " || 'none'})}"}

    assert body_of(booked(trip(action=action(body=body)), {})) == {"order": {"n": 1, "id": "none"}}


@pytest.mark.parametrize("body", [NESTED, {"order": [{"n": 1, "id": "${" + ORDER_ID + "}"}]}])
def test_a_null_of_a_reply_is_sent_as_null(body: Json) -> None:
    case = booked(trip(action=action(body=body)), {"order_id": None})

    assert body_of(case) == {"order": [{"n": 1, "id": None}]}


@pytest.mark.parametrize(
    "call",
    [{"path": "/${" + ORDER_ID + "}"}, action(headers={"X-Order": "${" + ORDER_ID + "}"})],
)
def test_null_has_no_spelling_in_a_text(call: Json) -> None:
    case = booked(trip(action=call), {"order_id": None}).then_calls().then_status("parked")

    assert case.state.error is not None
    assert "is null, which cannot stand in a text" in case.state.error


WHOLE: Json = {"said": ["${steps.book.output}"]}


def test_a_reply_that_is_null_is_an_output_and_no_reply_is_none() -> None:
    definition = trip(action=action(body=WHOLE))

    assert body_of(booked(definition, None)) == {"said": [None]}
    given(definition).when(action_answer("book", DONE)).then_calls().then_status("parked")


def test_a_status_may_say_null_too() -> None:
    definition = mapped(
        dict(document("book status attempts=2", "pay")), 1, action=action(body=WHOLE)
    )
    case = given(definition).when(action_answer("book", UNKNOWN))
    asked = case.when(Retry())

    assert body_of(asked.when(status_answer("book", done(None)))) == {"said": [None]}
    asked.when(status_answer("book", DONE)).then_calls().then_status("parked")


@pytest.mark.parametrize("early", [True, False])
def test_a_callback_without_an_output_says_null(early: bool) -> None:
    definition = mapped(dict(document("book callback", "pay")), 1, action=action(body=WHOLE))
    happenings: list[Input] = [callback_done("book"), action_answer("book", ACCEPTED)]
    case = given(definition)
    for input_ in happenings if early else happenings[::-1]:
        case = case.when(input_)

    assert body_of(case) == {"said": [None]}


def test_a_signal_without_a_body_says_null() -> None:
    definition = mapped(dict(document("book signal=go", "pay")), 1, action=action(body=WHOLE))

    assert body_of(given(definition).when(SendSignal(name="go"))) == {"said": [None]}


def test_resolution_without_an_output_gives_none() -> None:
    definition = mapped(
        dict(document("book pivot attempts=1", "pay")), 1, action=action(body=WHOLE)
    )
    resolution = ResolveStep(step="book", verdict=Resolution.DONE, evidence="seen")
    case = given(definition).when(action_answer("book", UNKNOWN)).then_status("parked")

    case.when(resolution).then_calls().then_status("parked", book="succeeded", pay="pending")


def test_a_child_has_the_outputs_of_its_steps_that_said_something() -> None:
    definition = mapped(
        dict(document("book child=room", "pay")),
        1,
        action=action(body={"bed": "${steps.book.output.bed}"}),
    )
    rested = child_finished("book", SagaStatus.COMPLETED, outputs={"bed": None})

    assert body_of(given(definition).when(rested)) == {"bed": None}
    nothing = child_finished("book", SagaStatus.COMPLETED, outputs={})
    given(definition).when(nothing).then_calls().then_status("parked")


def test_the_outputs_of_a_saga_are_known_where_it_said_something() -> None:
    case = given(trip()).when(action_answer("book", done(None))).when(action_answer("pay", DONE))

    assert case.saga.outputs == {"book": None, "pay": None}
    assert case.saga.known_outputs == {"book": None}


@pytest.mark.parametrize(
    ("template", "output"),
    [
        ("${response.body.id}", {"id": None}),
        ("${response.body.gone || 'none'}", {"id": "none"}),
        ("${[response.body.id]}", {"id": [None]}),
        ("${[response.body.gone]}", None),
        ("${{a: response.body.gone}}", None),
    ],
)
def test_a_declared_output_may_be_null_and_needs_what_it_is_made_of(
    template: str, output: Json
) -> None:
    definition = mapped(dict(document("book", "pay")), 0, output={"id": template})
    case = given(definition).when(action_answer("book", done({"id": None})))

    assert case.step("book").output == output
    case.then_status("parked" if output is None else "running", book="succeeded")


@pytest.mark.parametrize("outcome", [UNKNOWN, done({})])
def test_a_compensation_without_what_it_needs_is_not_sent(outcome: CallOutcome) -> None:
    compensation = {"path": "/undo", "body": {"id": "${[steps.pay.output.id]}"}}
    definition = mapped(dict(document("book", "pay attempts=1")), 1, compensation=compensation)
    case = given(definition).when(action_answer("book", DONE)).when(action_answer("pay", outcome))
    if outcome is not UNKNOWN:
        case = case.when(ASKED)

    case.then_calls().then_status("parked")
    assert case.state.parked is not None
    assert "the compensation of pay cannot be called" in case.state.parked.reason


def old(definition: Definition, *history: Event) -> Saga:
    """Return a saga whose start was recorded by a version that did not check inputs."""
    payload = {
        "saga_type": definition.name,
        "definition_version": definition.version,
        "entity_id": 1,
        "input": INPUT,
    }
    began = decode("SagaStarted", 1, json.dumps(payload).encode())
    assert isinstance(began, SagaStarted)
    return replay(definition, SAGA_ID, [(event, NOON) for event in (began, *history)])


def test_a_call_of_before_is_made_again_as_it_was() -> None:
    compensation: Json = {"path": "/undo", "body": {"id": "${[steps.pay.output.id]}"}}
    definition = trip(action=action(body=NESTED), compensation=compensation)
    called: list[Event] = [
        StepCalled(step="book", attempt=1),
        StepSucceeded(step="book", attempt=1, output={}),
        StepCalled(step="pay", attempt=1),
    ]

    (call,) = pending_instructions(old(definition, *called))
    assert call.body == b'{"order":[{"n":1,"id":null}]}'  # type: ignore[union-attr]

    undone: list[Event] = [StepSucceeded(step="pay", attempt=1, output={}), *_turned_back("pay")]
    (undo,) = pending_instructions(old(definition, *called, *undone))
    assert undo.body == b'{"id":[null]}'  # type: ignore[union-attr]


def _turned_back(step: str) -> list[Event]:
    return [
        CompensationStarted(cause=Cause.REQUEST, error="asked"),
        CompensationCalled(step=step, attempt=1),
    ]


def test_a_child_of_before_is_started_again_as_it_was() -> None:
    definition = child(input={"order": "${[" + ORDER_ID + "]}"})
    waiting: list[Event] = [
        StepCalled(step="book", attempt=1),
        StepSucceeded(step="book", attempt=1, output={}),
        WaitStarted(step="pay", child_id="c"),
    ]

    (command,) = pending_instructions(old(definition, *waiting))
    assert command.input == {"order": [None]}  # type: ignore[union-attr]


def test_a_saga_of_before_goes_on_without_what_its_input_lacks_but_not_without_an_output() -> None:
    lacks_input = trip(action=action(body={"a": "${[input.gone]}"}))
    lacks_both = trip(action=action(body={"a": "${[input.gone]}", "b": "${[" + ORDER_ID + "]}"}))
    called = StepCalled(step="book", attempt=1)

    for definition, status in ((lacks_input, "running"), (lacks_both, "parked")):
        saga = old(definition, called)
        case = Scenario(now=NOON, latest_saga=saga, events=()).when(action_answer("book", done({})))
        case.then_status(status)
        if status == "running":
            assert body_of(case) == {"a": [None]}


def old_attempt(*outcomes: Outcome, undo: bool = False, resent: bool = False) -> Saga:
    """Return a saga whose `pay` was called, or compensated, with nulls, and backs off."""
    compensation: Json = {"path": "/undo", "body": {"id": "${[steps.pay.output.id]}"}}
    definition = trip(action=action(body=NESTED), compensation=compensation)
    history: list[Event] = [
        StepCalled(step="book", attempt=1),
        StepSucceeded(step="book", attempt=1, output={}),
        StepCalled(step="pay", attempt=1),
    ]
    if undo:
        history += [StepSucceeded(step="pay", attempt=1, output={}), *_turned_back("pay")]
    kind = CompensationBackedOff if undo else StepBackedOff
    more = {} if undo else {"resent": resent}
    history += [
        kind(step="pay", attempt=1, outcome=outcome, error="no answer", until=NOON, **more)
        for outcome in outcomes
    ]
    return old(definition, *history)


@pytest.mark.parametrize(
    ("outcome", "resent"),
    [(Outcome.UNKNOWN, False), (Outcome.BUSY, False), (Outcome.THROTTLED, True)],
)
@pytest.mark.parametrize("asked", [TimerFired(), Retry()])
def test_an_attempt_of_before_that_may_have_happened_is_repeated_as_it_was(
    outcome: Outcome, resent: bool, asked: Input
) -> None:
    case = Scenario(now=NOON, latest_saga=old_attempt(outcome, resent=resent), events=()).when(
        asked
    )

    assert body_of(case) == {"order": [{"n": 1, "id": None}]}


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.THROTTLED, Outcome.CIRCUIT_OPEN])
def test_call_of_an_attempt_that_was_not_executed_is_not_rebuilt_with_nulls(
    outcome: Outcome,
) -> None:
    case = Scenario(now=NOON, latest_saga=old_attempt(outcome), events=()).when(TimerFired())

    case.then_calls().then_status("parked", pay="backing_off")
    supplied = ResolveStep(
        step="book", verdict=Resolution.DONE, evidence="seen", output={"order_id": 7}
    )
    assert body_of(case.when(supplied).when(TimerFired())) == {"order": [{"n": 1, "id": 7}]}


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.BUSY, Outcome.NOT_SENT])
def test_a_compensation_of_before_is_repeated_as_it_was(outcome: Outcome) -> None:
    case = Scenario(now=NOON, latest_saga=old_attempt(outcome, undo=True), events=()).when(
        TimerFired()
    )

    assert body_of(case) == {"id": [None]}
