"""The state of one step, and how each event of the step changes it."""

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
from .machines import (
    BACKING_OFF,
    SUCCEEDED,
    UNKNOWN,
    IllegalTransition,
    StepStatus,
    next_step_status,
)

COMPENSATION_BACKING_OFF = StepStatus.COMPENSATION_BACKING_OFF
NO_OUTCOMES: frozenset[Outcome] = frozenset()
DOES_NOT_CONSUME_ATTEMPT = (Outcome.BUSY, Outcome.THROTTLED, Outcome.CIRCUIT_OPEN)


class StepState(Struct, frozen=True, gc=False, kw_only=True):
    """The state of one step.

    `is_uncertain`: an attempt ended unknown, so the action may have been executed whatever came
    later. `was_busy`: the participant was still executing an attempt. `is_querying_status`: the
    call in flight is a status query. `next_attempt_at` is the next timer of the step.
    `attempts_before_retry` and `compensation_attempts_before_retry` do not count, because an
    operator has retried the step since. `output_awaited`: the call of the done step is repeated for
    its missing output. `loss_accepted`: the saga goes on without the lost output.
    `output_changed_at`: when an operator or a repeated call replaced an output that other calls may
    have read. `child_cancelled`: the saga is abandoned, and its child saga is compensated until it
    rests.
    """

    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    attempts_before_retry: int = 0
    compensation_attempts: int = 0
    compensation_attempts_before_retry: int = 0
    compensation_retry_requested: bool = False  # an operator retries the failed compensation
    last_outcome: Outcome | None = None  # for which it backs off
    repetitions: int = 0  # replies in a row that do not consume an attempt
    repeated_outcomes: frozenset[Outcome] = NO_OUTCOMES  # the kinds of these replies
    last_queried_attempt: int = 0  # the attempt of the last status query
    is_uncertain: bool = False
    was_busy: bool = False
    is_querying_status: bool = False
    polls: int = 0
    signal: str | None = None  # the name of the one that it waits for
    child_id: str | None = None
    early_callback: CallbackReceived | None = None  # that came before the reply to its call
    started_at: datetime | None = None
    called_at: datetime | None = None  # when the intent of the latest attempt was recorded
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
    wait_deadline: datetime | None = None
    last_error: str | None = None
    output: Json = None
    output_is_null: bool = False  # the output is null, and not absent
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
        """The number of the next attempt of the action."""
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
        """True if an attempt that has ended may have taken effect."""
        said_done = self.early_callback is not None and self.early_callback.done
        return self.is_uncertain or self.was_busy or said_done

    def postponed(self, by: timedelta) -> StepState:
        """Return the step with all its times later."""
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
    """Return the step after `event`. Raises IllegalTransition."""
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
    """Return the trigger of a rejection.

    The step is unknown if an earlier attempt may have been executed. A child saga can be
    compensated after it was completed.
    """
    if step.status is SUCCEEDED and step.child_id is not None:
        return "revoke"
    said_done = step.early_callback is not None and step.early_callback.done
    return "reject_uncertain" if step.is_uncertain or event.resent or said_done else event.trigger


def _called(step: StepState, status: StepStatus, event: StepCalled, at: datetime) -> StepState:
    """Return the step with its call in flight.

    An operator's retry of a finished step resets its attempt budget.
    """
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
    """Return the done step with a call for its output in flight. Raises IllegalTransition."""
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
    """Return the done step with the output it awaited. Raises IllegalTransition."""
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
    """Return the done step without the output it awaited. Raises IllegalTransition."""
    if not step.output_awaited:
        raise IllegalTransition("'miss_output' is not possible when its output is not awaited")
    return replace(step, is_querying_status=False, output_awaited=False, last_error=event.error)


def _is_null(event: StepSucceeded) -> bool:
    """True if the output is null, and not absent; the body of a signal is always an output."""
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
    """True of a result that repeats one which does not consume an attempt."""
    match event:
        case StepBackedOff() | CompensationBackedOff():
            return event.times > 1
        case StepAccepted():
            return event.polls > 1
        case _:
            return False


def must_be_recorded(step: StepState, event: StepFact) -> bool:
    """True if a repetition must be recorded: its kind is new, its call was resent after a crash, or
    its number is a power of two."""
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
