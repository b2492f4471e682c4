"""Gaps in a log, and states that it does not fold into."""

from __future__ import annotations

import dataclasses

from msgspec.structs import replace
from saga_orchestrator.fsm.events import Event, LateReplyIgnored, SagaAbandoned, WaitStarted
from saga_orchestrator.fsm.invariants import (
    Breach,
    fold,
    log_has_no_gaps,
    states_match_log,
    violations,
)
from saga_orchestrator.fsm.invariants.inputs import late_inputs_change_nothing
from saga_orchestrator.fsm.testing import SAGA_ID, define
from saga_orchestrator.tests.unit.fsm.invariants.histories import (
    called,
    done,
    entries,
    entry,
    history_of_events,
    started,
)

TWO = define("book", "pay")
HISTORY = history_of_events(TWO, called("book"), done("book"), called("pay"))


def test_states_at_every_version_match_the_log() -> None:
    states = {version: HISTORY.saga_at(version).state for version in range(1, 5)}

    assert list(states_match_log(HISTORY, states)) == []


def test_state_that_the_log_does_not_fold_into_is_a_breach() -> None:
    other = replace(HISTORY.saga_at(3).state, error="made up")

    (breach,) = states_match_log(HISTORY, {3: other})

    assert (breach.version, breach.detail) == (
        3,
        "the log folds into another state than was seen at 3",
    )


def test_version_that_was_seen_and_is_not_in_the_log_is_a_breach() -> None:
    (breach,) = states_match_log(HISTORY, {5: HISTORY.saga.state})

    assert breach.detail == "version 5 was seen, and the log ends at 4"


def test_late_reply_that_changes_the_saga_is_a_breach() -> None:
    late = LateReplyIgnored(step="book", what="done")
    rows: list[Event] = [started(TWO), called("book"), late]
    harmless = fold(TWO, SAGA_ID, [entry(row, version) for version, row in enumerate(rows, 1)])
    at_one_version = [*harmless.entries[:2], entry(done("book"), 3), harmless.entries[2]]

    assert list(late_inputs_change_nothing(harmless)) == []
    assert [
        violation.version
        for violation in late_inputs_change_nothing(fold(TWO, SAGA_ID, at_one_version))
    ]


def test_late_reply_ends_the_wait_for_the_cancelled_child_of_its_step_alone() -> None:
    nested = define("trip child=room", "pay after=")
    abandon = SagaAbandoned(
        reason="", not_done=("trip", "pay"), children=("4711",), children_cancelled=True
    )
    ended, other = (LateReplyIgnored(step=step, what="over") for step in ("trip", "pay"))
    waiting: list[Event] = [started(nested), WaitStarted(step="trip", child_id="4711"), abandon]
    sound = fold(nested, SAGA_ID, entries(*waiting, ended, other))
    at_one_version = [*entries(*waiting), entry(ended, 4), entry(other, 4)]

    assert list(late_inputs_change_nothing(sound)) == []
    assert list(late_inputs_change_nothing(fold(nested, SAGA_ID, at_one_version))) == [
        (4, "LateReplyIgnored of pay changed the saga")
    ]


def test_missing_or_repeated_events_are_gaps() -> None:
    first, *_ = entries(started(TWO))
    second, third = entry(called("book"), 2), entry(done("book"), 3)

    assert list(log_has_no_gaps([first, second, third])) == []
    assert [violation.version for violation in log_has_no_gaps([second, third])] == [2]
    assert [violation.version for violation in log_has_no_gaps([first, third])] == [3]
    assert [violation.version for violation in log_has_no_gaps([first, second, second])] == [2, 2]
    assert [
        violation.detail
        for violation in log_has_no_gaps([dataclasses.replace(first, epoch=2), second])
    ] == ["epoch 1 follows epoch 2"]


def test_unreadable_event_ends_the_history() -> None:
    history = history_of_events(TWO, called("book"))
    unreadable = Breach(3, "the payload is not an object")

    broken = fold(TWO, SAGA_ID, history.entries, unreadable)

    assert [(violation.code, violation.version) for violation in violations(broken)] == [("I8", 3)]
