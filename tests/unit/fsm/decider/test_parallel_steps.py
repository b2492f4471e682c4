"""Concurrent steps: each begins when its predecessors are done."""

from __future__ import annotations

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from saga_orchestrator.fsm.call_outcome import CallOutcome, OutputLoss
from saga_orchestrator.fsm.events import (
    CompensationCalled,
    CompensationStarted,
    CompensationSucceeded,
    SagaParked,
    StepCalled,
    StepSucceeded,
)
from saga_orchestrator.fsm.inputs import Retry, TimerFired
from saga_orchestrator.fsm.testing import (
    BUSY,
    DONE,
    NOT_SENT,
    REJECTED,
    UNKNOWN,
    Scenario,
    action_answer,
    compensation_answer,
    define,
    done_without_output,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import ASKED, MINUTE, all_done, all_undone

FORK = define("book", "hotel after=book", "car after=book", "mail after=hotel,car")
BESIDE = define("book", "pay pivot", "ship after=pay attempts=1", "mail after=pay attempts=1")
LOST = done_without_output(OutputLoss.TOO_LARGE)


def test_steps_without_predecessors_start_at_once() -> None:
    given(define("hotel after=", "car after=")).then_calls("hotel#1", "car#1")


def test_branches_begin_in_the_append_of_the_step_before_them() -> None:
    given(FORK).when(action_answer("book", DONE)).then(
        StepSucceeded(step="book", attempt=1),
        StepCalled(step="hotel", attempt=1),
        StepCalled(step="car", attempt=1),
    ).then_calls("hotel#1", "car#1")


@pytest.mark.parametrize("order", [("hotel", "car"), ("car", "hotel")])
def test_a_join_waits_for_all_its_branches(order: tuple[str, str]) -> None:
    case = all_done(given(FORK), "book", order[0]).then_calls()

    all_done(case, order[1]).then_calls("mail#1")


def test_a_saga_is_completed_when_its_last_branch_is() -> None:
    case = all_done(given(define("hotel after=", "car after=")), "car").then_status("running")

    all_done(case, "hotel").then_status("completed")


def test_a_skipped_branch_does_not_hold_the_others_up() -> None:
    definition = define("book", "hotel after=book when=hotel", "car after=book", "mail after=hotel")

    all_done(given(definition), "book").then_calls("car#1", "mail#1").then_status(
        "running", hotel="skipped"
    )


def test_branches_back_off_each_for_itself() -> None:
    case = all_done(given(FORK), "book").when(action_answer("hotel", NOT_SENT))
    case = case.when(action_answer("car", BUSY), after=MINUTE)

    case.when(TimerFired()).then_calls("hotel#2")
    case.when(TimerFired(), after=MINUTE).then_calls("hotel#2", "car#1")


@pytest.mark.parametrize(
    ("order", "undone"),
    [(("hotel", "car"), ("car", "hotel", "book")), (("car", "hotel"), ("hotel", "car", "book"))],
)
def test_branches_are_undone_in_reverse_order_of_completion(
    order: tuple[str, ...], undone: tuple[str, ...]
) -> None:
    case = all_done(given(FORK), "book", *order).when(action_answer("mail", REJECTED))
    for step in undone:
        case = case.then_calls(f"undo {step}#1").when(compensation_answer(step, DONE))

    case.then_calls().then_status("compensated")


@drawn(st.randoms(use_true_random=False), st.integers(2, 6))
def test_undo_is_a_linear_extension_of_the_reversed_graph(random: object, steps: int) -> None:
    names = [f"s{number}" for number in range(steps)]
    lines = []
    for number, name in enumerate(names):
        after = [name for name in names[:number] if random.random() < 0.5]  # type: ignore[attr-defined]
        lines.append(f"{name} after={','.join(after)}")
    definition = define(*lines, f"last after={','.join(names)}")
    case = given(definition)
    while case.state.steps.get("last") is None:
        called = [name for name in names if case.step(name).status == "calling"]
        case = case.when(action_answer(random.choice(called), DONE))  # type: ignore[attr-defined]

    undone = []
    case = case.when(action_answer("last", REJECTED))
    while case.calls:
        (call,) = case.calls
        undone.append(call.step)
        case = case.when(compensation_answer(call.step, DONE))

    assert sorted(undone) == names
    for place, step in enumerate(undone):
        assert definition.predecessors(step).isdisjoint(undone[:place])


def test_a_rejected_branch_lets_the_other_settle_and_undoes_it() -> None:
    """R2."""
    case = all_done(given(FORK), "book").when(action_answer("hotel", REJECTED)).then_calls()

    case.when(action_answer("car", DONE)).then(
        StepSucceeded(step="car", attempt=1), CompensationCalled(step="car", attempt=1)
    )
    case.when(action_answer("car", UNKNOWN)).then_calls("undo car#1")
    case.when(action_answer("car", NOT_SENT)).then_calls("undo book#1")
    case.when(action_answer("car", REJECTED)).then_calls("undo book#1")


def test_a_branch_that_backs_off_is_not_tried_again_after_the_turn() -> None:
    case = all_done(given(FORK), "book").when(action_answer("car", UNKNOWN))
    case = case.when(action_answer("hotel", REJECTED)).then_calls("undo car#1")

    all_undone(case, "car").then_calls("undo book#1").then_status("compensating", car="compensated")


def test_two_branches_that_fail_turn_it_back_once() -> None:
    case = all_done(given(FORK), "book").when(action_answer("hotel", REJECTED))
    assert any(isinstance(event, CompensationStarted) for event in case.events)

    case = case.when(action_answer("car", REJECTED)).then_calls("undo book#1")
    assert not any(isinstance(event, CompensationStarted) for event in case.events)


def test_compensations_run_one_at_a_time() -> None:
    case = all_done(given(FORK), "book", "hotel", "car").when(action_answer("mail", REJECTED))

    case.then_calls("undo car#1").when(TimerFired(), after=MINUTE).then_calls()
    case.when(compensation_answer("car", DONE)).then(
        CompensationSucceeded(step="car", attempt=1), CompensationCalled(step="hotel", attempt=1)
    )


def beside_the_pivot(hotel: CallOutcome) -> Scenario:
    """Return a saga whose hotel has its last result while the payment is in flight."""
    definition = define("book", "hotel after=book attempts=1", "pay pivot after=book", "ship")
    return all_done(given(definition), "book").when(action_answer("hotel", hotel))


def test_a_failure_beside_a_pivot_waits_for_the_pivot() -> None:
    case = beside_the_pivot(REJECTED).then_calls().then_status("running")

    case.when(action_answer("pay", REJECTED)).then_calls("undo book#1")
    case.when(action_answer("pay", DONE)).then_calls().then_status("parked", hotel="rejected")


def test_a_pivot_beside_a_failure_is_tried_on() -> None:
    case = beside_the_pivot(UNKNOWN).when(action_answer("pay", UNKNOWN))

    case.when(TimerFired(), after=MINUTE).then_calls("pay#2")


def test_a_saga_parks_when_all_that_is_out_is_answered() -> None:
    case = all_done(given(BESIDE), "book", "pay").when(action_answer("ship", UNKNOWN))
    case.then_calls().then_status("running", ship="unknown", mail="calling")

    case.when(action_answer("mail", DONE)).then(
        StepSucceeded(step="mail", attempt=1),
        SagaParked(reason="ship has an unknown outcome: 500 oops", not_done=("ship",)),
    )


def test_no_step_begins_while_the_saga_waits_to_park() -> None:
    definition = define(
        "pay pivot", "ship after=pay attempts=1", "mail after=pay", "thank after=mail"
    )
    case = all_done(given(definition), "pay").when(action_answer("ship", REJECTED))

    all_done(case, "mail").then_calls().then_status("parked", thank="pending")


def test_a_lost_output_of_one_branch_parks_after_the_other() -> None:
    case = all_done(given(FORK), "book").when(action_answer("hotel", LOST)).then_calls()

    case.when(action_answer("car", DONE)).then_status("parked", hotel="succeeded", car="succeeded")


def test_a_deadline_after_the_pivot_awaits_all_branches() -> None:
    definition = define(
        "pay pivot", "ship after=pay", "mail after=pay", "thank after=mail", deadline="1m"
    )
    case = (
        all_done(given(definition), "pay")
        .when(TimerFired(), after=2 * MINUTE)
        .then_nothing_happened()
    )

    case = case.when(action_answer("ship", DONE)).then(StepSucceeded(step="ship", attempt=1))
    case.when(action_answer("mail", BUSY)).then_calls().then_status("parked", mail="backing_off")


def test_retry_calls_all_failed_branches() -> None:
    case = all_done(given(BESIDE), "book", "pay").when(action_answer("ship", UNKNOWN))
    case = case.when(action_answer("mail", REJECTED)).then_status("parked")

    case.when(Retry()).then_calls("ship#2", "mail#2").then_status("running")


def test_a_request_settles_all_branches_first() -> None:
    case = all_done(given(FORK), "book").when(ASKED).then_calls()
    case = case.when(action_answer("car", DONE)).then_calls()

    case.when(action_answer("hotel", DONE)).then_calls("undo hotel#1")
