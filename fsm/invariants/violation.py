"""A promise that a history does not keep."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Invariant(StrEnum):
    """What must hold of every saga, by the number of the invariant or of the rule, or by a word."""

    FINAL_STATES_ABSORB = "I1"
    REST_REPORT_IS_TRUE = "I2"
    COMPENSATION_HAS_A_CAUSE = "I3"
    COMPENSATION_RUNS_BACKWARDS = "I4"
    PIVOTS_HOLD = "I5"
    INTENTS_COME_FIRST = "I6"
    KEYS_ARE_CONSTANT = "I7"
    STATUS_IS_A_FOLD = "I8"
    LOG_HAS_NO_GAPS = "I9"
    WAITS_HAVE_A_WAKEUP = "I11"
    ONE_KEY_ONE_SAGA = "I13"
    SAGAS_MAKE_PROGRESS = "I14"
    SECRETS_ARE_ABSENT = "I15"
    ACKNOWLEDGEMENTS_HOLD = "I16"
    CALLS_SETTLE_BEFORE_COMPENSATION = "R2"
    UNCERTAINTY_HAS_A_CAUSE = "R3"
    SAGAS_TURN_BACK_WHEN_DUE = "R4"
    FAILED_COMPENSATIONS_STOP = "R5"
    RACES_HAVE_ONE_WINNER = "R6"
    PAUSES_HOLD = "pause"
    SIGNALS_COUNT_ONCE = "signal"
    CHILDREN_AGREE = "child"


class Breach(NamedTuple):
    """What a check of one promise finds; `version` is that of the event that shows it."""

    version: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """`version` None: it shows in no event, but in what is missing."""

    code: Invariant
    saga_id: str
    version: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A fact that breaks no promise, and that whoever looks for a cause wants to know."""

    saga_id: str
    detail: str
