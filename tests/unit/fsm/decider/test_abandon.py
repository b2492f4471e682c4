"""`abandon`: an operator gives the saga up; no step is executed or compensated any more."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from saga_orchestrator.fsm.call_outcome import CallOutcome
from saga_orchestrator.fsm.decider.decide import allowed_actions
from saga_orchestrator.fsm.errors import ChildrenUnderWay, NotAllowed, NotCompensatable
from saga_orchestrator.fsm.events import (
    CompensationFailed,
    Event,
    LateReplyIgnored,
    SagaAbandoned,
    StepNotSent,
    StepUnknown,
)
from saga_orchestrator.fsm.inputs import (
    Abandon,
    CallCompleted,
    Cancel,
    ChildInstructionRefused,
    ChildPolicy,
    Input,
    Pause,
    TimerFired,
)
from saga_orchestrator.fsm.instructions import (
    child_id_of,
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
    NOT_SENT,
    REJECTED,
    SAGA_ID,
    THROTTLED,
    UNKNOWN,
    Scenario,
    action_answer,
    call_name,
    callback_done,
    child_finished,
    compensation_answer,
    define,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import ASKED, MINUTE, THREE, TWO, all_done

ABANDON = Abandon(actor="anna", reason="settled in court")
GIVEN_UP = "abandoned before its reply arrived"


def abandoned(not_done: tuple[str, ...], not_undone: tuple[str, ...]) -> SagaAbandoned:
    return SagaAbandoned(
        reason="settled in court", actor="anna", not_done=not_done, not_undone=not_undone
    )


def test_a_saga_that_only_waits_names_what_is_not_done_and_what_stays() -> None:
    case = all_done(given(define("book", "rest sleep=1m", "pay")), "book").when(ABANDON)

    case.then(abandoned(("rest", "pay"), ("book",))).then_calls().then_status("abandoned")
    assert case.state.error == "abandoned: settled in court"


def test_call_in_flight_may_take_effect_and_is_named() -> None:
    all_done(given(THREE), "book").when(ABANDON).then(
        StepUnknown(step="pay", attempt=1, error=GIVEN_UP),
        abandoned(("pay", "ship"), ("book", "pay")),
    )


@pytest.mark.parametrize(("outcome", "stays"), [(UNKNOWN, True), (BUSY, True), (NOT_SENT, False)])
def test_a_step_that_backs_off_stays_if_it_may_have_happened(
    outcome: CallOutcome, stays: bool
) -> None:
    kind = StepUnknown if stays else StepNotSent

    given(TWO).when(action_answer("book", outcome)).when(ABANDON).then(
        kind(step="book", attempt=1, error=outcome.reason),
        abandoned(("book", "pay"), ("book",) * stays),
    )


def test_accepted_step_may_have_taken_effect_and_is_named() -> None:
    case = given(define("book callback", "pay")).when(action_answer("book", ACCEPTED)).when(ABANDON)

    case.then(
        StepUnknown(step="book", attempt=1, error=GIVEN_UP), abandoned(("book", "pay"), ("book",))
    )
    case.when(callback_done("book")).then(
        LateReplyIgnored(step="book", what="completed by callback")
    )


PARENT = define("hotel child=room", "pay")
CHILD_ID = child_id_of(SAGA_ID, "hotel")


def abandoned_with(policy: ChildPolicy) -> Scenario:
    return given(PARENT).when(replace(ABANDON, children=policy))


@pytest.mark.parametrize("case", [given(PARENT), given(PARENT).when(Pause())])
def test_abandon_needs_a_policy_for_active_children(case: Scenario) -> None:
    case = case.when(ABANDON)

    case.then_refused(
        ChildrenUnderWay, f"{CHILD_ID} in progress: say whether to leave or to cancel"
    )
    assert isinstance(case.refusal, ChildrenUnderWay)
    assert case.refusal.children == (CHILD_ID,)
    assert "abandon" in case.refusal.allowed_actions


def test_children_that_rest_need_not_be_spoken_of() -> None:
    case = given(PARENT).when(child_finished("hotel", SagaStatus.COMPLETED)).when(ABANDON)

    case.then_status("abandoned", hotel="succeeded")


def test_a_child_that_is_left_goes_on_and_is_named() -> None:
    case = abandoned_with(ChildPolicy.LEAVE)

    case.then(
        StepUnknown(step="hotel", attempt=0, error=GIVEN_UP),
        replace(abandoned(("hotel", "pay"), ("hotel",)), children=(CHILD_ID,)),
    ).then_calls()
    assert needs_no_recovery(case.saga)
    case.when(child_finished("hotel", SagaStatus.COMPLETED)).then_nothing_happened()


@pytest.mark.parametrize("end", [SagaStatus.COMPENSATED, SagaStatus.COMPLETED])
def test_a_child_that_is_cancelled_is_called_back_until_it_rests(end: SagaStatus) -> None:
    case = abandoned_with(ChildPolicy.CANCEL).then_calls("undo hotel")

    assert case.events[-1] == replace(
        abandoned(("hotel", "pay"), ("hotel",)), children=(CHILD_ID,), children_cancelled=True
    )
    assert [call_name(instruction) for instruction in pending_instructions(case.saga)] == [
        "undo hotel"
    ]
    assert not needs_no_recovery(case.saga)
    case = case.when(child_finished("hotel", SagaStatus.PARKED)).then_nothing_happened()
    case = case.when(child_finished("hotel", end))
    case.then(LateReplyIgnored(step="hotel", what=f"the child saga is {end}"))
    assert needs_no_recovery(case.saga)
    assert pending_instructions(case.saga) == []


def test_a_child_that_cannot_be_cancelled_is_asked_once() -> None:
    case = abandoned_with(ChildPolicy.CANCEL)

    case = case.when(ChildInstructionRefused(step="hotel", error="its pivot has succeeded"))
    assert needs_no_recovery(case.saga)


def test_abandon_of_a_compensating_saga_names_only_what_is_not_undone() -> None:
    case = all_done(given(THREE), "book", "pay").when(action_answer("ship", REJECTED))
    case = case.when(compensation_answer("pay", DONE)).when(ABANDON)

    case.then(CompensationFailed(step="book", attempt=1, error=GIVEN_UP), abandoned((), ("book",)))


def test_compensation_in_flight_is_named() -> None:
    case = all_done(given(TWO), "book").when(ASKED).when(ABANDON)

    assert case.events[-1] == abandoned((), ("book", "pay"))


def test_a_compensation_that_backs_off_is_named() -> None:
    case = all_done(given(TWO), "book").when(action_answer("pay", REJECTED))

    case.when(compensation_answer("book", UNKNOWN)).when(ABANDON).then(abandoned((), ("book",)))


def test_a_parked_saga_can_be_abandoned() -> None:
    case = all_done(given(TWO), "book").when(action_answer("pay", REJECTED))
    case = case.when(compensation_answer("book", REJECTED)).then_status("parked").when(ABANDON)

    case.then(abandoned((), ("book",)))
    assert (case.state.parked, case.state.error) == (None, "pay was rejected: 409 no")


def test_a_saga_that_has_not_started_has_nothing_that_stays() -> None:
    given(TWO, start_at=NOON + MINUTE).when(ABANDON).then(abandoned(("book", "pay"), ()))


def test_a_paused_saga_can_be_abandoned_and_is_not_paused_any_more() -> None:
    case = given(define("rest sleep=1m")).when(Pause()).when(ABANDON)

    assert case.then_status("abandoned").state.paused_at is None


@pytest.mark.parametrize(
    ("answer", "ignored"),
    [
        (
            action_answer("book", DONE),
            LateReplyIgnored(step="book", what="the action was answered: done"),
        ),
        (
            action_answer("book", REJECTED),
            LateReplyIgnored(step="book", what="the action was answered: rejected", error="409 no"),
        ),
    ],
)
def test_an_answer_that_comes_too_late_is_recorded_and_changes_nothing(
    answer: CallCompleted, ignored: Event
) -> None:
    """R6."""
    case = given(TWO).when(ABANDON)
    before = case.step("book")

    case = case.when(answer).then(ignored).then_calls()

    assert case.step("book") == before


@pytest.mark.parametrize(
    "input_", [TimerFired(), child_finished("book", SagaStatus.COMPLETED), ABANDON, ASKED]
)
def test_an_abandoned_saga_stays_so(input_: Input) -> None:
    case = given(TWO).when(action_answer("book", THROTTLED)).when(ABANDON)
    assert (
        pending_instructions(case.saga),
        next_wakeup(case.saga),
        allowed_actions(case.saga),
    ) == ([], None, ())

    after = case.when(input_, after=MINUTE)
    if after.refusal is None:
        after.then_nothing_happened()
    else:
        after.then_refused(NotAllowed)


def test_an_abandoned_saga_cannot_be_undone() -> None:
    case = given(TWO).when(ABANDON)

    case.when(ASKED).then_refused(NotCompensatable, "it was abandoned")
    case.when(Cancel()).then_refused(NotAllowed, "it was abandoned")
