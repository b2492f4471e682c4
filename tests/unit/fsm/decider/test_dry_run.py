from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.decider.dry_run import plan_compensation
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.errors import NotCompensatable
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.fsm.inputs import Compensate, TimerFired
from saga_orchestrator.fsm.instructions import recovered
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.testing import (
    BUSY,
    DONE,
    NOON,
    REJECTED,
    UNKNOWN,
    Scenario,
    action_answer,
    call_name,
    child_finished,
    compensation_answer,
    define,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import all_done

THREE = define("book", "look no_effect", "pay", "confirm undone_by=book")


def planned(case: Scenario) -> tuple[list[str], tuple[str, ...]]:
    plan = plan_compensation(case.saga, now=NOON)
    return [call_name(call) for call in plan.calls], plan.cannot_undo


def test_a_plan_is_what_compensation_would_send() -> None:
    case = all_done(given(THREE), "book", "look", "pay", "confirm")

    assert planned(case) == (["undo pay#1", "undo book#1"], ())


def test_a_plan_changes_nothing() -> None:
    case = all_done(given(THREE), "book")
    before = case.saga

    planned(case)

    assert case.saga == before


def test_a_call_that_is_out_counts_as_done() -> None:
    assert planned(given(THREE)) == (["undo book#1"], ())


def test_plan_counts_a_step_that_backs_off_as_compensation_would() -> None:
    assert planned(given(THREE).when(action_answer("book", UNKNOWN))) == (["undo book#1"], ())


def test_a_saga_on_its_way_back_plans_what_is_left() -> None:
    case = all_done(given(THREE), "book", "look", "pay").when(Compensate())
    case = case.when(action_answer("confirm", REJECTED)).when(compensation_answer("pay", DONE))

    assert planned(case) == (["undo book#1"], ())


def test_a_compensation_that_backs_off_is_still_planned() -> None:
    case = all_done(given(define("book", "pay")), "book").when(action_answer("pay", REJECTED))

    assert planned(case.when(compensation_answer("book", BUSY))) == (["undo book#1"], ())
    assert planned(case.when(compensation_answer("book", UNKNOWN))) == (["undo book#2"], ())


def test_children_are_planned_with_the_calls() -> None:
    definition = define("book", "hotel child=room", "pay")
    case = all_done(given(definition), "book").when(child_finished("hotel", SagaStatus.COMPLETED))

    assert planned(all_done(case, "pay")) == (["undo pay#1", "undo hotel", "undo book#1"], ())


def test_plan_ends_waits() -> None:
    case = all_done(given(define("book", "rest sleep=1m", "pay")), "book")

    assert planned(case) == (["undo book#1"], ())


def test_branches_are_planned_in_reverse_order_of_completion() -> None:
    case = all_done(given(define("book after=", "pay after=", "ship after=book")), "pay", "book")

    assert planned(all_done(case, "ship")) == (["undo ship#1", "undo book#1", "undo pay#1"], ())


def test_plan_names_what_cannot_be_undone() -> None:
    step: Json = {
        "name": "pay",
        "participant": "bank",
        "action": {"path": "/pay"},
        "compensation": {"path": "/pay/${steps.pay.output.id}/undo"},
    }
    definition = parse_definition({"saga": "trip", "version": 1, "steps": [step]})

    assert planned(all_done(given(definition), "pay")) == ([], ("pay",))


def test_a_passed_pivot_has_no_plan() -> None:
    case = all_done(given(define("pay pivot")), "pay")

    with pytest.raises(NotCompensatable):
        planned(case)


def test_plan_of_a_scheduled_saga_is_empty() -> None:
    assert planned(given(THREE, start_at=NOON + timedelta(minutes=1))) == ([], ())


def test_a_plan_has_an_end_where_what_is_due_waits_for_a_call_that_a_crash_has_cut_off() -> None:
    case = given(define("approve signal=go or_park", "pay pivot after="))
    for _ in range(2):
        case = case.when(action_answer("pay", BUSY)).when(TimerFired(), after=timedelta(minutes=1))
    now = NOON + timedelta(hours=25)
    case = case.when(Compensate())

    plan = plan_compensation(recovered(case.saga, now), now=now)
    assert (plan.calls, plan.cannot_undo) == ((), ("pay",))
