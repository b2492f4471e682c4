"""Tools for testing definitions and sagas: scenarios, replies, a simulated process, invariants.

    from saga_orchestrator.testing import DONE, action_answer, define, given

`strategies`, for Hypothesis, is imported when it is first used; `saga-orchestrator[testing]`
installs what it needs. `saga_orchestrator.fsm.testing` describes each of the tools.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from .fsm import invariants
from .fsm.testing import (
    ACCEPTED,
    BUSY,
    CIRCUIT_OPEN,
    DONE,
    NOON,
    NOT_DONE,
    NOT_SENT,
    REJECTED,
    SAGA_ID,
    THROTTLED,
    UNKNOWN,
    Effect,
    LogRow,
    ParticipantBehavior,
    ParticipantsModel,
    Scenario,
    SentCall,
    SimulatedProcess,
    action_answer,
    call_id,
    call_name,
    callback_done,
    callback_failed,
    child_finished,
    circuit_open,
    compensation_answer,
    define,
    document,
    done,
    done_without_output,
    given,
    history_of,
    status_answer,
    throttled,
    unanswered_calls,
    violated_invariants,
)

if TYPE_CHECKING:
    from .fsm.testing import strategies

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
    "invariants",
    "status_answer",
    "strategies",
    "throttled",
    "unanswered_calls",
    "violated_invariants",
]


def __getattr__(name: str) -> ModuleType:
    """Import the strategies, and Hypothesis with them, when they are first used."""
    if name != "strategies":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(".fsm.testing.strategies", __package__)
