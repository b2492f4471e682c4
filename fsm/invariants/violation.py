"""A promise that a history does not keep."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Promise(StrEnum):
    """What must hold of every saga, by the number of the invariant or of the rule, or by a word."""

    ENDS_ABSORB = "I1"
    REST_IS_TOLD = "I2"
    UNDO_HAS_A_CAUSE = "I3"
    UNDO_RUNS_BACKWARDS = "I4"
    PIVOTS_HOLD = "I5"
    INTENTS_COME_FIRST = "I6"
    KEYS_ARE_CONSTANT = "I7"
    STATUS_IS_A_FOLD = "I8"
    LOG_IS_WHOLE = "I9"
    WAITS_END = "I11"
    ONE_KEY_ONE_SAGA = "I13"
    ALL_COMES_TO_REST = "I14"
    SECRETS_ARE_KEPT = "I15"
    ANSWERS_ARE_KEPT = "I16"
    UNDO_SETTLES_FIRST = "R2"
    FAILURES_STOP = "R5"
    PAUSES_HOLD = "pause"
    SIGNALS_COUNT_ONCE = "signal"
    CHILDREN_AGREE = "child"


class Flaw(NamedTuple):
    """What a check of one promise finds; `version` is that of the event that shows it."""

    version: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """`version` None: it shows in no event, but in what is missing."""

    code: Promise
    saga_id: str
    version: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A fact that breaks no promise, and that whoever looks for a cause wants to know."""

    saga_id: str
    detail: str
