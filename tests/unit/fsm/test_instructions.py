from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from saga_orchestrator.fsm.call_outcome import Direction
from saga_orchestrator.fsm.definitions.definition import Call
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.definitions.retry import RetryPolicy
from saga_orchestrator.fsm.expressions.expression import ExpressionError
from saga_orchestrator.fsm.expressions.template import (
    parse_template,
    parse_text,
    render,
    render_path,
)
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.fsm.inputs import Compensate, Pause, TimerFired
from saga_orchestrator.fsm.instructions import (
    CallParticipant,
    CompensateChild,
    StartChild,
    build_call,
    call_of,
    needs_no_recovery,
    next_wakeup,
    pending_instructions,
)
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.testing import (
    ACCEPTED,
    BUSY,
    DONE,
    NOON,
    REJECTED,
    SAGA_ID,
    UNKNOWN,
    Scenario,
    action_answer,
    child_finished,
    compensation_answer,
    define,
    done,
    given,
    throttled,
)

MINUTE = timedelta(minutes=1)
TWO = define("book", "pay", deadline="10m")
PIVOT = define("book", "pay pivot", deadline="10m")


def calling(**action: Json) -> Scenario:
    step: Json = {"name": "book", "participant": "hotel", "effect": "none", "action": action}
    given_input: dict[str, Json] = {"id": "a b", "none": None, "nan": Decimal("NaN")}
    return given(
        parse_definition({"saga": "trip", "version": 1, "steps": [step]}), input=given_input
    )


def test_a_call_is_made_of_the_definition_and_the_saga() -> None:
    case = calling(
        method="PUT",
        path="/rooms/${input.id}",
        body={"room": "${input.id}"},
        headers={"X-Room": "${input.id}"},
        timeout="3s",
    )

    assert pending_instructions(case.saga) == [
        CallParticipant(
            saga_id=SAGA_ID,
            step="book",
            direction=Direction.ACTION,
            attempt=1,
            key=f"{SAGA_ID}/book/action",
            participant="hotel",
            method="PUT",
            path="/rooms/a%20b",
            headers={"x-room": "a b"},
            body=b'{"room":"a b"}',
            timeout=timedelta(seconds=3),
        )
    ]


@pytest.mark.parametrize("body", [None, "${input.none}"])
def test_a_body_that_is_null_is_not_sent(body: Json) -> None:
    assert calling(path="/", body=body).calls[0].body is None


def test_a_body_that_is_not_json_cannot_be_sent() -> None:
    case = calling(path="/", body="${input.nan}").then_status("parked")

    assert "the body of the call is not JSON" in str(case.state.error)


def test_commands_are_the_calls_without_a_recorded_answer() -> None:
    case = given(TWO)
    assert pending_instructions(case.saga) == list(case.calls)

    case = case.when(action_answer("book", UNKNOWN))
    assert pending_instructions(case.saga) == []

    case = case.when(TimerFired(), after=MINUTE)
    assert pending_instructions(case.saga) == list(case.calls)

    case = case.when(action_answer("book", DONE, attempt=2)).when(action_answer("pay", REJECTED))
    assert pending_instructions(case.saga) == list(case.calls)

    case = case.when(compensation_answer("book", DONE)).then_status("compensated")
    assert pending_instructions(case.saga) == []


def test_a_step_without_a_compensation_has_no_call_to_undo_it() -> None:
    with pytest.raises(AssertionError):
        call_of(PIVOT["pay"], Direction.COMPENSATION)


def test_a_request_that_cannot_be_made_says_why() -> None:
    saga = given(TWO).saga

    with pytest.raises(ExpressionError):
        build_call(saga, calling(path="/${input.id}").saga.definition["book"], Direction.ACTION, 1)


@pytest.mark.parametrize("value", ["José", "a\r\nx-b: 1", "\x01", "\x7f"])
def test_a_header_that_cannot_be_sent_parks_before_the_first_attempt(value: str) -> None:
    action: Json = {"path": "/", "headers": {"x-a": "for ${input.name}"}}
    step: Json = {"name": "book", "participant": "hotel", "effect": "none", "action": action}
    definition = parse_definition({"saga": "trip", "version": 1, "steps": [step]})

    case = given(definition, input={"name": value}).then_calls().then_status("parked")

    assert "a header is one line of printable ASCII" in str(case.state.error)
    given(definition, input={"name": "Jose\t1"}).then_calls("book#1")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/book", "${input.a}"),
        ("/${steps.pay.output.id || steps.pay.key}", "${merge(input, {book: steps.book})}"),
        ("/${steps.book.key}", {"steps": "${steps}", "nobody": "${steps.nobody.key || '-'}"}),
        ("/${length(keys(steps))}", None),
    ],
)
def test_a_request_is_made_of_what_it_reads(path: str, body: Json) -> None:
    """A call of a scope with only the steps that it reads equals one of the whole scope."""
    case = given(TWO, input={"a": 1}).when(action_answer("book", done({"id": 7})))
    call = Call(
        method="POST",
        path=parse_text(path),
        body=parse_template(body),
        headers=(),
        timeout=MINUTE,
        retry=RetryPolicy(),
    )
    everything, limited = case.saga.scope(), case.saga.scope(call.steps_read)

    assert render(parse_template(body), limited) == render(parse_template(body), everything)
    assert render_path(call.path, limited) == render_path(call.path, everything)


def test_a_call_that_is_out_is_woken_by_the_deadline_alone() -> None:
    assert next_wakeup(given(TWO).saga) == NOON + timedelta(minutes=10)
    assert next_wakeup(given(define("book")).saga) is None


def test_the_next_wake_up_is_the_earliest() -> None:
    early = given(TWO).when(action_answer("book", throttled(MINUTE)))
    late = given(define("book", deadline="1s")).when(action_answer("book", throttled(MINUTE)))

    assert next_wakeup(early.saga) == NOON + MINUTE
    assert next_wakeup(late.saga) == NOON + timedelta(seconds=1)


def test_a_put_off_start_is_a_wake_up() -> None:
    assert next_wakeup(given(TWO, start_at=NOON + MINUTE).saga) == NOON + MINUTE


def test_a_pivot_in_doubt_has_no_deadline() -> None:
    case = given(PIVOT).when(action_answer("book", DONE))
    assert next_wakeup(case.saga) is None

    case = case.when(action_answer("pay", BUSY))
    assert next_wakeup(case.saga) == NOON + timedelta(seconds=1)


def test_a_compensation_that_backs_off_is_a_wake_up_and_the_deadline_is_none() -> None:
    case = given(TWO).when(action_answer("book", DONE)).when(action_answer("pay", REJECTED))
    assert next_wakeup(case.saga) is None

    case = case.when(compensation_answer("book", BUSY))
    assert next_wakeup(case.saga) == NOON + timedelta(seconds=1)


def test_a_paused_saga_is_never_woken() -> None:
    case = given(TWO).when(action_answer("book", BUSY))
    assert next_wakeup(case.saga) is not None

    assert next_wakeup(case.when(Pause()).saga) is None


def test_a_step_that_was_accepted_is_woken_by_its_next_question_or_its_end() -> None:
    polled = given(define("book poll")).when(action_answer("book", ACCEPTED))
    called_back = given(define("book callback")).when(action_answer("book", ACCEPTED))

    assert next_wakeup(polled.saga) == NOON + timedelta(seconds=1)
    assert next_wakeup(called_back.saga) == NOON + 15 * MINUTE


def test_children_are_asked_for_until_they_rest() -> None:
    started = given(define("hotel child=room"))
    turned = started.when(Compensate())
    done = started.when(child_finished("hotel", SagaStatus.COMPLETED))
    undoing = done.when(Compensate())

    (start,) = pending_instructions(started.saga)
    assert isinstance(start, StartChild)
    undo = CompensateChild(child_id=start.child_id, parent=start.parent)
    assert [pending_instructions(scenario.saga) for scenario in (turned, done, undoing)] == [
        [undo],
        [],
        [undo],
    ]


def test_saga_at_rest_needs_no_recovery_unless_a_child_is_active() -> None:
    hotel = define("hotel child=room after=", "approve signal=go or_park after=")
    parked = given(hotel).when(TimerFired(), after=24 * 60 * MINUTE).then_status("parked")
    reported = parked.when(child_finished("hotel", SagaStatus.COMPLETED))

    assert [needs_no_recovery(scenario.saga) for scenario in (given(hotel), parked, reported)] == [
        False,
        False,
        True,
    ]


def test_a_saga_at_rest_is_never_woken() -> None:
    undone = given(TWO).when(action_answer("book", REJECTED))
    done = given(define("book", deadline="1m")).when(action_answer("book", DONE))
    late = define("book", "pay pivot", "ship", deadline="1s")
    parked = given(late).when(action_answer("book", DONE)).when(action_answer("pay", DONE))
    parked = parked.when(action_answer("ship", UNKNOWN)).when(TimerFired(), after=MINUTE)

    assert [str(scenario.state.status) for scenario in (undone, done, parked)] == [
        "compensated",
        "completed",
        "parked",
    ]
    assert [next_wakeup(scenario.saga) for scenario in (undone, done, parked)] == [None, None, None]


def test_call_that_is_resent_while_compensating_is_the_same() -> None:
    case = given(TWO)

    assert pending_instructions(case.when(Compensate()).saga) == list(case.calls)
