"""Tools for testing definitions and sagas, for users of the orchestrator and for its own tests.

`define` makes short definitions, and `given` tests the rules on values: given, when, then. The
replies are what participants answer. `SimulatedProcess` with `ParticipantsModel` drives a saga in
memory through crashes, and `violated_invariants` returns what does not hold of it. The module
`strategies` draws all of these with Hypothesis, which `saga-orchestrator[testing]` installs.
"""

from .checks import call_id, history_of, unanswered_calls, violated_invariants
from .definitions import define, document
from .participants_model import Effect, ParticipantBehavior, ParticipantsModel
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
    "Effect",
    "LogRow",
    "ParticipantBehavior",
    "ParticipantsModel",
    "Scenario",
    "SentCall",
    "SimulatedProcess",
    "action_answer",
    "call_id",
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
    "history_of",
    "status_answer",
    "throttled",
    "unanswered_calls",
    "violated_invariants",
]
