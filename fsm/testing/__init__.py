"""Tools for testing sagas, for the users of the orchestrator as much as for itself.

`given` tells a case on values; `define` makes short definitions; `answers` are what participants
say. `Process` with `ParticipantsModel` drives a saga in memory through crashes, and `broken` tells
which promise does not hold. `strategies` (with Hypothesis) draws all that these need.
"""

from .answers import (
    ACCEPTED,
    BUSY,
    DONE,
    HELD,
    NOT_DONE,
    NOT_SENT,
    REJECTED,
    THROTTLED,
    UNKNOWN,
    answered,
    child_rested,
    completed,
    done,
    done_without_output,
    failed,
    held,
    throttled,
    told,
    undo_answered,
)
from .definitions import define, document, order_definition
from .given import NOON, SAGA_ID, Case, given, name_of
from .participants_model import Fate, ParticipantsModel
from .process import Process, Recorded, Sent
from .promises import broken

__all__ = [
    "ACCEPTED",
    "BUSY",
    "DONE",
    "HELD",
    "NOON",
    "NOT_DONE",
    "NOT_SENT",
    "REJECTED",
    "SAGA_ID",
    "THROTTLED",
    "UNKNOWN",
    "Case",
    "Fate",
    "ParticipantsModel",
    "Process",
    "Recorded",
    "Sent",
    "answered",
    "broken",
    "child_rested",
    "completed",
    "define",
    "document",
    "done",
    "done_without_output",
    "failed",
    "given",
    "held",
    "name_of",
    "order_definition",
    "throttled",
    "told",
    "undo_answered",
]
