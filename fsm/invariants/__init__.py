"""The invariants of sagas: what must hold of each of them, checked from outside.

    log            I1 I2 I3 I4 I5 I6 I8 I9 I11, the rules R2 and R4 to R6, pauses and signals
    log, related   what a saga and its children record of each other
    log, clock     I14: a saga that is due makes progress
    log, secrets   I15: no secret in an event
    log, ledger    I2 I3 I6 I7 R2 R5: what participants saw is in the log
    log, memory    I8: the log folds into what a process saw
    log, answers   I13 I16: what clients were answered is in the log
    log, model     R3: what only a model of the participants knows
    log, operator  I2 I5 R3: what holds if every verdict of an operator is true

Each check is a function of a history that yields breaches, and its docstring says it in words. It
reads the events and never calls `decide`. Applied after every decision, a check is an online one;
applied to a whole log, it judges every moment that the events show.

I10 (replay makes no call) and I12 (the same seed gives the same history) are not visible in a
history: the first holds because the core cannot make a call, the second is tested by the
simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from .calls import (
    LedgerEntry,
    calls_were_intended,
    forward_calls_stop,
    intents_come_first,
    interrupted_calls_get_their_time,
    keys_are_constant,
    late_calls,
    may_have_refused,
    pauses_hold,
)
from .compensation import (
    calls_settle_before_compensation,
    compensation_has_a_cause,
    compensation_runs_backwards,
    compensations_keep_to_their_attempts,
    compensations_use_their_attempts,
    failed_compensations_are_passed_over,
    failed_compensations_stop,
)
from .compensation_start import (
    deadlines_hold,
    pivots_hold,
    requests_and_failures_turn_back,
)
from .effects import (
    LedgerCoverage,
    certainty_holds,
    effects_match_log,
    uncertainty_has_a_cause,
)
from .evidence import ClientAck, acknowledgements_hold, one_key_one_saga, secrets_are_absent
from .history import (
    History,
    HistoryEntry,
    fold,
    log_has_no_gaps,
    states_match_log,
    status_is_a_fold,
)
from .inputs import callbacks_decide, late_inputs_change_nothing, signals_count_once
from .liveness import (
    awaited_children,
    child_results_arrive,
    children_agree,
    children_of,
    parent_names_child,
    sagas_make_progress,
    waits_have_a_wakeup,
)
from .resting import final_states_absorb, parked_sagas_rest, rest_report_is_true
from .violation import Breach, Invariant, Notice, Violation

__all__ = [
    "LOG_INVARIANTS",
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
    "calls_were_intended",
    "certainty_holds",
    "child_results_arrive",
    "children_agree",
    "children_of",
    "compensations_use_their_attempts",
    "effects_match_log",
    "fold",
    "forward_calls_stop",
    "keys_are_constant",
    "late_calls",
    "log_has_no_gaps",
    "one_key_one_saga",
    "parent_names_child",
    "pivots_hold",
    "sagas_make_progress",
    "secrets_are_absent",
    "states_match_log",
    "uncertainty_has_a_cause",
    "violations",
    "violations_of",
    "violations_of_calls",
    "waits_have_a_wakeup",
]

LOG_INVARIANTS: Sequence[tuple[Invariant, Callable[[History], Iterator[Breach]]]] = (
    (Invariant.FINAL_STATES_ABSORB, final_states_absorb),
    (Invariant.REST_REPORT_IS_TRUE, rest_report_is_true),
    (Invariant.REST_REPORT_IS_TRUE, parked_sagas_rest),
    (Invariant.COMPENSATION_HAS_A_CAUSE, compensation_has_a_cause),
    (Invariant.COMPENSATION_RUNS_BACKWARDS, compensation_runs_backwards),
    (Invariant.PIVOTS_HOLD, pivots_hold),
    (Invariant.INTENTS_COME_FIRST, intents_come_first),
    (Invariant.STATUS_IS_A_FOLD, status_is_a_fold),
    (Invariant.WAITS_HAVE_A_WAKEUP, waits_have_a_wakeup),
    (Invariant.CALLS_SETTLE_BEFORE_COMPENSATION, calls_settle_before_compensation),
    (Invariant.CALLS_SETTLE_BEFORE_COMPENSATION, interrupted_calls_get_their_time),
    (Invariant.SAGAS_TURN_BACK_WHEN_DUE, requests_and_failures_turn_back),
    (Invariant.SAGAS_TURN_BACK_WHEN_DUE, deadlines_hold),
    (Invariant.COMPENSATION_POLICY_HOLDS, failed_compensations_stop),
    (Invariant.COMPENSATION_POLICY_HOLDS, failed_compensations_are_passed_over),
    (Invariant.COMPENSATION_POLICY_HOLDS, compensations_keep_to_their_attempts),
    (Invariant.RACES_HAVE_ONE_WINNER, callbacks_decide),
    (Invariant.RACES_HAVE_ONE_WINNER, late_inputs_change_nothing),
    (Invariant.PAUSES_HOLD, pauses_hold),
    (Invariant.SIGNALS_COUNT_ONCE, signals_count_once),
)


def violations(history: History) -> list[Violation]:
    """Return the violations that the log alone shows."""
    return [
        violation
        for invariant, check in LOG_INVARIANTS
        for violation in violations_of(invariant, history.saga_id, check(history))
    ]


def violations_of_calls(
    history: History, calls: Sequence[LedgerEntry], watch: LedgerCoverage
) -> list[Violation]:
    """Return the violations that the calls of a saga show, in the order in which they came."""
    saga_id = history.saga_id
    given_up = compensations_use_their_attempts(history, may_have_refused(calls))
    return [
        *violations_of(Invariant.INTENTS_COME_FIRST, saga_id, calls_were_intended(history, calls)),
        *violations_of(Invariant.KEYS_ARE_CONSTANT, saga_id, keys_are_constant(history, calls)),
        *violations_of(
            Invariant.REST_REPORT_IS_TRUE, saga_id, effects_match_log(history, calls, watch)
        ),
        *violations_of(
            Invariant.CALLS_SETTLE_BEFORE_COMPENSATION, saga_id, forward_calls_stop(history, calls)
        ),
        *violations_of(Invariant.COMPENSATION_POLICY_HOLDS, saga_id, given_up),
    ]


def violations_of(
    invariant: Invariant, saga_id: str, breaches: Iterable[Breach]
) -> Iterator[Violation]:
    """Yield each breach of an invariant as a violation by the saga."""
    for breach in breaches:
        yield Violation(
            code=invariant, saga_id=saga_id, version=breach.version, detail=breach.detail
        )
