"""The events of a saga: frozen facts in the past tense, each one transition of a machine.

An event says what happened, never what to do about it. When it was recorded stands beside it in
the log. A changed shape gets the next schema version and an upcaster in `codec.py`; a class can be
renamed freely, because `type_name` is what is stored.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, TypeAlias

from msgspec import Struct, field

from .call_outcome import Outcome, OutputLoss
from .formats.strict_json import Json, JsonObject


class Cause(StrEnum):
    """Why a saga turned round."""

    STEP_FAILED = "step_failed"
    DEADLINE = "deadline"
    REQUEST = "request"


class SagaEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fires `trigger` on the saga's machine."""

    type_name: ClassVar[str]
    former_names: ClassVar[tuple[str, ...]] = ()
    trigger: ClassVar[str]
    schema_version: ClassVar[int] = 1


class Parent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The step that a child saga is. `depth` counts the sagas above the child."""

    saga_id: str
    step: str
    depth: int = 1


class SagaStarted(SagaEvent, frozen=True, kw_only=True):
    """Always the first. `input` is what expressions read; a `start_at` is waited for.

    Without `input_checked` nobody has looked whether the input has what expressions need, and null
    stands for what it lacks.
    """

    type_name = "SagaStarted"
    schema_version = 2
    saga_type: str
    definition_version: int
    entity_id: Json
    input: JsonObject
    tags: dict[str, str] = field(default_factory=dict)
    deadline: datetime | None = None
    start_at: datetime | None = None
    callback_url: str | None = None
    actor: str | None = None
    parent: Parent | None = None
    input_checked: bool = True

    @property
    def trigger(self) -> str:  # type: ignore[override]
        return "begin" if self.start_at is None else "schedule"


class ScheduledStartReached(SagaEvent, frozen=True, kw_only=True):
    """The time that a start was put off to has come."""

    type_name = "ScheduledStartReached"
    former_names = ("SagaFellDue",)
    trigger = "begin"


class CompensationRequested(SagaEvent, frozen=True, kw_only=True):
    """Somebody asked while a pivot was in doubt: its outcome decides."""

    type_name = "CompensationRequested"
    trigger = "ask_back"
    actor: str | None = None
    reason: str | None = None


class CompensationStarted(SagaEvent, frozen=True, kw_only=True):
    type_name = "CompensationStarted"
    trigger = "turn_back"
    cause: Cause
    error: str
    actor: str | None = None
    reason: str | None = None


class SagaCompleted(SagaEvent, frozen=True, kw_only=True):
    type_name = "SagaCompleted"
    trigger = "complete"


class SagaCompensated(SagaEvent, frozen=True, kw_only=True):
    type_name = "SagaCompensated"
    trigger = "finish_undo"


class SagaParked(SagaEvent, frozen=True, kw_only=True):
    """`not_done` and `not_undone` name steps, in the order of the definition.

    `without_output` are the done steps whose output is lost, or lacks what was needed; None where
    an event of schema version 1 does not say.
    """

    type_name = "SagaParked"
    trigger = "park"
    schema_version = 3
    reason: str
    not_done: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()
    without_output: tuple[str, ...] | None = ()


class CompletionWebhookDelivered(SagaEvent, frozen=True, kw_only=True):
    """Whoever asked for it has been told that the saga rested at `rest_version`."""

    type_name = "CompletionWebhookDelivered"
    former_names = ("CallbackDelivered",)
    trigger = "tell"
    rested_version: int


class SignalReceived(SagaEvent, frozen=True, kw_only=True):
    """Kept until a step waits for it. `key` is what makes a repeated one known."""

    type_name = "SignalReceived"
    trigger = "hear"
    name: str
    body: Json = None
    key: str | None = None
    actor: str | None = None


class ForwardedInputApplied(SagaEvent, frozen=True, kw_only=True):
    """The events before it in the same append came of a message, which is not to count twice."""

    type_name = "ForwardedInputApplied"
    former_names = ("MessageTaken",)
    trigger = "take"
    message_id: str


class SagaUnparked(SagaEvent, frozen=True, kw_only=True):
    """An operator has dealt with what it was parked for. `back`: it was on its way back.

    `accepted` are the steps whose lost outputs it goes on without,
    `compensation_retry_requested` those whose failed
    compensations are tried again. None, in events of schema version 1, means all of them, and of
    lost outputs also all later ones.
    """

    type_name = "SagaUnparked"
    schema_version = 2
    back: bool
    actor: str | None = None
    reason: str | None = None
    accepted: tuple[str, ...] | None = ()
    undo_again: tuple[str, ...] | None = ()

    @property
    def trigger(self) -> str:  # type: ignore[override]
        return "unpark_back" if self.back else "unpark_forward"


class RetryRequested(SagaEvent, frozen=True, kw_only=True):
    """An operator does not want to wait for the next try, of `step` or of all."""

    type_name = "RetryRequested"
    trigger = "hurry"
    step: str | None = None
    actor: str | None = None
    reason: str | None = None


class SagaPaused(SagaEvent, frozen=True, kw_only=True):
    """Nothing new is sent from here on, and its clocks stand still.

    `by_parent`: because its parent is paused, until that goes on.
    """

    type_name = "SagaPaused"
    trigger = "pause"
    actor: str | None = None
    reason: str | None = None
    by_parent: bool = False


class SagaResumed(SagaEvent, frozen=True, kw_only=True):
    """Its times are put off by as long as it was paused. `by_parent` as of the pause it ends."""

    type_name = "SagaResumed"
    trigger = "resume"
    actor: str | None = None
    reason: str | None = None
    by_parent: bool = False


class SagaAbandoned(SagaEvent, frozen=True, kw_only=True):
    """Given up by a person: nothing is done or undone any more, and this is what stays.

    `children` are the child sagas that were under way; they are left, or else cancelled.
    """

    type_name = "SagaAbandoned"
    trigger = "abandon"
    reason: str
    not_done: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()
    actor: str | None = None
    children: tuple[str, ...] = ()
    children_cancelled: bool = False


class StepEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fires `trigger` on the machine of `step`; attempts count from 1, each way for itself."""

    type_name: ClassVar[str]
    former_names: ClassVar[tuple[str, ...]] = ()
    trigger: ClassVar[str]
    schema_version: ClassVar[int] = 1
    step: str


class Resolution(StrEnum):
    """What a person found out about a step."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNDONE = "undone"


class StepCalled(StepEvent, frozen=True, kw_only=True):
    """The intent: recorded before the request leaves. A done step is called for its output."""

    type_name = "StepCalled"
    trigger = "call"
    attempt: int


class StepSkipped(StepEvent, frozen=True, kw_only=True):
    """Left out: its condition does not hold, or somebody has said so."""

    type_name = "StepSkipped"
    trigger = "skip"
    actor: str | None = None
    reason: str | None = None


class WaitStarted(StepEvent, frozen=True, kw_only=True):
    """The step waits: for the time `until`, for a signal, or for a child saga to rest."""

    type_name = "WaitStarted"
    trigger = "wait"
    until: datetime | None = None
    signal: str | None = None
    child_id: str | None = None


class StepAccepted(StepEvent, frozen=True, kw_only=True):
    """The participant will do it: a callback or polling completes it, at the latest `until`."""

    type_name = "StepAccepted"
    trigger = "accept"
    attempt: int
    until: datetime
    next_poll: datetime | None = None
    polls: int = 0  # how often the participant has been called or asked; 0: once more


class CallbackReceived(StepEvent, frozen=True, kw_only=True):
    """A callback that came before the reply to its call: it counts once the call is accepted."""

    type_name = "CallbackReceived"
    trigger = "hear"
    done: bool
    output: Json = None
    error: str | None = None
    actor: str | None = None


class LateReplyIgnored(StepEvent, frozen=True, kw_only=True):
    """It lost a race: another event of the step was in the log first."""

    type_name = "LateReplyIgnored"
    trigger = "ignore"
    what: str
    error: str | None = None
    actor: str | None = None


class StepResolved(StepEvent, frozen=True, kw_only=True):
    """A person's verdict, with what it rests on."""

    type_name = "StepResolved"
    verdict: Resolution
    evidence: str
    output: Json = None
    output_is_null: bool = False
    actor: str | None = None
    reason: str | None = None

    @property
    def trigger(self) -> str:  # type: ignore[override]
        return f"resolve_{self.verdict}"


class StatusQueried(StepEvent, frozen=True, kw_only=True):
    """The participant is asked what became of an attempt whose outcome is unknown."""

    type_name = "StatusQueried"
    former_names = ("StatusAsked",)
    trigger = "ask"
    attempt: int


class StepConfirmedNotExecuted(StepEvent, frozen=True, kw_only=True):
    """The participant says that it has not happened: whatever was in doubt is no more."""

    type_name = "StepConfirmedNotExecuted"
    former_names = ("StepFoundNotDone",)
    trigger = "back_off"
    attempt: int
    error: str


class StepSucceeded(StepEvent, frozen=True, kw_only=True):
    type_name = "StepSucceeded"
    trigger = "succeed"
    attempt: int
    output: Json = None
    output_is_null: bool = False  # null is what it said: a null that is left out is no output
    output_loss: OutputLoss | None = None
    error: str | None = None  # why the output was lost
    signal: str | None = None  # whose body is the output
    actor: str | None = None  # of a callback


class OutputNotReceived(StepEvent, frozen=True, kw_only=True):
    """The call of a done step was repeated for its output, and the answer brought none."""

    type_name = "OutputNotReceived"
    trigger = "miss"
    attempt: int
    error: str


class StepRejected(StepEvent, frozen=True, kw_only=True):
    """A definite no to this request. `resent`: a crash had sent it once before."""

    type_name = "StepRejected"
    trigger = "reject"
    attempt: int
    error: str
    resent: bool = False
    actor: str | None = None  # of a callback


class StepBackedOff(StepEvent, frozen=True, kw_only=True):
    """The wake-up of the next try is recorded with it. `resent` as of a rejection.

    `times`: so often in a row an answer has come that uses no attempt up. Not each is recorded.
    """

    type_name = "StepBackedOff"
    trigger = "back_off"
    attempt: int
    outcome: Outcome
    error: str
    until: datetime
    resent: bool = False
    times: int = 1


class StepUnknown(StepEvent, frozen=True, kw_only=True):
    """No further try: it may or may not have happened."""

    type_name = "StepUnknown"
    trigger = "lose"
    attempt: int
    error: str


class StepNotSent(StepEvent, frozen=True, kw_only=True):
    """No further try: it certainly did not happen."""

    type_name = "StepNotSent"
    trigger = "give_up"
    attempt: int
    error: str


class CompensationCalled(StepEvent, frozen=True, kw_only=True):
    """The intent: recorded before the request leaves."""

    type_name = "CompensationCalled"
    trigger = "compensate"
    attempt: int


class CompensationSucceeded(StepEvent, frozen=True, kw_only=True):
    type_name = "CompensationSucceeded"
    trigger = "undo"
    attempt: int


class CompensationImplied(StepEvent, frozen=True, kw_only=True):
    """The compensation of another step has undone this one as well."""

    type_name = "CompensationImplied"
    former_names = ("CompensationCovered",)
    trigger = "cover"
    by: str


class CompensationBackedOff(StepEvent, frozen=True, kw_only=True):
    """`times` as of an action that backs off."""

    type_name = "CompensationBackedOff"
    trigger = "back_off_undo"
    attempt: int
    outcome: Outcome
    error: str
    until: datetime
    times: int = 1


class CompensationFailed(StepEvent, frozen=True, kw_only=True):
    """Refused, or out of attempts."""

    type_name = "CompensationFailed"
    trigger = "fail_undo"
    attempt: int
    error: str


SagaFact: TypeAlias = (
    SagaStarted
    | ScheduledStartReached
    | CompensationRequested
    | CompensationStarted
    | SagaCompleted
    | SagaCompensated
    | SagaParked
    | CompletionWebhookDelivered
    | SignalReceived
    | ForwardedInputApplied
    | SagaUnparked
    | RetryRequested
    | SagaPaused
    | SagaResumed
    | SagaAbandoned
)
CompensationFact: TypeAlias = (
    CompensationCalled
    | CompensationSucceeded
    | CompensationImplied
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
    | StatusQueried
    | StepConfirmedNotExecuted
    | StepSucceeded
    | OutputNotReceived
    | StepRejected
    | StepBackedOff
    | StepUnknown
    | StepNotSent
    | CompensationFact
)
Event: TypeAlias = SagaFact | StepFact
