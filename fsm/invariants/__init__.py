"""Whether a saga has kept what is promised of all of them, seen from outside.

    log            I1 I2 I3 I4 I5 I6 I8 I9 I11, the rules R2 and R5, pauses and signals
    log, its kin   what a saga and its children say of each other
    log, clock     I14: nothing stands still that should have gone on
    log, secrets   I15: no secret in an event
    log, ledger    I2 I3 I6 I7: what participants saw is what the log knows of
    log, answers   I13 I16: what clients were told is in the log

I10 (replay calls nobody) and I12 (the same seed gives the same history) are not told by a history:
the first holds because nothing in this room can call, the second is shown by the simulation. Each
check has eyes of its own: it reads the events, and never asks what `decide` would have done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from .calls import (
    LedgerEntry,
    calls_were_intended,
    intents_come_first,
    keys_are_constant,
    late_calls,
    pauses_hold,
)
from .compensation import (
    calls_settle_before_compensation,
    compensation_has_a_cause,
    compensation_runs_backwards,
    failed_compensations_stop,
    pivots_hold,
)
from .effects import LedgerCoverage, effects_match_log
from .evidence import ClientAck, acknowledgements_hold, one_key_one_saga, secrets_are_absent
from .history import History, HistoryEntry, fold, log_has_no_gaps, status_is_a_fold
from .inputs import signals_count_once
from .liveness import (
    awaited_children,
    child_results_arrive,
    children_agree,
    children_of,
    parent_names_child,
    sagas_make_progress,
    waits_have_a_wakeup,
)
from .resting import final_states_absorb, rest_report_is_true
from .violation import Breach, Invariant, Notice, Violation

__all__ = [
    "Breach",
    "ClientAck",
    "History",
    "HistoryEntry",
    "Invariant",
    "LedgerCoverage",
    "LedgerEntry",
    "Notice",
    "Violation",
    "acknowledgements_hold",
    "awaited_children",
    "child_results_arrive",
    "children_agree",
    "children_of",
    "fold",
    "late_calls",
    "log_has_no_gaps",
    "one_key_one_saga",
    "parent_names_child",
    "sagas_make_progress",
    "secrets_are_absent",
    "violations",
    "violations_of",
    "violations_of_calls",
]

CHECKS: Sequence[tuple[Invariant, Callable[[History], Iterator[Breach]]]] = (
    (Invariant.FINAL_STATES_ABSORB, final_states_absorb),
    (Invariant.REST_REPORT_IS_TRUE, rest_report_is_true),
    (Invariant.COMPENSATION_HAS_A_CAUSE, compensation_has_a_cause),
    (Invariant.COMPENSATION_RUNS_BACKWARDS, compensation_runs_backwards),
    (Invariant.PIVOTS_HOLD, pivots_hold),
    (Invariant.INTENTS_COME_FIRST, intents_come_first),
    (Invariant.STATUS_IS_A_FOLD, status_is_a_fold),
    (Invariant.WAITS_HAVE_A_WAKEUP, waits_have_a_wakeup),
    (Invariant.CALLS_SETTLE_BEFORE_COMPENSATION, calls_settle_before_compensation),
    (Invariant.FAILED_COMPENSATIONS_STOP, failed_compensations_stop),
    (Invariant.PAUSES_HOLD, pauses_hold),
    (Invariant.SIGNALS_COUNT_ONCE, signals_count_once),
)


def violations(history: History) -> list[Violation]:
    """Of all that the log alone tells."""
    found: list[Violation] = []
    for promise, check in CHECKS:
        found += violations_of(promise, history.saga_id, check(history))
    return found


def violations_of_calls(
    history: History, calls: Sequence[LedgerEntry], watch: LedgerCoverage
) -> list[Violation]:
    """Of what participants saw of this saga, in the order in which they saw it."""
    saga_id = history.saga_id
    return [
        *violations_of(Invariant.INTENTS_COME_FIRST, saga_id, calls_were_intended(history, calls)),
        *violations_of(Invariant.KEYS_ARE_CONSTANT, saga_id, keys_are_constant(history, calls)),
        *violations_of(
            Invariant.REST_REPORT_IS_TRUE, saga_id, effects_match_log(history, calls, watch)
        ),
    ]


def violations_of(promise: Invariant, saga_id: str, flaws: Iterable[Breach]) -> Iterator[Violation]:
    for flaw in flaws:
        yield Violation(code=promise, saga_id=saga_id, version=flaw.version, detail=flaw.detail)
