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

from .answers import Acknowledged, answers_are_kept, one_key_one_saga
from .calls import intents_come_first, pauses_hold
from .children import children_agree, children_of, parents_know
from .effects import Watch, effects_are_told
from .history import Entry, History, fold, status_is_a_fold
from .ledger import SeenCall, calls_were_intended, keys_are_constant, late_calls
from .place import log_is_whole
from .rest import ends_absorb, rest_is_told
from .secrecy import secrets_are_kept
from .signals import signals_count_once
from .undo import (
    failures_stop,
    pivots_hold,
    undo_has_a_cause,
    undo_runs_backwards,
    undo_settles_first,
)
from .violation import Flaw, Notice, Promise, Violation
from .waiting import awaited_children, children_are_heard, comes_to_rest, waits_end

__all__ = [
    "Acknowledged",
    "Entry",
    "Flaw",
    "History",
    "Notice",
    "Promise",
    "SeenCall",
    "Violation",
    "Watch",
    "answers_are_kept",
    "awaited_children",
    "children_agree",
    "children_are_heard",
    "children_of",
    "comes_to_rest",
    "fold",
    "late_calls",
    "log_is_whole",
    "one_key_one_saga",
    "parents_know",
    "secrets_are_kept",
    "violations",
    "violations_of",
    "violations_of_calls",
]

CHECKS: Sequence[tuple[Promise, Callable[[History], Iterator[Flaw]]]] = (
    (Promise.ENDS_ABSORB, ends_absorb),
    (Promise.REST_IS_TOLD, rest_is_told),
    (Promise.UNDO_HAS_A_CAUSE, undo_has_a_cause),
    (Promise.UNDO_RUNS_BACKWARDS, undo_runs_backwards),
    (Promise.PIVOTS_HOLD, pivots_hold),
    (Promise.INTENTS_COME_FIRST, intents_come_first),
    (Promise.STATUS_IS_A_FOLD, status_is_a_fold),
    (Promise.WAITS_END, waits_end),
    (Promise.UNDO_SETTLES_FIRST, undo_settles_first),
    (Promise.FAILURES_STOP, failures_stop),
    (Promise.PAUSES_HOLD, pauses_hold),
    (Promise.SIGNALS_COUNT_ONCE, signals_count_once),
)


def violations(history: History) -> list[Violation]:
    """Of all that the log alone tells."""
    found: list[Violation] = []
    for promise, check in CHECKS:
        found += violations_of(promise, history.saga_id, check(history))
    return found


def violations_of_calls(
    history: History, calls: Sequence[SeenCall], watch: Watch
) -> list[Violation]:
    """Of what participants saw of this saga, in the order in which they saw it."""
    saga_id = history.saga_id
    return [
        *violations_of(Promise.INTENTS_COME_FIRST, saga_id, calls_were_intended(history, calls)),
        *violations_of(Promise.KEYS_ARE_CONSTANT, saga_id, keys_are_constant(history, calls)),
        *violations_of(Promise.REST_IS_TOLD, saga_id, effects_are_told(history, calls, watch)),
    ]


def violations_of(promise: Promise, saga_id: str, flaws: Iterable[Flaw]) -> Iterator[Violation]:
    for flaw in flaws:
        yield Violation(code=promise, saga_id=saga_id, version=flaw.version, detail=flaw.detail)
