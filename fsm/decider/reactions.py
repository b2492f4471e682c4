"""The events of inputs that no operator sends: results, timers, callbacks, child sagas."""

from __future__ import annotations

from ..call_outcome import COMPENSATION, DONE, Direction, Outcome
from ..definitions.definition import Completion, OnTimeout, Step
from ..errors import StepNotFound
from ..events import (
    CallbackReceived,
    CompensationFailed,
    CompensationSucceeded,
    LateReplyIgnored,
    OutputNotReceived,
    ScheduledStartReached,
    StepBackedOff,
    StepConfirmedNotExecuted,
    StepFact,
    StepNotSent,
    StepRejected,
    StepSucceeded,
    StepUnknown,
)
from ..formats.duration import format_duration
from ..inputs import CallCompleted, ChildFinished, ChildInstructionRefused, StepCallback
from ..instructions import pending_call
from ..machines import SagaStatus, StepStatus
from ..step_state import UNTOUCHED, StepState
from .call_results import (
    event_for_action_result,
    event_for_callback,
    event_for_compensation_result,
    event_for_missing_output,
    event_for_status_result,
    event_for_success,
    retry_delay,
)
from .decision import DecisionBuilder
from .forward import is_about_to_turn, is_overdue

RESTARTED = "the service restarted before the reply arrived"
# In events that former versions have recorded.
FORMER_RESTARTED = "the service was restarted before its answer came"
INCONCLUSIVE = (StepUnknown, StepNotSent, StepConfirmedNotExecuted)


def call_completed(builder: DecisionBuilder, completed: CallCompleted) -> None:
    saga = builder.saga
    step = saga.definition.by_name[completed.step]
    state = saga.state.steps.get(completed.step, UNTOUCHED)
    if saga.state.status is SagaStatus.ABANDONED:
        what = f"the {completed.direction} was answered: {completed.outcome.kind}"
        error = completed.outcome.reason or None
        builder.record(LateReplyIgnored(step=step.name, what=what, error=error))
        return
    undoes = completed.direction is COMPENSATION
    tried = state.compensation_attempts if undoes else state.attempts
    if completed.attempt != tried or pending_call(state) is not completed.direction:
        return
    if completed.outcome.kind is DONE:
        builder.record(event_for_success(step, completed))
        return
    if state.output_awaited:
        builder.record(event_for_missing_output(step, completed))
        return
    until = builder.time_after(retry_delay(step, state, completed, builder.jitter))
    next_try = until if saga.state.status is SagaStatus.RUNNING else None
    match completed.direction:
        case Direction.ACTION:
            event = event_for_action_result(step, state, completed, builder.saga_time, next_try)
            builder.record_call_result(_or_early_callback(state, event))
        case Direction.STATUS:
            event = event_for_status_result(step, state, completed, builder.saga_time, next_try)
            _apply_status_result(builder, step, _or_early_callback(state, event))
        case Direction.COMPENSATION:
            builder.record_call_result(event_for_compensation_result(step, state, completed, until))


def _or_early_callback(state: StepState, event: StepFact) -> StepFact:
    """R6: return the event of an earlier callback if the result of the call is inconclusive.

    That an attempt was not executed is inconclusive, too: the callback was recorded first.
    """
    if state.early_callback is None or not isinstance(event, INCONCLUSIVE):
        return event
    return event_for_callback(state.early_callback, event.attempt)


def _apply_status_result(builder: DecisionBuilder, step: Step, fact: StepFact) -> None:
    """Record the result of a status query; retry at once an action that was not executed."""
    builder.record_call_result(fact)
    paused = builder.saga.state.paused_at is not None
    if isinstance(fact, StepConfirmedNotExecuted) and not (paused or is_about_to_turn(builder)):
        builder.call(step, Direction.ACTION)


def timer_fired(builder: DecisionBuilder) -> None:
    state = builder.saga.state
    if state.paused_at is not None:
        return
    if state.status is SagaStatus.PENDING and state.start_at and state.start_at <= builder.now:
        builder.record(ScheduledStartReached())
    overdue = is_overdue(builder)
    if overdue and not builder.saga.pivot_succeeded:
        return  # nothing new is sent; the deadline is enforced by what follows
    for name, deadline in sorted(state.reply_deadlines.items()):
        if deadline <= builder.now:
            _reply_deadline_reached(builder, builder.saga.definition[name])
    if overdue:
        return  # the saga parks once no call is in flight
    for step, due in builder.saga.steps:
        if due.next_attempt_at is not None and due.next_attempt_at <= builder.now:
            _step_timer_fired(builder, step, due)


def _step_timer_fired(builder: DecisionBuilder, step: Step, due: StepState) -> None:
    match builder.saga.state.status, due.status:
        case SagaStatus.RUNNING, StepStatus.BACKING_OFF:
            call_again(builder, step, due)
        case SagaStatus.RUNNING, StepStatus.WAITING:
            _wait_ended(builder, step, due)
        case SagaStatus.COMPENSATING, StepStatus.COMPENSATION_BACKING_OFF:
            builder.call(step, Direction.COMPENSATION)


def _reply_deadline_reached(builder: DecisionBuilder, step: Step) -> None:
    """Query the status of a call that was in flight at a crash; without a query it is unknown."""
    state = builder.saga.state.step(step.name)
    attempt, error = state.attempts, RESTARTED
    if state.output_awaited:
        builder.record(OutputNotReceived(step=step.name, attempt=attempt, error=error))
        return
    if step.status is None or state.early_callback is not None:
        unknown = StepUnknown(step=step.name, attempt=attempt, error=error)
        builder.record(_or_early_callback(state, unknown))
        return
    now = builder.now
    builder.record(
        StepBackedOff(
            step=step.name,
            attempt=attempt,
            outcome=Outcome.UNKNOWN,
            error=error,
            until=now,
            resent=True,
        )
    )
    builder.call(step, Direction.STATUS)


def circuit_closed(builder: DecisionBuilder, participant: str) -> None:
    for step, state in builder.saga.steps:
        held = state.status is StepStatus.BACKING_OFF and state.last_outcome is Outcome.CIRCUIT_OPEN
        running = builder.saga.state.status is SagaStatus.RUNNING
        if held and running and step.participant == participant:
            call_again(builder, step, state)


def call_again(builder: DecisionBuilder, step: Step, due: StepState) -> None:
    """Repeat the action, or query its status first if its outcome is unknown.

    Nothing is sent if the saga is about to compensate or to park.
    """
    if is_about_to_turn(builder):
        return
    asks = step.status is not None and due.is_uncertain
    builder.call(step, Direction.STATUS if asks else Direction.ACTION)


def _wait_ended(builder: DecisionBuilder, step: Step, due: StepState) -> None:
    """Complete a step whose time has come, or end its wait."""
    over = due.wait_deadline is not None and due.wait_deadline <= builder.now
    if step.sleep is not None:
        builder.record(StepSucceeded(step=step.name, attempt=0))
    elif step.wait_for is not None:
        _signal_timed_out(builder, step)
    elif over:
        error = f"not completed within {format_duration(step.completion_timeout)}"
        builder.record(StepUnknown(step=step.name, attempt=due.attempts, error=error))
    elif step.completion is Completion.POLL:
        builder.call(step, Direction.STATUS)


def _signal_timed_out(builder: DecisionBuilder, step: Step) -> None:
    assert step.wait_for is not None
    timeout = format_duration(step.wait_for.timeout)
    error = f"signal {step.wait_for.signal} not received within {timeout}"
    if step.wait_for.on_timeout is OnTimeout.PARK:
        builder.park(f"{step.name}: {error}")
    else:
        builder.record(StepRejected(step=step.name, attempt=0, error=error))


def step_callback(builder: DecisionBuilder, report: StepCallback) -> None:
    """Complete a step that waits for the callback; keep an early one, record a late one."""
    step = builder.saga.definition.by_name.get(report.step)
    if step is None or step.completion is not Completion.CALLBACK:
        raise StepNotFound(builder.saga.state.saga_id, report.step)
    state = builder.saga.state.step(step.name)
    if state.status is StepStatus.WAITING:
        builder.record(_event_for_awaited_callback(report, state.attempts))
    elif (
        state.status in (StepStatus.CALLING, StepStatus.BACKING_OFF)
        and state.early_callback is None
    ):
        early = CallbackReceived(
            step=step.name,
            done=report.done,
            output=report.output,
            error=report.error or None,
            actor=report.actor,
        )
        builder.record(early)
    else:
        what = "completed by callback" if report.done else "failed by callback"
        late = LateReplyIgnored(
            step=step.name, what=what, error=report.error or None, actor=report.actor
        )
        builder.record(late)


def _event_for_awaited_callback(report: StepCallback, attempt: int) -> StepSucceeded | StepRejected:
    step, actor = report.step, report.actor
    if report.done:
        return StepSucceeded(
            step=step,
            attempt=attempt,
            output=report.output,
            output_is_null=report.output is None,
            actor=actor,
        )
    return StepRejected(step=step, attempt=attempt, error=report.error, actor=actor)


def child_finished(builder: DecisionBuilder, child: ChildFinished) -> None:
    state = builder.saga.state.step(child.step)
    if state.child_cancelled and child.status is not SagaStatus.PARKED:
        _record_cancelled_child(builder, child.step, f"the child saga is {child.status}")
        return
    match state.status, child.status:
        case StepStatus.SUCCEEDED, SagaStatus.COMPENSATED:
            _child_compensated(builder, child)
        case StepStatus.WAITING, SagaStatus.COMPLETED:
            done = StepSucceeded(step=child.step, attempt=0, output=dict(child.outputs))
            builder.record(done)
        case StepStatus.WAITING, SagaStatus.COMPENSATED:
            builder.record(StepRejected(step=child.step, attempt=0, error=child.error))
        case StepStatus.WAITING, SagaStatus.ABANDONED:
            builder.record(StepUnknown(step=child.step, attempt=0, error=child.error))
        case StepStatus.COMPENSATING, SagaStatus.COMPENSATED:
            attempt = state.compensation_attempts
            builder.record(CompensationSucceeded(step=child.step, attempt=attempt))
        case StepStatus.COMPENSATING, SagaStatus.ABANDONED:
            _fail_compensation(builder, child.step, f"the child saga was abandoned: {child.error}")


def _child_compensated(builder: DecisionBuilder, child: ChildFinished) -> None:
    """Revoke a child step that was done, unless the saga has come to its final rest."""
    status = builder.saga.state.status
    if status.is_at_rest and status is not SagaStatus.PARKED:
        what = "the child saga is compensated"
        builder.record(LateReplyIgnored(step=child.step, what=what))
    else:
        error = f"its child saga was undone: {child.error}"
        builder.record(StepRejected(step=child.step, attempt=0, error=error))


def _record_cancelled_child(
    builder: DecisionBuilder, step: str, what: str, error: str | None = None
) -> None:
    """Record the end of a child saga whose parent is abandoned."""
    builder.record(LateReplyIgnored(step=step, what=what, error=error))


def child_instruction_refused(builder: DecisionBuilder, child: ChildInstructionRefused) -> None:
    """Record that a child saga was not started, or cannot be compensated."""
    state = builder.saga.state.step(child.step)
    back = builder.saga.state.status is SagaStatus.COMPENSATING
    if state.child_cancelled:
        _record_cancelled_child(
            builder, child.step, "the child saga was not cancelled", child.error
        )
    elif state.status is StepStatus.COMPENSATING:
        _fail_compensation(builder, child.step, child.error)
    elif state.status is StepStatus.WAITING and not back:
        builder.record(StepRejected(step=child.step, attempt=0, error=child.error))


def _fail_compensation(builder: DecisionBuilder, step: str, error: str) -> None:
    attempt = builder.saga.state.step(step).compensation_attempts
    builder.record(CompensationFailed(step=step, attempt=attempt, error=error))
