"""Ledgers of participants against a log that says something else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import Direction, Outcome
from saga_orchestrator.fsm.events import (
    CompensationBackedOff,
    CompensationFailed,
    CompensationRequested,
    Event,
    Resolution,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaParked,
    SagaUnparked,
    StepBackedOff,
    StepNotSent,
    StepResolved,
    StepSkipped,
    StepUnknown,
    WaitStarted,
)
from saga_orchestrator.fsm.invariants import (
    History,
    LedgerCoverage,
    LedgerEntry,
    Notice,
    certainty_holds,
    compensations_use_their_attempts,
    effects_match_log,
    fold,
    forward_calls_stop,
    late_calls,
    uncertainty_has_a_cause,
    violations,
    violations_of_calls,
)
from saga_orchestrator.fsm.testing import NOON, SAGA_ID, define
from saga_orchestrator.tests.unit.fsm.invariants.histories import (
    BACK,
    called,
    done,
    entry,
    history_of_events,
    rejected,
    started,
    undo,
    undone,
)

TWO = define("book", "pay")
LATER = NOON + timedelta(hours=1)
EVERY_LEDGER = LedgerCoverage(
    frozenset({"book-service", "pay-service", "look-service"}), until=LATER
)
COMPLETED = history_of_events(
    TWO, called("book"), done("book"), called("pay"), done("pay"), SagaCompleted()
)
DECLINED: list[Event] = [called("book"), done("book"), called("pay"), rejected("pay"), BACK]
COMPENSATED = history_of_events(TWO, *DECLINED, undo("book"), undone("book"), SagaCompensated())
PARKED = history_of_events(
    TWO,
    *DECLINED,
    undo("book"),
    CompensationFailed(step="book", attempt=1, error="no"),
    SagaParked(reason="no", not_undone=("book",)),
)


def seen(call: str, *, effect: bool = True, attempt: int = 1, epoch: int | None = 1) -> LedgerEntry:
    """`call` is the name of a step, with `undo ` before it if it is to be undone."""
    step = call.removeprefix("undo ")
    direction = Direction.ACTION if step == call else Direction.COMPENSATION
    return LedgerEntry(
        at=NOON,
        participant=f"{step}-service",
        key=f"{SAGA_ID}/{step}/{direction}",
        saga_id=SAGA_ID,
        step=step,
        direction=direction,
        attempt=attempt,
        epoch=epoch,
        method="POST",
        path=f"/{step}",
        effect=effect,
        status=200,
    )


PIVOTAL = define("book", "pay pivot", "ship")
UNDO_FAILED = CompensationFailed(step="pay", attempt=1, error="no")
UNDO_LOST = CompensationBackedOff(
    step="pay", attempt=1, outcome=Outcome.UNKNOWN, error="", until=NOON
)
UNDO_BUSY = CompensationBackedOff(step="pay", attempt=1, outcome=Outcome.BUSY, error="", until=NOON)
BOTH = [seen("book"), seen("pay")]
UNDONE = [seen("book"), seen("pay", effect=False), seen("undo book")]
AGREED: dict[str, tuple[History, list[LedgerEntry]]] = {
    "a completion": (COMPLETED, BOTH),
    "an answer that was asked for twice": (COMPLETED, [*BOTH, seen("pay", effect=False)]),
    "a decline": (COMPENSATED, UNDONE),
    "a parking place": (PARKED, [seen("book"), seen("undo book", effect=False)]),
    "a call that an heir repeats": (COMPLETED, [seen("book", epoch=None), seen("pay", epoch=2)]),
    "one that is under way": (history_of_events(TWO, called("book")), [seen("book")]),
}
DISAGREED: dict[str, tuple[History, list[LedgerEntry], list[tuple[str, str]]]] = {
    "I6: a call that was never recorded": (
        history_of_events(TWO, called("book")),
        [seen("book"), seen("book", attempt=2, effect=False)],
        [("I6", "the action of book, attempt 2, was sent and never recorded")],
    ),
    "I6: a call that is older than its record": (
        COMPLETED,
        [seen("book", epoch=0), seen("pay")],
        [("I6", "the action of book was sent in epoch 0, and recorded in epoch 1")],
    ),
    "I7: a key of its own": (
        COMPLETED,
        [replace(seen("book"), key="another"), seen("pay")],
        [("I7", "the action of book was sent under the key another")],
    ),
    "I7: two requests under one key": (
        COMPLETED,
        [*BOTH, replace(seen("pay", effect=False), path="/other")],
        [("I7", f"{SAGA_ID}/pay/action was sent with two requests")],
    ),
    "I7: two bodies under one key": (
        COMPLETED,
        [*BOTH, replace(seen("pay", effect=False), content="{}")],
        [("I7", f"{SAGA_ID}/pay/action was sent with two requests")],
    ),
    "I7: the key of an action for its compensation": (
        COMPENSATED,
        [*UNDONE[:2], replace(seen("undo book"), key=f"{SAGA_ID}/book/action")],
        [
            ("I7", f"the compensation of book was sent under the key {SAGA_ID}/book/action"),
            ("I2", f"{SAGA_ID}/book/action took effect 2 times"),
        ],
    ),
    "I2: an effect that happened twice": (
        COMPLETED,
        [*BOTH, seen("pay")],
        [("I2", f"{SAGA_ID}/pay/action took effect 2 times")],
    ),
    "I2: a completion without an effect": (
        COMPLETED,
        [seen("book"), seen("pay", effect=False)],
        [("I2", "pay is called done, and took no effect")],
    ),
    "I2: a completion without a call of what has no effect": (
        history_of_events(define("look no_effect"), called("look"), done("look"), SagaCompleted()),
        [],
        [("I2", "look is called done, and was never called")],
    ),
    "I2: a compensation of what an operator called done, and without an effect": (
        history_of_events(
            TWO,
            called("book"),
            StepUnknown(step="book", attempt=1, error=""),
            SagaParked(reason="", not_done=("book", "pay")),
            StepResolved(step="book", verdict=Resolution.DONE, evidence="seen"),
            SagaUnparked(back=False),
            BACK,
            undo("book"),
            undone("book"),
            SagaCompensated(),
        ),
        [seen("book"), seen("undo book", effect=False)],
        [("I2", "compensated, and book still stands")],
    ),
    "R5: a compensation that is given up after one server error": (
        PARKED,
        [seen("book"), replace(seen("undo book", effect=False), status=503)],
        [("R5", "the compensation of book was given up after attempt 1")],
    ),
    "I2: a completion in another order": (
        COMPLETED,
        BOTH[::-1],
        [("I2", "pay was done before book")],
    ),
    "I2: an end of which something stands": (
        COMPENSATED,
        UNDONE[:2],
        [("I2", "compensated, and book still stands")],
    ),
    "I2: an action that came after its undo": (
        COMPENSATED,
        [UNDONE[2], *UNDONE[:2]],
        [("I2", "compensated, and book still stands")],
    ),
    "I2: an effect that the log knows nothing of": (
        COMPENSATED,
        [*UNDONE, seen("pay")],
        [
            ("I2", "pay took effect, and the log has it as rejected"),
            ("I2", "compensated, and pay still stands"),
        ],
    ),
    "I2: an effect without a word of it": (
        history_of_events(TWO, called("book"), StepNotSent(step="book", attempt=1, error=""), BACK),
        [seen("book")],
        [("I2", "book took effect, and the log has it as not_sent")],
    ),
    "I2: an effect of a lost attempt that counts as not sent": (
        history_of_events(
            TWO,
            called("book"),
            StepBackedOff(step="book", attempt=1, outcome=Outcome.UNKNOWN, error="", until=NOON),
            *(BACK, StepNotSent(step="book", attempt=1, error="")),
        ),
        [seen("book")],
        [("I2", "book took effect, and the log has it as not_sent")],
    ),
}


@pytest.mark.parametrize(("history", "calls"), AGREED.values(), ids=AGREED.keys())
def test_ledger_that_agrees_with_the_log_violates_nothing(
    history: History, calls: list[LedgerEntry]
) -> None:
    assert violations(history) == []
    assert violations_of_calls(history, calls, EVERY_LEDGER) == []


@pytest.mark.parametrize(("history", "calls", "found"), DISAGREED.values(), ids=DISAGREED.keys())
def test_ledger_that_disagrees_with_the_log_is_a_violation(
    history: History, calls: list[LedgerEntry], found: list[tuple[str, str]]
) -> None:
    complaints = violations_of_calls(history, calls, EVERY_LEDGER)

    assert [(violation.code, violation.detail) for violation in complaints] == found


def test_compensation_after_completion_is_a_violation() -> None:
    calls = [*BOTH, seen("undo pay")]

    found = violations_of_calls(COMPLETED, calls, EVERY_LEDGER)

    assert [breach.code for breach in found] == ["I6", "I2"]
    assert found[1].detail == "completed, and pay was undone"


def test_participant_without_a_ledger_lacks_nothing() -> None:
    only_pay = LedgerCoverage(frozenset({"pay-service"}), until=LATER)

    assert violations_of_calls(COMPLETED, [seen("pay")], only_pay) == []
    assert violations_of_calls(COMPENSATED, [], only_pay) == []


def test_events_after_the_ledger_was_read_lack_nothing() -> None:
    early = replace(EVERY_LEDGER, until=NOON)

    assert violations_of_calls(COMPLETED, [seen("book")], early) == []
    assert violations_of_calls(COMPENSATED, UNDONE[:2], early) == []


def test_step_that_an_operator_has_undone_needs_no_call() -> None:
    resolved = history_of_events(
        TWO,
        *(entry.event for entry in PARKED.entries[1:]),
        StepResolved(step="book", verdict=Resolution.UNDONE, evidence="seen"),
        SagaUnparked(back=True),
        SagaCompensated(),
    )

    assert violations(resolved) == []
    assert violations_of_calls(resolved, [seen("book")], EVERY_LEDGER) == []


def test_step_that_an_operator_has_undone_is_not_undone_once_more_by_another() -> None:
    implied = define("book", "pay undone_by=book", "ship")
    parked_again = history_of_events(
        implied,
        *(called("book"), done("book"), called("pay"), done("pay"), BACK, undo("book")),
        CompensationFailed(step="book", attempt=1, error="no"),
        SagaParked(reason="no", not_undone=("book", "pay")),
        StepResolved(step="pay", verdict=Resolution.UNDONE, evidence="seen"),
        SagaUnparked(back=True),
        undo("book", 2),
        CompensationFailed(step="book", attempt=2, error="no"),
        SagaParked(reason="no", not_undone=("book",)),
    )

    assert violations(parked_again) == []
    assert list(effects_match_log(parked_again, BOTH, EVERY_LEDGER)) == []


RESOLVED: dict[str, tuple[History, list[LedgerEntry], str]] = {
    "done": (
        history_of_events(
            TWO,
            called("book"),
            StepUnknown(step="book", attempt=1, error=""),
            SagaParked(reason="", not_done=("book", "pay")),
            StepResolved(step="book", verdict=Resolution.DONE, evidence="seen"),
            SagaUnparked(back=False),
            *(called("pay"), done("pay"), SagaCompleted()),
        ),
        [seen("book", effect=False), seen("pay")],
        "book is called done, and took no effect",
    ),
    "undone": (
        history_of_events(
            TWO,
            *(each_entry.event for each_entry in PARKED.entries[1:]),
            StepResolved(step="book", verdict=Resolution.UNDONE, evidence="seen"),
            SagaUnparked(back=True),
            SagaCompensated(),
        ),
        [seen("book"), seen("undo book", effect=False)],
        "compensated, and book still stands",
    ),
}


@pytest.mark.parametrize(("history", "calls", "detail"), RESOLVED.values(), ids=RESOLVED.keys())
def test_verdict_without_an_effect_is_a_breach_of_a_truthful_operator_alone(
    history: History, calls: list[LedgerEntry], detail: str
) -> None:
    disagreements = effects_match_log(history, calls, EVERY_LEDGER, truthful_operator=True)

    assert [breach.detail for breach in disagreements] == [detail]
    assert list(effects_match_log(history, calls, EVERY_LEDGER)) == []


def test_verdict_that_supplies_an_output_excuses_no_missing_effect() -> None:
    supplied = history_of_events(
        TWO,
        *(called("book"), done("book")),
        SagaParked(reason="", not_done=("pay",), without_output=("book",)),
        StepResolved(step="book", verdict=Resolution.DONE, evidence="seen"),
    )

    found = effects_match_log(supplied, [seen("book", effect=False)], EVERY_LEDGER)

    assert [breach.detail for breach in found] == ["book is called done, and took no effect"]


@pytest.mark.parametrize("calls", [[seen("pay")], [seen("pay"), seen("undo pay")]])
def test_skipped_step_that_took_effect_is_a_breach(calls: list[LedgerEntry]) -> None:
    skipped = history_of_events(TWO, called("book"), StepSkipped(step="pay"))

    found = effects_match_log(skipped, calls, EVERY_LEDGER)

    assert [breach.detail for breach in found] == ["pay took effect, and was skipped"]


def test_effect_of_a_skipped_step_is_a_breach_also_if_the_log_has_it_as_unknown() -> None:
    unknown = history_of_events(
        TWO, called("book"), StepUnknown(step="book", attempt=1, error=""), BACK
    )
    skipped = replace(
        unknown, entries=[*unknown.entries, entry(StepSkipped(step="book"), unknown.version + 1)]
    )

    found = effects_match_log(skipped, [seen("book")], EVERY_LEDGER)

    assert [breach.detail for breach in found] == ["book took effect, and was skipped"]


def in_epochs(*events: tuple[Event, int]) -> History:
    rows = enumerate([(started(PIVOTAL), 1), *events], 1)
    return fold(PIVOTAL, SAGA_ID, [entry(row, at, epoch=epoch) for at, (row, epoch) in rows])


BOOKED: list[tuple[Event, int]] = [(called("book"), 1), (done("book"), 1), (called("pay"), 1)]


@pytest.mark.parametrize("turn", [BACK, CompensationRequested()])
def test_forward_call_that_a_later_owner_repeats_after_the_turn_is_a_breach(turn: Event) -> None:
    turned = in_epochs(*BOOKED, (turn, 1))

    assert list(forward_calls_stop(turned, [seen("pay", epoch=1)])) == []
    assert [
        violation.detail for violation in forward_calls_stop(turned, [seen("pay", epoch=2)])
    ] == ["the action of pay was repeated in epoch 2, and the saga is to be compensated"]


def test_forward_call_may_be_repeated_by_the_owner_under_whom_the_saga_turns() -> None:
    turned = in_epochs(*BOOKED, (BACK, 2))

    assert list(forward_calls_stop(turned, [seen("pay", epoch=2)])) == []


def test_forward_call_may_be_repeated_once_its_intent_is_recorded_again() -> None:
    busy = StepBackedOff(step="pay", attempt=1, outcome=Outcome.BUSY, error="", until=NOON)
    recorded = in_epochs(*BOOKED, (busy, 1), (CompensationRequested(), 1), (called("pay"), 2))

    assert list(forward_calls_stop(recorded, [seen("pay", epoch=2)])) == []


def test_forward_call_may_be_repeated_after_a_passed_pivot() -> None:
    passed: list[tuple[Event, int]] = [(done("pay"), 1), (called("ship"), 1)]
    history = in_epochs(*BOOKED, (CompensationRequested(), 1), *passed)

    assert list(forward_calls_stop(history, [seen("ship", epoch=2)])) == []


def test_step_that_is_unknown_without_a_lost_reply_is_a_breach() -> None:
    lost = history_of_events(
        TWO, called("book"), StepUnknown(step="book", attempt=1, error=""), BACK
    )
    abandoned = history_of_events(
        TWO,
        called("book"),
        StepUnknown(step="book", attempt=1, error=""),
        SagaAbandoned(reason="", not_done=("book", "pay"), not_undone=("book",)),
    )

    assert [breach.version for breach in uncertainty_has_a_cause(lost, ())] == [3]
    assert list(uncertainty_has_a_cause(lost, {"book"})) == []
    assert list(uncertainty_has_a_cause(abandoned, ())) == []


@pytest.mark.parametrize(
    ("end", "versions"),
    [
        (rejected("book"), [4]),
        (StepNotSent(step="book", attempt=1, error=""), [4]),
        (StepUnknown(step="book", attempt=1, error=""), []),
    ],
)
def test_step_that_was_certainly_not_executed_is_called_done_by_no_truthful_operator(
    end: Event, versions: list[int]
) -> None:
    resolution = StepResolved(step="book", verdict=Resolution.DONE, evidence="seen")

    found = certainty_holds(history_of_events(TWO, called("book"), end, resolution))

    assert [breach.version for breach in found] == versions


def test_operator_may_call_a_step_done_that_calls_no_participant() -> None:
    resolution = StepResolved(step="approve", verdict=Resolution.DONE, evidence="by phone")
    approved = history_of_events(
        define("approve signal=approval"),
        *(WaitStarted(step="approve", signal="approval"), rejected("approve", 0), resolution),
    )

    assert list(certainty_holds(approved)) == []


@pytest.mark.parametrize(
    ("events", "refused", "breaches"),
    [
        ([UNDO_LOST, undo("pay", 2), UNDO_FAILED], False, []),
        ([UNDO_BUSY, undo("pay"), UNDO_FAILED], False, [10]),
        ([UNDO_FAILED], False, [8]),
        ([UNDO_FAILED], True, []),
        ([UNDO_FAILED, SagaAbandoned(reason="", not_undone=("book", "pay"))], False, []),
    ],
)
def test_compensation_is_given_up_early_only_if_it_was_refused(
    events: list[Event], refused: bool, breaches: list[int]
) -> None:
    definition = define("book", "pay undo_attempts=2")
    done_before: list[Event] = [called("book"), done("book"), called("pay"), done("pay")]
    history = history_of_events(definition, *done_before, BACK, undo("pay"), *events)

    found = compensations_use_their_attempts(history, lambda step, attempt: refused)

    assert [breach.version for breach in found] == breaches


def test_late_call_of_a_former_owner_is_a_notice() -> None:
    calls = [seen("book"), seen("book", effect=False, epoch=2), seen("book", effect=False)]

    assert list(late_calls(calls[:2])) == []
    assert list(late_calls(calls)) == [
        Notice(
            saga_id=SAGA_ID,
            detail="the action of book came in epoch 1 after one of epoch 2, and had no effect",
        )
    ]
