"""Tools for testing sagas, for the users of the orchestrator as much as for itself.

`given` tells a case on values; `define` makes short definitions; `answers` are what participants
say. `SimulatedProcess` with `ParticipantsModel` drives a saga in memory through crashes, and
`broken` tells
which promise does not hold. `strategies` (with Hypothesis) draws all that these need.
"""

from .checks import violated_invariants
from .definitions import define, document, order_definition
from .participants_model import ParticipantBehavior, ParticipantsModel
from .replies import (
    ACCEPTED,
    BUSY,
    CIRCUIT_OPEN,
    DONE,
    NOT_DONE,
    NOT_SENT,
    REJECTED,
    THROTTLED,
    UNKNOWN,
    action_answer,
    callback_done,
    callback_failed,
    child_finished,
    circuit_open,
    compensation_answer,
    done,
    done_without_output,
    status_answer,
    throttled,
)
from .scenario import NOON, SAGA_ID, Scenario, call_name, given
from .simulated_process import LogRow, SentCall, SimulatedProcess

__all__ = [
    "ACCEPTED",
    "BUSY",
    "CIRCUIT_OPEN",
    "DONE",
    "NOON",
    "NOT_DONE",
    "NOT_SENT",
    "REJECTED",
    "SAGA_ID",
    "THROTTLED",
    "UNKNOWN",
    "LogRow",
    "ParticipantBehavior",
    "ParticipantsModel",
    "Scenario",
    "SentCall",
    "SimulatedProcess",
    "action_answer",
    "call_name",
    "callback_done",
    "callback_failed",
    "child_finished",
    "circuit_open",
    "compensation_answer",
    "define",
    "document",
    "done",
    "done_without_output",
    "given",
    "order_definition",
    "status_answer",
    "throttled",
    "violated_invariants",
]
