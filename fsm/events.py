"""The events of a saga: frozen facts in the past tense, each one transition of a machine.

An event says what happened, never what to do about it. The log keeps the time of recording beside
it. A changed shape gets the next schema version and an upcaster in `codec.py`; a class can be
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
    """The reason why a saga began to compensate."""

    STEP_FAILED = "step_failed"
    DEADLINE = "deadline"
    REQUEST = "request"


class SagaEvent(
    Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """An event of a saga as a whole; `trigger` is that of the saga's machine."""

    type_name: ClassVar[str]
    former_names: ClassVar[tuple[str, ...]] = ()
    trigger: ClassVar[str]
    schema_version: ClassVar[int] = 1


class Parent(
    Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The step of the parent that a child saga is. `depth` counts the sagas above the child."""

    saga_id: str
    step: str
    depth: int = 1


class SagaStarted(SagaEvent, frozen=True, kw_only=True):
    """Always the first event. With `start_at` the saga begins at that time.

    Without `input_checked` the input may lack values that expressions need; null is used for them.
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
    """The `start_at` of a scheduled saga has been reached."""

    type_name = "ScheduledStartReached"
    former_names = ("SagaFellDue",)
    trigger = "begin"


class CompensationRequested(SagaEvent, frozen=True, kw_only=True):
    """A request to compensate came while the outcome of a pivot was open; that outcome decides."""

    type_name = "CompensationRequested"
    trigger = "request_compensation"
    actor: str | None = None
    reason: str | None = None


class CompensationStarted(SagaEvent, frozen=True, kw_only=True):
    type_name = "CompensationStarted"
    trigger = "start_compensation"
    cause: Cause
    error: str
    actor: str | None = None
    reason: str | None = None


class SagaCompleted(SagaEvent, frozen=True, kw_only=True):
    type_name = "SagaCompleted"
    trigger = "complete"


class SagaCompensated(SagaEvent, frozen=True, kw_only=True):
    type_name = "SagaCompensated"
    trigger = "finish_compensation"


class SagaParked(SagaEvent, frozen=True, kw_only=True):
    """The saga rests undecided, until an operator deals with it.

    `not_done` and `not_undone` name steps, in the order of the definition. `without_output` are the
    done steps whose output is lost, or lacks what was needed; None in events of schema version 1,
    which do not record it.
    """

    type_name = "SagaParked"
    trigger = "park"
    schema_version = 3
    reason: str
    not_done: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()
    without_output: tuple[str, ...] | None = ()


class CompletionWebhookDelivered(SagaEvent, frozen=True, kw_only=True):
    """The receiver of `callback_url` has acknowledged that the saga rested at `rested_version`."""

    type_name = "CompletionWebhookDelivered"
    former_names = ("CallbackDelivered",)
    trigger = "record_webhook"
    rested_version: int


class SignalReceived(SagaEvent, frozen=True, kw_only=True):
    """A signal, buffered until a step waits for it. One with a `key` is recorded once."""

    type_name = "SignalReceived"
    trigger = "receive_signal"
    name: str
    body: Json = None
    key: str | None = None
    actor: str | None = None


class ForwardedInputApplied(SagaEvent, frozen=True, kw_only=True):
    """An input from another node was applied by the events before this one, in the same append.

    A message that is delivered again is known by its id.
    """

    type_name = "ForwardedInputApplied"
    former_names = ("MessageTaken",)
    trigger = "apply_forwarded"
    message_id: str


class SagaUnparked(SagaEvent, frozen=True, kw_only=True):
    """An operator has dealt with the cause of the parking. `back`: the saga was compensating.

    `accepted` are the steps whose lost outputs the saga goes on without, `undo_again` those whose
    failed compensations are retried. None, in events of schema version 1, means all of them, and of
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
        return "unpark_compensating" if self.back else "unpark_running"


class RetryRequested(SagaEvent, frozen=True, kw_only=True):
    """An operator has requested to skip the back-off, of `step` or of all steps."""

    type_name = "RetryRequested"
    trigger = "request_retry"
    step: str | None = None
    actor: str | None = None
    reason: str | None = None


class SagaPaused(SagaEvent, frozen=True, kw_only=True):
    """No new call is sent, and the clocks of the saga are stopped.

    `by_parent`: its parent is paused, and resumes it.
    """

    type_name = "SagaPaused"
    trigger = "pause"
    actor: str | None = None
    reason: str | None = None
    by_parent: bool = False


class SagaResumed(SagaEvent, frozen=True, kw_only=True):
    """All times of the saga are postponed by the length of the pause.

    `by_parent` as in the `SagaPaused` that it ends.
    """

    type_name = "SagaResumed"
    trigger = "resume"
    actor: str | None = None
    reason: str | None = None
    by_parent: bool = False


class SagaAbandoned(SagaEvent, frozen=True, kw_only=True):
    """An operator has given the saga up: no step is executed or compensated any more.

    `children` are the child sagas that were active. With `children_cancelled` they are compensated,
    otherwise they go on by themselves.
    """

    type_name = "SagaAbandoned"
    trigger = "abandon"
    reason: str
    not_done: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()
    actor: str | None = None
    children: tuple[str, ...] = ()
    children_cancelled: bool = False


class StepEvent(
    Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """An event of `step`; `trigger` is that of its machine.

    Attempts count from 1, those of the action and of the compensation separately.
    """

    type_name: ClassVar[str]
    former_names: ClassVar[tuple[str, ...]] = ()
    trigger: ClassVar[str]
    schema_version: ClassVar[int] = 1
    step: str


class Resolution(StrEnum):
    """The outcome of a step as an operator has established it."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNDONE = "undone"


class StepCalled(StepEvent, frozen=True, kw_only=True):
    """The intent to call the action, recorded before the request is sent.

    The call of a done step is repeated for its missing output.
    """

    type_name = "StepCalled"
    trigger = "call"
    attempt: int


class StepSkipped(StepEvent, frozen=True, kw_only=True):
    """The step is left out: its condition does not hold, or an operator has skipped it."""

    type_name = "StepSkipped"
    trigger = "skip"
    actor: str | None = None
    reason: str | None = None


class WaitStarted(StepEvent, frozen=True, kw_only=True):
    """The step waits for the time `until`, for a signal, or for a child saga to rest."""

    type_name = "WaitStarted"
    trigger = "wait"
    until: datetime | None = None
    signal: str | None = None
    child_id: str | None = None


class StepAccepted(StepEvent, frozen=True, kw_only=True):
    """The participant has accepted the call: a callback or polling completes it before `until`."""

    type_name = "StepAccepted"
    trigger = "accept"
    attempt: int
    until: datetime
    next_poll: datetime | None = None
    polls: int = 0  # calls and status queries so far; 0: one more than in the event before


class CallbackReceived(StepEvent, frozen=True, kw_only=True):
    """A callback that came before the reply to its call; it counts once the call is accepted."""

    type_name = "CallbackReceived"
    trigger = "buffer_callback"
    done: bool
    output: Json = None
    error: str | None = None
    actor: str | None = None


class LateReplyIgnored(StepEvent, frozen=True, kw_only=True):
    """A reply or callback that arrived when another event had settled the step already. It changes
    nothing."""

    type_name = "LateReplyIgnored"
    trigger = "ignore_late_reply"
    what: str
    error: str | None = None
    actor: str | None = None


class StepResolved(StepEvent, frozen=True, kw_only=True):
    """An operator has established the outcome of the step, and gives the evidence."""

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
    """The intent to query the participant for the status of an attempt."""

    type_name = "StatusQueried"
    former_names = ("StatusAsked",)
    trigger = "query_status"
    attempt: int


class StepConfirmedNotExecuted(StepEvent, frozen=True, kw_only=True):
    """The participant has confirmed that the action was not executed."""

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
    output_is_null: bool = False  # the output is null; otherwise None means that there is none
    output_loss: OutputLoss | None = None
    error: str | None = None  # why the output was lost
    signal: str | None = None  # the name of the signal whose body is the output
    actor: str | None = None  # of a callback


class OutputNotReceived(StepEvent, frozen=True, kw_only=True):
    """The call of a done step was repeated for its output, and the reply brought none."""

    type_name = "OutputNotReceived"
    trigger = "miss_output"
    attempt: int
    error: str


class StepRejected(StepEvent, frozen=True, kw_only=True):
    """The participant has definitely refused the request.

    `resent`: a process that crashed had sent the same request before.
    """

    type_name = "StepRejected"
    trigger = "reject"
    attempt: int
    error: str
    resent: bool = False
    actor: str | None = None  # of a callback


class StepBackedOff(StepEvent, frozen=True, kw_only=True):
    """An attempt has failed, and the next one is due at `until`. `resent` as in `StepRejected`.

    `times` counts the replies in a row that do not consume an attempt. Not each one is recorded.
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
    """No attempt is left, and the action may or may not have been executed."""

    type_name = "StepUnknown"
    trigger = "mark_unknown"
    attempt: int
    error: str


class StepNotSent(StepEvent, frozen=True, kw_only=True):
    """No attempt is left, and the action was certainly not executed."""

    type_name = "StepNotSent"
    trigger = "mark_not_sent"
    attempt: int
    error: str


class CompensationCalled(StepEvent, frozen=True, kw_only=True):
    """The intent to call the compensation, recorded before the request is sent."""

    type_name = "CompensationCalled"
    trigger = "compensate"
    attempt: int


class CompensationSucceeded(StepEvent, frozen=True, kw_only=True):
    type_name = "CompensationSucceeded"
    trigger = "succeed_compensation"
    attempt: int


class CompensationImplied(StepEvent, frozen=True, kw_only=True):
    """The compensation of step `by` has compensated this step as well."""

    type_name = "CompensationImplied"
    former_names = ("CompensationCovered",)
    trigger = "imply_compensation"
    by: str


class CompensationBackedOff(StepEvent, frozen=True, kw_only=True):
    """An attempt to compensate has failed, and the next one is due at `until`.

    `times` as in `StepBackedOff`.
    """

    type_name = "CompensationBackedOff"
    trigger = "back_off_compensation"
    attempt: int
    outcome: Outcome
    error: str
    until: datetime
    times: int = 1


class CompensationFailed(StepEvent, frozen=True, kw_only=True):
    """The compensation was refused, or no attempt is left."""

    type_name = "CompensationFailed"
    trigger = "fail_compensation"
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
