"""Allowed actions are exactly the legal verbs, in each situation of a saga."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import OutputLoss
from saga_orchestrator.fsm.decider.candidate_commands import candidate_commands
from saga_orchestrator.fsm.decider.decide import allowed_actions, decide
from saga_orchestrator.fsm.errors import NotAllowed, NotCompensatable, SagaError
from saga_orchestrator.fsm.events import Cause, CompensationStarted, Resolution, StepRejected
from saga_orchestrator.fsm.inputs import (
    Abandon,
    Cancel,
    Compensate,
    OperatorCommand,
    Pause,
    ResolveStep,
    Resume,
    Retry,
    SendSignal,
    SkipStep,
    TimerFired,
)
from saga_orchestrator.fsm.testing import (
    DONE,
    NOON,
    REJECTED,
    UNKNOWN,
    Scenario,
    action_answer,
    compensation_answer,
    define,
    document,
    done_without_output,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import ASKED, MINUTE, TWO, all_done, mapped

PIVOT = define("book", "pay pivot attempts=1", "ship attempts=1")
CANNOT_BE_SENT = mapped(dict(document("pay pivot", "book")), 1, action={"path": "/${input.id}"})
RUNNING = given(TWO)
TURNED = all_done(given(TWO), "book").when(action_answer("pay", REJECTED))
CASES: dict[str, tuple[Scenario, set[str]]] = {
    "put off": (
        given(TWO, start_at=NOON + MINUTE),
        {"compensate", "cancel", "pause", "abandon", "skip"},
    ),
    "called": (RUNNING, {"compensate", "cancel", "pause", "abandon", "skip"}),
    "backing off": (
        RUNNING.when(action_answer("book", UNKNOWN)),
        {"compensate", "cancel", "retry", "pause", "abandon", "skip"},
    ),
    "waiting for a signal": (
        given(define("approve signal=go", "book")),
        {"compensate", "cancel", "pause", "abandon", "skip", "signal"},
    ),
    "asked to go back at its pivot": (
        all_done(given(PIVOT), "book").when(ASKED),
        {"pause", "abandon", "skip"},
    ),
    "parked for what no step can give": (
        all_done(given(CANNOT_BE_SENT, input={"id": ""}), "pay"),
        {"abandon", "skip"},
    ),
    "at its last step": (
        all_done(RUNNING, "book"),
        {"compensate", "cancel", "pause", "abandon"},
    ),
    "paused": (
        RUNNING.when(action_answer("book", UNKNOWN)).when(Pause()),
        {"compensate", "cancel", "resume", "abandon", "skip"},
    ),
    "past its pivot": (
        all_done(given(PIVOT), "book", "pay"),
        {"pause", "abandon"},
    ),
    "at its pivot": (
        all_done(given(PIVOT), "book"),
        {"compensate", "cancel", "pause", "abandon", "skip"},
    ),
    "parked at its pivot": (
        all_done(given(PIVOT), "book").when(action_answer("pay", UNKNOWN)),
        {"retry", "abandon", "skip", "resolve"},
    ),
    "parked past its pivot": (
        all_done(given(PIVOT), "book", "pay").when(action_answer("ship", UNKNOWN)),
        {"retry", "abandon", "resolve"},
    ),
    "parked for an output": (
        RUNNING.when(action_answer("book", done_without_output(OutputLoss.TOO_LARGE))),
        {"compensate", "cancel", "retry", "abandon", "skip", "resolve"},
    ),
    "compensating": (TURNED, {"pause", "abandon"}),
    "undo backing off": (
        TURNED.when(compensation_answer("book", UNKNOWN)),
        {"retry", "pause", "abandon"},
    ),
    "parked on its way back": (
        TURNED.when(compensation_answer("book", REJECTED)),
        {"retry", "abandon", "resolve"},
    ),
    "completed": (all_done(RUNNING, "book", "pay"), {"compensate"}),
    "completed past a pivot": (
        all_done(given(define("book", "pay pivot")), "book", "pay"),
        set(),
    ),
    "compensated": (TURNED.when(compensation_answer("book", DONE)), set()),
    "abandoned": (RUNNING.when(Abandon(reason="enough")), set()),
}
VERBS: dict[str, OperatorCommand] = {
    "compensate": Compensate(),
    "cancel": Cancel(),
    "retry": Retry(),
    "pause": Pause(),
    "resume": Resume(),
    "abandon": Abandon(reason="enough"),
    "signal": SendSignal(name="go"),
}
WITH_A_STEP: dict[str, OperatorCommand] = {
    "skip": SkipStep(step="book"),
    "resolve": ResolveStep(step="book", verdict=Resolution.DONE, evidence="seen"),
}
# Asked for a second time they change nothing, and are not offered.
REPEATS = {
    ("asked to go back at its pivot", "compensate"),
    ("asked to go back at its pivot", "cancel"),
    ("compensating", "compensate"),
    ("compensating", "cancel"),
    ("undo backing off", "compensate"),
    ("undo backing off", "cancel"),
    ("compensated", "compensate"),
    ("compensated", "cancel"),
    ("paused", "pause"),
}


def test_every_verb_is_tried() -> None:
    assert {name for name, _ in candidate_commands(RUNNING.saga)} == {*VERBS, *WITH_A_STEP}


@pytest.mark.parametrize(("case", "allowed"), CASES.values(), ids=CASES.keys())
def test_allowed_actions_of_a_situation(case: Scenario, allowed: set[str]) -> None:
    assert set(allowed_actions(case.saga)) == allowed


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("verb", VERBS)
def test_command_is_accepted_exactly_if_its_verb_is_offered(name: str, verb: str) -> None:
    case, allowed = CASES[name]
    after = case.when(VERBS[verb])

    if verb in allowed:
        assert after.refusal is None
        assert after.events
    elif (name, verb) in REPEATS:
        after.then_nothing_happened()
    else:
        after.then_refused(SagaError)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("verb", WITH_A_STEP)
def test_verb_that_is_not_offered_is_refused_for_every_step(name: str, verb: str) -> None:
    case, allowed = CASES[name]

    if verb not in allowed:
        case.when(WITH_A_STEP[verb]).then_refused(NotAllowed, f"{verb} of saga")


def test_a_refusal_says_what_is_allowed() -> None:
    case, _ = CASES["parked at its pivot"]

    with pytest.raises(NotAllowed) as refusal:
        decide(case.saga, Pause(), now=NOON, jitter=0)

    assert refusal.value.allowed_actions == ("retry", "abandon", "skip", "resolve")
    assert str(refusal.value).endswith("it is parked")


@pytest.mark.parametrize(("verb", "kind"), [(ASKED, NotCompensatable), (Cancel(), NotAllowed)])
def test_refusal_of_compensate_has_its_own_type(
    verb: OperatorCommand, kind: type[NotAllowed]
) -> None:
    case, _ = CASES["past its pivot"]

    refusal = case.when(verb).refusal

    assert type(refusal) is kind


def test_cancel_turns_back_what_is_under_way() -> None:
    case = all_done(given(TWO), "book").when(Cancel(actor="anna", reason="too dear"))

    case.then(
        CompensationStarted(
            cause=Cause.REQUEST,
            error="compensation was requested: too dear",
            actor="anna",
            reason="too dear",
        )
    )
    assert case.when(action_answer("pay", REJECTED)).events[0] == StepRejected(
        step="pay", attempt=1, error="409 no"
    )


def test_cancel_says_what_else_can_be_done_of_a_completed_saga() -> None:
    case, _ = CASES["completed"]

    case.when(Cancel()).then_refused(NotAllowed, "completed; compensate it instead")


def test_cancel_waits_for_a_pivot_like_any_request() -> None:
    case = CASES["at its pivot"][0].when(Cancel()).then_calls().then_status("running")

    case.when(Cancel()).then_nothing_happened()
    case.when(action_answer("pay", REJECTED)).then_calls("undo book#1")


def test_cancel_of_a_saga_on_its_way_back_changes_nothing() -> None:
    later = TURNED.when(Cancel()).then_nothing_happened()

    later.when(TimerFired(), after=timedelta(days=1)).then_nothing_happened()
