"""Invariants by their stable names, and what a check returns when one of them does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Invariant(StrEnum):
    """A rule that must hold of every saga. The value is the stable code that the doctor prints.

    Codes with a number are those of the rules; docs/doctor.md explains each of them.
    """

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
    COMPENSATION_POLICY_HOLDS = "R5"
    RACES_HAVE_ONE_WINNER = "R6"
    PAUSES_HOLD = "pause"
    SIGNALS_COUNT_ONCE = "signal"
    CHILDREN_AGREE = "child"


class Breach(NamedTuple):
    """A result of a check: the invariant does not hold. `version` is that of the event that shows
    it."""

    version: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A breach of an invariant by a saga. Without a `version` no event shows it."""

    code: Invariant
    saga_id: str
    version: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A fact that violates no invariant, and that helps to find a cause."""

    saga_id: str
    detail: str
