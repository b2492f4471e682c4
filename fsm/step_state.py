"""The state of one step, and what each event of a step changes of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from .call_outcome import Outcome, OutputLoss
from .events import (
    CallbackReceived,
    CompensationBackedOff,
    CompensationCalled,
    CompensationFailed,
    CompensationImplied,
    CompensationSucceeded,
    LateReplyIgnored,
    OutputNotReceived,
    Resolution,
    StatusQueried,
    StepAccepted,
    StepBackedOff,
    StepCalled,
    StepConfirmedNotExecuted,
    StepFact,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from .formats.strict_json import Json
from .machines import IllegalTransition, StepStatus, next_step_status

# Those that are asked for again and again: Python takes four times longer to find `StepStatus.X`.
BACKING_OFF, COMPENSATION_BACKING_OFF = StepStatus.BACKING_OFF, StepStatus.COMPENSATION_BACKING_OFF
UNKNOWN, SUCCEEDED = StepStatus.UNKNOWN, StepStatus.SUCCEEDED
NO_OUTCOMES: frozenset[Outcome] = frozenset()
DOES_NOT_CONSUME_ATTEMPT = (
    Outcome.BUSY,
    Outcome.THROTTLED,
    Outcome.CIRCUIT_OPEN,
)  # what uses no attempt up


class StepState(Struct, frozen=True, kw_only=True):
    """`doubtful`: an attempt ended unknown, so the action may have happened whatever came later.
    `was_busy`: one was still at it. `asking`: what is called is not the action but its status.

    `next_attempt_at` is when it must be looked at again, `until` when its waiting is over.
    `floor` and `compensation_attempts_before_retry` are the attempts that were used up before a
    person's retry.
    `output_awaited`: it is done, and its call is repeated for the output, which is missing.
    `loss_accepted`: the saga goes on without the output that was lost. `output_changed_at`: when
    another output came, of an operator or of a repeated call, than others may have read before.
    `child_cancelled`: the saga is abandoned, and its child is called back until it rests.
    """

    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    attempts_before_retry: int = 0
    compensation_attempts: int = 0
    compensation_attempts_before_retry: int = 0
    compensation_retry_requested: bool = (
        False  # its compensation had failed, and a person wants it tried again
    )
    last_outcome: Outcome | None = None  # of the attempt that is backed off from
    repetitions: int = 0  # that this attempt was answered in a row with what uses no attempt up
    repeated_outcomes: frozenset[Outcome] = NO_OUTCOMES  # that have come in this row
    last_queried_attempt: int = 0  # the attempt of which its participant was asked last
    is_uncertain: bool = False
    was_busy: bool = False
    is_querying_status: bool = False
    polls: int = 0
    signal: str | None = None  # that it waits for
    child_id: str | None = None
    early_callback: CallbackReceived | None = None  # that came before its time
    started_at: datetime | None = None
    called_at: datetime | None = None  # when the intent of its latest attempt was recorded
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
    wait_deadline: datetime | None = None
    last_error: str | None = None
    output: Json = None
    output_is_null: bool = False  # and not absent
    output_loss: OutputLoss | None = None
    output_awaited: bool = False
    loss_accepted: bool = False
    output_changed_at: datetime | None = None
    child_cancelled: bool = False

    @property
    def has_output(self) -> bool:
        return self.output is not None or self.output_is_null

    @property
    def next_attempt(self) -> int:
        """Of the action. Busy and throttled use no attempt up."""
        free = self.status is BACKING_OFF and self.last_outcome in DOES_NOT_CONSUME_ATTEMPT
        return self.attempts + (not free)

    @property
    def next_compensation_attempt(self) -> int:
        free = (
            self.status is COMPENSATION_BACKING_OFF
            and self.last_outcome in DOES_NOT_CONSUME_ATTEMPT
        )
        return self.compensation_attempts + (not free)

    @property
    def may_have_happened(self) -> bool:
        """Whether an attempt that has ended may have taken effect."""
        said_done = self.early_callback is not None and self.early_callback.done
        return self.is_uncertain or self.was_busy or said_done

    def postponed(self, by: timedelta) -> StepState:
        """All that it waits for comes later."""
        later = self.next_attempt_at and self.next_attempt_at + by
        return replace(
            self,
            next_attempt_at=later,
            wait_deadline=self.wait_deadline and self.wait_deadline + by,
        )


UNTOUCHED = StepState()


def step_after(  # noqa: C901 - a table, one line of thought an event
    step: StepState, event: StepFact, at: datetime
) -> StepState:
    """Raises IllegalTransition."""
    trigger = _rejection_trigger(step, event) if isinstance(event, StepRejected) else event.trigger
    status = next_step_status(step.status, trigger)
    match event:
        case StepSucceeded():
            return _succeeded(step, status, event, at)
        case StepCalled():
            return _called(step, status, event, at)
        case CompensationCalled():
            return _compensation_called(step, status, event)
        case CompensationSucceeded() | CompensationImplied():
            return replace(step, status=status)
        case LateReplyIgnored():
            return replace(step, child_cancelled=False) if step.child_cancelled else step
        case StepRejected() | StepUnknown() | StepNotSent():
            return _ended(step, status, event, at)
        case StepBackedOff():
            return _backed_off(step, status, event)
        case StepConfirmedNotExecuted():
            return _confirmed_not_executed(step, status, event, at)
        case StatusQueried() if status is SUCCEEDED:
            return _called_for_output(step, event, at)
        case StatusQueried():
            return _status_queried(step, status, event)
        case OutputNotReceived():
            return _output_not_received(step, event)
        case StepSkipped():
            return replace(step, status=status, finished_at=at)
        case WaitStarted():
            return _waiting(step, status, event, at)
        case StepAccepted():
            return _accepted(step, status, event)
        case CallbackReceived():
            return replace(step, status=status, early_callback=event)
        case StepResolved():
            return _resolved(step, status, event, at)
        case CompensationBackedOff():
            return _compensation_backed_off(step, status, event)
        case CompensationFailed():
            return replace(step, status=status, last_error=event.error)
        case _:
            assert_never(event)


def _rejection_trigger(step: StepState, event: StepRejected) -> str:
    """A no, where an earlier try may have worked, leaves the step in doubt. A child saga can come
    to be undone after it was done."""
    if step.status is SUCCEEDED and step.child_id is not None:
        return "disown"
    said_done = step.early_callback is not None and step.early_callback.done
    return "reject_in_doubt" if step.is_uncertain or event.resent or said_done else event.trigger


def _called(step: StepState, status: StepStatus, event: StepCalled, at: datetime) -> StepState:
    """One that had ended, and that a person wants tried again, has all its attempts once more."""
    if status is SUCCEEDED:
        return _called_for_output(step, event, at)
    again = step.finished_at is not None
    goes_on = event.attempt == step.attempts
    return replace(
        step,
        status=status,
        attempts=event.attempt,
        attempts_before_retry=event.attempt - 1 if again else step.attempts_before_retry,
        repetitions=step.repetitions if goes_on else 0,
        repeated_outcomes=step.repeated_outcomes if goes_on else NO_OUTCOMES,
        early_callback=None if again else step.early_callback,
        is_querying_status=False,
        started_at=step.started_at or at,
        called_at=at,
        finished_at=None,
        next_attempt_at=None,
    )


def _status_queried(step: StepState, status: StepStatus, event: StatusQueried) -> StepState:
    return replace(
        step,
        status=status,
        is_querying_status=True,
        last_queried_attempt=event.attempt,
        next_attempt_at=None,
    )


def _called_for_output(
    step: StepState, event: StepCalled | StatusQueried, at: datetime
) -> StepState:
    """Repeat the call of a done step, or ask its status. Raises IllegalTransition."""
    asking = isinstance(event, StatusQueried)
    if step.output_awaited or event.attempt != step.attempts + (not asking):
        raise IllegalTransition(f"'{event.trigger}' is not possible when it is done")
    return replace(
        step, attempts=event.attempt, is_querying_status=asking, output_awaited=True, called_at=at
    )


def _succeeded(
    step: StepState, status: StepStatus, event: StepSucceeded, at: datetime
) -> StepState:
    if step.status is SUCCEEDED:
        return _output_received(step, event, at)
    return replace(
        step,
        status=status,
        finished_at=at,
        next_attempt_at=None,
        wait_deadline=None,
        output=event.output,
        output_is_null=event.output is None and _is_null(event),
        output_loss=event.output_loss,
        last_error=event.error,
    )


def _output_received(step: StepState, event: StepSucceeded, at: datetime) -> StepState:
    """Take the output of a done step, if it is awaited. Raises IllegalTransition."""
    if not step.output_awaited:
        raise IllegalTransition("'succeed' is not possible when its output is not awaited")
    return replace(
        step,
        is_querying_status=False,
        output=event.output,
        output_is_null=event.output is None and _is_null(event),
        output_loss=event.output_loss,
        output_awaited=False,
        output_changed_at=at,
        loss_accepted=False,
        last_error=event.error,
    )


def _output_not_received(step: StepState, event: OutputNotReceived) -> StepState:
    """Raises IllegalTransition."""
    if not step.output_awaited:
        raise IllegalTransition("'miss' is not possible when its output is not awaited")
    return replace(step, is_querying_status=False, output_awaited=False, last_error=event.error)


def _is_null(event: StepSucceeded) -> bool:
    """Whether an output of null is there, as that of a signal always is, and not absent."""
    return event.output_is_null or event.signal is not None


def _compensation_called(
    step: StepState, status: StepStatus, event: CompensationCalled
) -> StepState:
    again = step.status is StepStatus.COMPENSATION_FAILED
    goes_on = (
        step.status is COMPENSATION_BACKING_OFF and event.attempt == step.compensation_attempts
    )
    return replace(
        step,
        status=status,
        compensation_attempts=event.attempt,
        compensation_attempts_before_retry=event.attempt - 1
        if again
        else step.compensation_attempts_before_retry,
        repetitions=step.repetitions if goes_on else 0,
        repeated_outcomes=step.repeated_outcomes if goes_on else NO_OUTCOMES,
        next_attempt_at=None,
        compensation_retry_requested=False,
    )


def _ended(
    step: StepState,
    status: StepStatus,
    event: StepRejected | StepUnknown | StepNotSent,
    at: datetime,
) -> StepState:
    return replace(
        step,
        status=status,
        finished_at=at,
        next_attempt_at=None,
        wait_deadline=None,
        last_error=event.error,
        is_uncertain=step.is_uncertain or status is UNKNOWN,
        output=None,
        output_is_null=False,
    )


def _backed_off(step: StepState, status: StepStatus, event: StepBackedOff) -> StepState:
    doubtful = event.resent or event.outcome is Outcome.UNKNOWN
    return replace(
        step,
        status=status,
        attempts=event.attempt,
        last_error=event.error,
        is_querying_status=False,
        last_outcome=event.outcome,
        repetitions=_repetitions(event),
        repeated_outcomes=_repeated_outcomes(step, event),
        is_uncertain=step.is_uncertain or doubtful,
        was_busy=step.was_busy or event.outcome is Outcome.BUSY,
        next_attempt_at=event.until,
    )


def _confirmed_not_executed(
    step: StepState, status: StepStatus, event: StepConfirmedNotExecuted, at: datetime
) -> StepState:
    return replace(
        step,
        status=status,
        attempts=event.attempt,
        last_error=event.error,
        is_querying_status=False,
        last_outcome=Outcome.NOT_DONE,
        repetitions=0,
        repeated_outcomes=NO_OUTCOMES,
        is_uncertain=False,
        was_busy=False,
        next_attempt_at=at,
    )


def _waiting(step: StepState, status: StepStatus, event: WaitStarted, at: datetime) -> StepState:
    return replace(
        step,
        status=status,
        started_at=step.started_at or at,
        finished_at=None,
        next_attempt_at=event.until,
        wait_deadline=event.until,
        signal=event.signal,
        child_id=event.child_id,
    )


def _accepted(step: StepState, status: StepStatus, event: StepAccepted) -> StepState:
    return replace(
        step,
        status=status,
        is_querying_status=False,
        polls=event.polls or step.polls + 1,
        wait_deadline=event.until,
        next_attempt_at=min(event.next_poll or event.until, event.until),
    )


def _resolved(step: StepState, status: StepStatus, event: StepResolved, at: datetime) -> StepState:
    match event.verdict:
        case Resolution.DONE if step.status is SUCCEEDED:
            return replace(
                step,
                output=event.output,
                output_is_null=event.output_is_null,
                output_loss=None,
                output_changed_at=at,
                loss_accepted=False,
                last_error=None,
            )
        case Resolution.DONE:
            return replace(
                step,
                status=status,
                output=event.output,
                output_is_null=event.output_is_null,
                finished_at=at,
                last_error=None,
            )
        case Resolution.NOT_DONE:
            return replace(step, status=status, finished_at=at, is_uncertain=False, was_busy=False)
        case Resolution.UNDONE:
            return replace(step, status=status)


def _compensation_backed_off(
    step: StepState, status: StepStatus, event: CompensationBackedOff
) -> StepState:
    return replace(
        step,
        status=status,
        last_outcome=event.outcome,
        repetitions=_repetitions(event),
        repeated_outcomes=_repeated_outcomes(step, event),
        last_error=event.error,
        next_attempt_at=event.until,
    )


def _repetitions(event: StepBackedOff | CompensationBackedOff) -> int:
    return event.times if event.outcome in DOES_NOT_CONSUME_ATTEMPT else 0


def is_repetition(event: StepFact) -> bool:
    """Whether it says once more what uses no attempt up."""
    match event:
        case StepBackedOff() | CompensationBackedOff():
            return event.times > 1
        case StepAccepted():
            return event.polls > 1
        case _:
            return False


def must_be_recorded(step: StepState, event: StepFact) -> bool:
    """Whether such an event says of `step` what the log must have: an answer of another kind, one
    of a call that a crash has repeated, or the next power of two."""
    match event:
        case StepBackedOff() | CompensationBackedOff():
            again = isinstance(event, StepBackedOff) and event.resent
            return (
                again
                or event.outcome not in step.repeated_outcomes
                or _is_power_of_two(event.times)
            )
        case StepAccepted():
            return _is_power_of_two(event.polls - 1)
        case _:
            return True


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _repeated_outcomes(
    step: StepState, event: StepBackedOff | CompensationBackedOff
) -> frozenset[Outcome]:
    if event.outcome not in DOES_NOT_CONSUME_ATTEMPT:
        return NO_OUTCOMES
    return (
        step.repeated_outcomes | {event.outcome} if event.times > 1 else frozenset((event.outcome,))
    )
