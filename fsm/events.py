"""What can be recorded of a saga: frozen facts in the past tense, each one transition of a machine.

An event says what happened, never what to do about it. When it was recorded stands beside it in
the log. A changed shape gets the next schema version and an upcaster in `codec.py`.
"""

from __future__ import annotations

from typing import TypeAlias

from .saga_events import (
    CallbackDelivered,
    Cause,
    CompensationRequested,
    CompensationStarted,
    MessageTaken,
    Parent,
    RetryRequested,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaEvent,
    SagaFellDue,
    SagaParked,
    SagaPaused,
    SagaResumed,
    SagaStarted,
    SagaUnparked,
    SignalReceived,
)
from .step_events import (
    CallbackReceived,
    CompensationBackedOff,
    CompensationCalled,
    CompensationCovered,
    CompensationFailed,
    CompensationSucceeded,
    LateReplyIgnored,
    OutputNotReceived,
    Resolution,
    StatusAsked,
    StepAccepted,
    StepBackedOff,
    StepCalled,
    StepEvent,
    StepFoundNotDone,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)

__all__ = [
    "CallbackDelivered",
    "CallbackReceived",
    "Cause",
    "CompensationBackedOff",
    "CompensationCalled",
    "CompensationCovered",
    "CompensationFailed",
    "CompensationRequested",
    "CompensationStarted",
    "CompensationSucceeded",
    "Event",
    "LateReplyIgnored",
    "MessageTaken",
    "OutputNotReceived",
    "Parent",
    "Resolution",
    "RetryRequested",
    "SagaAbandoned",
    "SagaCompensated",
    "SagaCompleted",
    "SagaEvent",
    "SagaFact",
    "SagaFellDue",
    "SagaParked",
    "SagaPaused",
    "SagaResumed",
    "SagaStarted",
    "SagaUnparked",
    "SignalReceived",
    "StatusAsked",
    "StepAccepted",
    "StepBackedOff",
    "StepCalled",
    "StepEvent",
    "StepFact",
    "StepFoundNotDone",
    "StepNotSent",
    "StepRejected",
    "StepResolved",
    "StepSkipped",
    "StepSucceeded",
    "StepUnknown",
    "UndoFact",
    "WaitStarted",
]

SagaFact: TypeAlias = (
    SagaStarted
    | SagaFellDue
    | CompensationRequested
    | CompensationStarted
    | SagaCompleted
    | SagaCompensated
    | SagaParked
    | CallbackDelivered
    | SignalReceived
    | MessageTaken
    | SagaUnparked
    | RetryRequested
    | SagaPaused
    | SagaResumed
    | SagaAbandoned
)
UndoFact: TypeAlias = (
    CompensationCalled
    | CompensationSucceeded
    | CompensationCovered
    | CompensationBackedOff
    | CompensationFailed
)
StepFact: TypeAlias = (
    StepCalled
    | StepSkipped
    | WaitStarted
    | StepAccepted
    | CallbackReceived
    | LateReplyIgnored
    | StepResolved
    | StatusAsked
    | StepFoundNotDone
    | StepSucceeded
    | OutputNotReceived
    | StepRejected
    | StepBackedOff
    | StepUnknown
    | StepNotSent
    | UndoFact
)
Event: TypeAlias = SagaFact | StepFact
