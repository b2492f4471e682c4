"""Missing outputs: they are named, supplied, requested again, or accepted as lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome, OutputLoss
from saga_orchestrator.fsm.codec import decode
from saga_orchestrator.fsm.decider.decide import allowed_actions
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.errors import CorruptStream, NotAllowed, StepNotFound
from saga_orchestrator.fsm.events import (
    Event,
    OutputNotReceived,
    Resolution,
    SagaParked,
    SagaUnparked,
    StatusQueried,
    StepCalled,
    StepSucceeded,
    WaitStarted,
)
from saga_orchestrator.fsm.formats.strict_json import Json, parse, serialize
from saga_orchestrator.fsm.inputs import Abandon, Cancel, ResolveStep, Retry, SendSignal, TimerFired
from saga_orchestrator.fsm.instructions import pending_instructions, recovered
from saga_orchestrator.fsm.testing import (
    ACCEPTED,
    BUSY,
    DONE,
    NOT_SENT,
    REJECTED,
    THROTTLED,
    UNKNOWN,
    Scenario,
    action_answer,
    callback_failed,
    compensation_answer,
    define,
    document,
    done,
    done_without_output,
    given,
    status_answer,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import MINUTE, all_done, mapped

NEEDED = {"path": "/ship/${steps.pay.output.id}"}
LOST = done_without_output(OutputLoss.NOT_JSON, "the reply is not JSON")


def needing(*steps: str, by: int = 1) -> Definition:
    """Return a definition whose step at `by` needs the output of `pay`."""
    return mapped(dict(document(*steps)), by, action=NEEDED)


PASSED = needing("pay pivot", "ship", "mail")


def supplied(step: str, output: Json = None, evidence: str = "receipt 4711") -> ResolveStep:
    return ResolveStep(step=step, verdict=Resolution.DONE, evidence=evidence, output=output)


def parked_for_pay(said: CallOutcome = LOST) -> Scenario:
    return given(PASSED).when(action_answer("pay", said)).then_status("parked", ship="pending")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            LOST,
            "pay has no output, which ${steps.pay.output.id} needs;"
            " pay is done, but the reply is not JSON",
        ),
        (DONE, "pay has no output, which ${steps.pay.output.id} needs"),
        (done({"no": 1}), "the output of pay has no id, which ${steps.pay.output.id} needs"),
    ],
)
def test_the_reason_names_the_step_whose_output_lacks_it(said: CallOutcome, cause: str) -> None:
    parked = parked_for_pay(said).events[-1]

    assert isinstance(parked, SagaParked)
    assert parked.reason == f"the action of ship cannot be called: {cause}"
    assert parked.without_output == ("pay",)


def test_a_condition_and_a_child_name_it_too() -> None:
    condition = {"when": "${length(steps.pay.output.items) > `0`}"}
    conditional = mapped(dict(document("pay", "ship")), 1, **condition)
    child = mapped(dict(document("pay", "parcel child=parcel")), 1, saga=CHILD)

    for definition, said in ((conditional, done({"items": 3})), (child, DONE)):
        case = given(definition).when(action_answer("pay", said)).then_status("parked")
        parked = case.events[-1]
        assert isinstance(parked, SagaParked)
        assert parked.without_output == ("pay",)


CHILD = {"type": "parcel", "input": {"id": "${steps.pay.output.id}"}}


@pytest.mark.parametrize("said", [LOST, DONE, done({"no": 1})])
def test_missing_output_can_be_supplied_or_requested_again(
    said: CallOutcome,
) -> None:
    case = parked_for_pay(said)

    assert allowed_actions(case.saga) == ("retry", "abandon", "skip", "resolve")
    case.when(Retry()).then_refused(NotAllowed, "would park again")
    case = case.when(supplied("pay", {"id": 7})).then_calls("ship#1")
    assert case.calls[0].path == "/ship/7"
    assert (case.step("pay").output, case.step("pay").last_error) == ({"id": 7}, None)
    all_done(case, "ship", "mail").then_status("completed")


NULL = ResolveStep(step="pay", verdict=Resolution.DONE, evidence="seen", output_is_null=True)


@pytest.mark.parametrize("said", [LOST, DONE, done({"no": 1}), done({"id": ""})])
@pytest.mark.parametrize(
    "useless",
    [
        supplied("pay", {"no": 1}),
        supplied("pay", [1]),
        supplied("pay", "7"),
        supplied("pay", {"id": ""}),
        NULL,
    ],
)
def test_supplied_output_that_is_insufficient_is_refused(
    said: CallOutcome, useless: ResolveStep
) -> None:
    case = parked_for_pay(said)

    case.when(useless).then_refused(NotAllowed, "it would park again: the action of ship")
    case.when(supplied("pay", {"id": 7})).then_calls("ship#1")


def test_resolution_with_an_insufficient_output_is_refused() -> None:
    definition = needing("pay pivot attempts=1", "ship")
    case = (
        given(definition).when(action_answer("pay", UNKNOWN)).then_status("parked", pay="unknown")
    )

    case.when(supplied("pay", {"no": 1})).then_refused(NotAllowed, "it would park again")
    assert "resolve" in allowed_actions(case.saga)
    case.when(supplied("pay")).then_status("parked", pay="succeeded")


def test_two_missing_outputs_are_supplied_in_any_order() -> None:
    action = {"path": "/${steps.book.output.id}/${steps.pay.output.id}"}
    definition = mapped(dict(document("book", "pay pivot", "ship")), 2, action=action)
    for said in (DONE, done({"id": ""})):
        parked = (
            given(definition).when(action_answer("book", said)).when(action_answer("pay", said))
        )
        parked = parked.then_status("parked", ship="pending")
        parked.when(supplied("book", {"no": 1})).then_refused(NotAllowed, "would park again")
        case = parked.when(supplied("book", {"id": 1})).then_status("parked")
        case.when(supplied("pay", {"id": 7})).then_calls("ship#1")

    parked = given(definition).when(action_answer("book", DONE)).when(action_answer("pay", DONE))
    case = parked.when(supplied("pay", {"id": 7})).then_status("parked")
    case.when(supplied("book", {"id": 1})).then_calls("ship#1")


def test_a_retry_that_is_refused_says_what_works() -> None:
    case = parked_for_pay()

    possible = 'retry with {"step": "pay"}; resolve of pay with outcome done and its output'
    case.when(Retry()).then_refused(NotAllowed, f"(possible now: {possible})")
    case.when(Retry(step="mail")).then_refused(NotAllowed, f"(possible now: {possible})")
    case.when(Retry(step="pay")).then_calls("pay#2")


def test_a_loss_that_stops_the_saga_is_made_good_by_what_is_supplied() -> None:
    too_large = done_without_output(OutputLoss.TOO_LARGE)
    case = given(define("book", "pay")).when(action_answer("book", too_large)).then_status("parked")

    case.when(supplied("book", {"id": 7})).then_calls("pay#1").then_status("running")


def test_null_can_be_supplied_and_is_sent_as_null() -> None:
    action = {"path": "/ship", "body": {"id": "${steps.pay.output}"}}
    definition = mapped(dict(document("pay pivot", "ship")), 1, action=action)
    null = ResolveStep(step="pay", verdict=Resolution.DONE, evidence="seen", output_is_null=True)
    case = given(definition).when(action_answer("pay", LOST)).then_status("parked")

    case = case.when(null).then_calls("ship#1")
    assert case.calls[0].body == b'{"id":null}'


def test_resolution_may_give_null_as_the_output() -> None:
    action = {"path": "/ship", "body": {"id": "${steps.pay.output}"}}
    definition = mapped(dict(document("pay pivot attempts=1", "ship")), 1, action=action)
    null = ResolveStep(step="pay", verdict=Resolution.DONE, evidence="seen", output_is_null=True)
    case = given(definition).when(action_answer("pay", UNKNOWN)).then_status("parked")

    assert case.when(null).then_calls("ship#1").calls[0].body == b'{"id":null}'
    case.when(supplied("pay")).then_calls().then_status("parked", pay="succeeded")


def test_resolve_of_a_done_step_needs_an_output() -> None:
    parked_for_pay().when(supplied("pay")).then_refused(NotAllowed, "give the output")


def test_missing_output_is_supplied_but_not_requested_again_while_compensating() -> None:
    undo = {"path": "/undo/${steps.pay.output.id}"}
    definition = mapped(dict(document("book", "pay", "last")), 1, compensation=undo)
    case = all_done(given(definition), "book", "pay").when(action_answer("last", REJECTED))
    case = case.then_status("parked", pay="succeeded")

    case.when(Retry()).then_refused(NotAllowed, "would park again")
    case.when(Retry(step="pay")).then_refused(NotAllowed, "compensation has not failed")
    case = case.when(supplied("pay", {"id": 7})).then_calls("undo pay#1")
    assert case.calls[0].path == "/undo/7"


def test_a_retry_of_the_step_repeats_its_call_with_the_same_key() -> None:
    first = given(PASSED)
    case = parked_for_pay().when(Retry(step="pay", actor="anna")).then_calls("pay#2")

    case.then(SagaUnparked(back=False, actor="anna"), StepCalled(step="pay", attempt=2))
    assert case.calls[0].key == first.calls[0].key
    assert case.saga.pivot_succeeded
    case = case.then_status("running", pay="succeeded")
    case = case.when(action_answer("pay", done({"id": 7}), attempt=2)).then_calls("ship#1")
    case.then(
        StepSucceeded(step="pay", attempt=2, output={"id": 7}), StepCalled(step="ship", attempt=1)
    )
    assert case.calls[0].path == "/ship/7"


@pytest.mark.parametrize("said", [REJECTED, UNKNOWN, NOT_SENT, BUSY, THROTTLED])
def test_step_stays_done_when_its_repeated_call_brings_no_output(said: CallOutcome) -> None:
    case = parked_for_pay().when(Retry(step="pay"))
    case = case.when(action_answer("pay", said, attempt=2)).then_status("parked", pay="succeeded")

    error = f"output requested again, and not received: {said.reason}"
    assert case.events[0] == OutputNotReceived(step="pay", attempt=2, error=error)
    assert error in str(case.state.error)
    case.when(Retry(step="pay")).then_calls("pay#3")
    case.when(supplied("pay", {"id": 7})).then_calls("ship#1")


def test_a_polled_step_is_asked_for_its_output() -> None:
    definition = needing("pay pivot poll", "ship")
    case = given(definition).when(action_answer("pay", LOST)).then_status("parked")

    case = case.when(Retry(step="pay")).then_calls("status pay#1")
    assert case.events[1:] == (StatusQueried(step="pay", attempt=1),)
    case.when(status_answer("pay", done({"id": 7}))).then_calls("ship#1")


def test_no_step_begins_while_an_output_is_requested_again() -> None:
    steps = ("pay pivot", "approve signal=go after=pay", "mail after=approve", "ship after=pay")
    case = given(needing(*steps, by=3)).when(action_answer("pay", LOST))
    case = case.when(Retry(step="pay")).when(SendSignal(name="go")).then_calls()

    case = case.when(TimerFired(), after=MINUTE).then_nothing_happened()
    case.when(action_answer("pay", done({"id": 7}), attempt=2)).then_calls("mail#1", "ship#1")


def test_no_step_is_compensated_while_an_output_is_requested_again() -> None:
    definition = needing("book", "pay", "ship", by=2)
    case = all_done(given(definition), "book").when(action_answer("pay", LOST))
    case = case.when(Retry(step="pay")).when(Cancel()).then_status("compensating")

    case = case.then_calls().when(action_answer("pay", UNKNOWN, attempt=2)).then_calls("undo pay#1")
    case.when(compensation_answer("pay", DONE)).then_calls("undo book#1")


def test_an_output_that_is_asked_for_is_given_up_with_the_saga() -> None:
    case = parked_for_pay().when(Retry(step="pay")).when(Abandon(reason="enough"))

    case = case.then_status("abandoned", pay="succeeded")
    case.when(action_answer("pay", done({"id": 7}), attempt=2)).then_status("abandoned")
    assert not case.saga.has_call_in_flight


def test_output_that_the_saga_is_not_parked_for_cannot_be_changed() -> None:
    case = given(needing("book", "pay", "ship", by=2))
    case = all_done(case, "book").when(action_answer("pay", LOST))

    for asked in (supplied("book", {"id": 1}), Retry(step="book")):
        case.when(asked).then_refused(NotAllowed, "is not parked for its output")
    case.when(Retry(step="ship")).then_refused(NotAllowed, "not one to be repeated")
    case.when(Retry(step="nobody")).then_refused(StepNotFound)


def test_an_output_that_no_participant_gave_is_only_supplied() -> None:
    definition = needing("pay signal=go", "ship")
    case = given(definition).when(SendSignal(name="go", body={"no": 1})).then_status("parked")

    case.when(Retry(step="pay")).then_refused(NotAllowed, "supply its output")
    case.when(supplied("pay", {"id": 7})).then_calls("ship#1")


FALLS_BACK = {"path": "/seat/${steps.pay.output.seat || 'any'}"}


def parsed(definition: Definition) -> dict[str, object]:
    return dict(parse(definition.source))  # type: ignore[arg-type]


def in_doubt_beside_it() -> Scenario:
    """Return a saga whose `seat` backs off from a call that was made of the output of `pay`."""
    steps = ("pay pivot", "seat after=pay", "meal after=pay", "ship after=meal")
    definition = mapped(dict(document(*steps)), 1, action=FALLS_BACK)
    definition = mapped(parsed(definition), 3, action=NEEDED)
    case = given(definition).when(action_answer("pay", LOST)).then_calls("seat#1", "meal#1")
    case = case.when(action_answer("seat", UNKNOWN)).when(action_answer("meal", DONE))
    return case.then_status("parked", seat="backing_off")


def test_output_that_an_uncertain_request_was_made_of_cannot_be_changed() -> None:
    case = in_doubt_beside_it()

    refused = case.when(supplied("pay", {"id": 7, "seat": "7A"}))
    refused.then_refused(NotAllowed, "decide about seat first")
    case.when(Retry(step="pay")).then_refused(NotAllowed, "seat may be sent again")
    case.when(supplied("pay", {"id": 7})).then_calls("ship#1")


def retry_all(case: Scenario) -> Scenario:
    return case.when(Retry(reason="it goes without"))


def lost_twice() -> Definition:
    output = {"output": {"id": "${response.body.id}"}}
    definition = mapped(dict(document("book", "pay", "approve signal=go or_park", "ship")), 0)
    return mapped(parsed(mapped(parsed(definition), 0, **output)), 1, **output)


def test_a_loss_that_is_accepted_is_that_loss() -> None:
    case = given(lost_twice()).when(action_answer("book", DONE)).then_status("parked")
    case = retry_all(case).then_calls("pay#1")
    assert isinstance(case.events[0], SagaUnparked)
    assert case.events[0].accepted == ("book",)

    case = case.when(action_answer("pay", DONE)).then_status("parked")
    assert case.state.parked is not None
    assert case.state.parked.without_output == ("pay",)
    retry_all(case).then_status("running", approve="waiting")


def test_a_retry_of_something_else_accepts_no_loss() -> None:
    output = {"output": {"id": "${response.body.id}"}}
    definition = mapped(dict(document("approve signal=go or_park", "book", "pay")), 1, **output)
    case = given(definition).when(TimerFired(), after=24 * 60 * MINUTE).then_status("parked")
    case = retry_all(case).when(SendSignal(name="go")).when(action_answer("book", DONE))

    case.then_status("parked", pay="pending")


def test_a_retry_accepts_no_loss_that_the_reason_does_not_name() -> None:
    output = {"output": {"id": "${response.body.id}"}}
    steps = ("book", "pay after= pivot attempts=1", "ship after=book,pay")
    case = given(mapped(dict(document(*steps)), 0, **output)).when(action_answer("book", DONE))
    case = case.when(action_answer("pay", UNKNOWN)).then_status("parked", pay="unknown")

    case = retry_all(case).then_calls("pay#2").when(action_answer("pay", DONE, attempt=2))
    case.then_calls().then_status("parked", ship="pending")
    assert case.state.parked is not None
    assert case.state.parked.without_output == ("book",)


def test_resolution_of_another_step_accepts_no_loss() -> None:
    output = {"output": {"id": "${response.body.id}"}}
    steps = (
        "pay pivot",
        "book after=pay attempts=1",
        "ship after=pay attempts=1",
        "mail after=ship",
    )
    case = all_done(given(mapped(dict(document(*steps)), 1, **output)), "pay")
    case = case.when(action_answer("ship", UNKNOWN)).when(action_answer("book", DONE))
    case = case.then_status("parked", ship="unknown")

    case = case.when(ResolveStep(step="ship", verdict=Resolution.DONE, evidence="seen"))
    case.then_calls().then_status("parked", mail="pending")


def old(kind: str, **members: Json) -> Event:
    return decode(kind, 1, serialize(members))


def test_accepted_loss_in_an_old_history_means_all_losses() -> None:
    lost = StepSucceeded(step="book", attempt=1, output_loss=OutputLoss.UNMAPPABLE, error="none")
    history = [
        StepCalled(step="book", attempt=1),
        lost,
        old("SagaParked", why="book is done, but none", not_done=["pay"]),
        old("SagaUnparked", back=False),
        StepCalled(step="pay", attempt=1),
    ]
    case = given(lost_twice(), history=history).when(action_answer("pay", DONE))

    case.then_status("running", approve="waiting")


def test_an_old_parked_saga_goes_on_by_a_retry_and_names_what_comes_later() -> None:
    lost = StepSucceeded(step="book", attempt=1, output_loss=OutputLoss.UNMAPPABLE, error="none")
    parked = old("SagaParked", why="book is done, but none", not_done=["pay"])
    case = given(lost_twice(), history=[StepCalled(step="book", attempt=1), lost, parked])

    retry_all(case).then_calls("pay#1").when(action_answer("pay", DONE)).then_status("parked")
    case.when(supplied("book", {"id": 7})).then_calls("pay#1")


@pytest.mark.parametrize(
    "following",
    [
        [StepCalled(step="pay", attempt=1)],
        [StepCalled(step="pay", attempt=3)],
        [StepSucceeded(step="pay", attempt=2)],
        [StepCalled(step="pay", attempt=2), StepCalled(step="pay", attempt=3)],
        [OutputNotReceived(step="pay", attempt=2, error="no")],
        [StatusQueried(step="pay", attempt=2)],
    ],
)
def test_a_done_step_is_called_once_for_its_output_and_answered_once(
    following: list[Event],
) -> None:
    called, succeeded = StepCalled(step="pay", attempt=1), StepSucceeded(step="pay", attempt=1)

    with pytest.raises(CorruptStream):
        given(define("pay", "ship"), history=[called, succeeded, *following])


SOLD_OUT = callback_failed("pay")


def rejected_while_parked(*steps: str) -> Scenario:
    case = all_done(given(define(*steps)), "book").when(action_answer("pay", ACCEPTED))
    case = case.when(TimerFired(), after=24 * 60 * MINUTE).then_status("parked", pay="waiting")
    return case.when(SOLD_OUT)


def test_a_step_that_ended_badly_while_the_saga_was_parked_turns_it_back() -> None:
    case = rejected_while_parked("book", "approve signal=go or_park", "pay after=book callback")

    case = retry_all(case).then_calls("undo book#1").then_status("compensating", pay="rejected")
    assert not any(isinstance(event, WaitStarted) for event in case.events)
    assert case.state.error == "pay was rejected: sold out"


def test_failed_step_beside_an_uncertain_pivot_waits_for_it_after_a_retry() -> None:
    steps = ("book", "pay after=book callback", "buy pivot after=book attempts=1", "ship after=buy")
    case = all_done(given(define(*steps)), "book").when(action_answer("pay", ACCEPTED))
    case = case.when(action_answer("buy", UNKNOWN)).then_status("parked").when(SOLD_OUT)

    case = retry_all(case).then_calls("buy#2").then_status("running", pay="rejected")
    undone = case.when(action_answer("buy", NOT_SENT, attempt=2)).then_status(
        "parked", buy="unknown"
    )
    undone.when(ResolveStep(step="buy", verdict=Resolution.NOT_DONE, evidence="asked")).then_calls(
        "undo book#1"
    )
    passed = case.when(action_answer("buy", DONE, attempt=2)).then_status("parked", pay="rejected")
    retry_all(passed).then_calls("pay#2", "ship#1")


def test_a_call_that_is_hurried_calls_nothing_that_was_refused() -> None:
    steps = ("book", "pay after=book", "buy pivot after=book")
    case = all_done(given(define(*steps)), "book").when(action_answer("buy", UNKNOWN))
    case = case.when(action_answer("pay", REJECTED)).then_status("running", pay="rejected")

    retry_all(case).then_calls("buy#2")


def test_an_output_that_a_crash_has_cut_off_is_not_asked_for_again_once_the_saga_goes_back() -> (
    None
):
    definition = needing("book", "pay", "ship", by=2)
    case = all_done(given(definition), "book").when(action_answer("pay", LOST))
    case = case.when(Retry(step="pay")).when(Cancel())
    case = replace(case, latest_saga=recovered(case.saga, case.now))
    assert pending_instructions(case.saga) == []

    case = case.when(TimerFired(), after=MINUTE).then_calls("undo pay#1")
    assert isinstance(case.events[0], OutputNotReceived)
