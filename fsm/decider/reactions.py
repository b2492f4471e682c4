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


def call_completed(deciding: DecisionBuilder, answer: CallCompleted) -> None:
    saga = deciding.saga
    step = saga.definition.by_name[answer.step]
    state = saga.state.steps.get(answer.step, UNTOUCHED)
    if saga.state.status is SagaStatus.ABANDONED:
        what = f"the {answer.direction} was answered: {answer.outcome.kind}"
        error = answer.outcome.reason or None
        deciding.record(LateReplyIgnored(step=step.name, what=what, error=error))
        return
    undoes = answer.direction is COMPENSATION
    tried = state.compensation_attempts if undoes else state.attempts
    if answer.attempt != tried or pending_call(state) is not answer.direction:
        return
    if answer.outcome.kind is DONE:
        deciding.record(event_for_success(step, answer))
        return
    if state.output_awaited:
        deciding.record(event_for_missing_output(step, answer))
        return
    until = deciding.time_after(retry_delay(step, state, answer, deciding.jitter))
    next_try = until if saga.state.status is SagaStatus.RUNNING else None
    match answer.direction:
        case Direction.ACTION:
            event = event_for_action_result(step, state, answer, deciding.saga_time, next_try)
            deciding.record_call_result(_or_early_callback(state, event))
        case Direction.STATUS:
            event = event_for_status_result(step, state, answer, deciding.saga_time, next_try)
            _apply_status_result(deciding, step, _or_early_callback(state, event))
        case Direction.COMPENSATION:
            deciding.record_call_result(event_for_compensation_result(step, state, answer, until))


def _or_early_callback(state: StepState, event: StepFact) -> StepFact:
    """Return the event of an earlier callback if the result of the call is inconclusive."""
    if state.early_callback is None or not isinstance(event, StepUnknown | StepNotSent):
        return event
    return event_for_callback(state.early_callback, event.attempt)


def _apply_status_result(deciding: DecisionBuilder, step: Step, fact: StepFact) -> None:
    """Record the result of a status query; retry at once an action that was not executed."""
    deciding.record_call_result(fact)
    paused = deciding.saga.state.paused_at is not None
    if isinstance(fact, StepConfirmedNotExecuted) and not (paused or is_about_to_turn(deciding)):
        deciding.call(step, Direction.ACTION)


def timer_fired(deciding: DecisionBuilder) -> None:
    state = deciding.saga.state
    if state.paused_at is not None:
        return
    if state.status is SagaStatus.PENDING and state.start_at and state.start_at <= deciding.now:
        deciding.record(ScheduledStartReached())
    if is_overdue(deciding):
        return  # nothing new is sent; the deadline is enforced by what follows
    for name, answer_due in sorted(state.reply_deadlines.items()):
        if answer_due <= deciding.now:
            _reply_deadline_reached(deciding, deciding.saga.definition[name])
    for step, due in deciding.saga.steps:
        if due.next_attempt_at is not None and due.next_attempt_at <= deciding.now:
            _step_timer_fired(deciding, step, due)


def _step_timer_fired(deciding: DecisionBuilder, step: Step, due: StepState) -> None:
    match deciding.saga.state.status, due.status:
        case SagaStatus.RUNNING, StepStatus.BACKING_OFF:
            call_again(deciding, step, due)
        case SagaStatus.RUNNING, StepStatus.WAITING:
            _wait_ended(deciding, step, due)
        case SagaStatus.COMPENSATING, StepStatus.COMPENSATION_BACKING_OFF:
            deciding.call(step, Direction.COMPENSATION)


def _reply_deadline_reached(deciding: DecisionBuilder, step: Step) -> None:
    """Query the status of a call that was in flight at a crash; without a query it is unknown."""
    state = deciding.saga.state.step(step.name)
    attempt, why = state.attempts, RESTARTED
    if state.output_awaited:
        deciding.record(OutputNotReceived(step=step.name, attempt=attempt, error=why))
        return
    if step.status is None or state.early_callback is not None:
        unknown = StepUnknown(step=step.name, attempt=attempt, error=why)
        deciding.record(_or_early_callback(state, unknown))
        return
    now = deciding.now
    deciding.record(
        StepBackedOff(
            step=step.name,
            attempt=attempt,
            outcome=Outcome.UNKNOWN,
            error=why,
            until=now,
            resent=True,
        )
    )
    deciding.call(step, Direction.STATUS)


def circuit_closed(deciding: DecisionBuilder, participant: str) -> None:
    for step, state in deciding.saga.steps:
        held = state.status is StepStatus.BACKING_OFF and state.last_outcome is Outcome.CIRCUIT_OPEN
        running = deciding.saga.state.status is SagaStatus.RUNNING
        if held and running and step.participant == participant:
            call_again(deciding, step, state)


def call_again(deciding: DecisionBuilder, step: Step, due: StepState) -> None:
    """Repeat the action, or query its status first if its outcome is unknown.

    Nothing is sent if the saga is about to compensate or to park.
    """
    if is_about_to_turn(deciding):
        return
    asks = step.status is not None and due.is_uncertain
    deciding.call(step, Direction.STATUS if asks else Direction.ACTION)


def _wait_ended(deciding: DecisionBuilder, step: Step, due: StepState) -> None:
    """Complete a step whose time has come, or end its wait."""
    over = due.wait_deadline is not None and due.wait_deadline <= deciding.now
    if step.sleep is not None:
        deciding.record(StepSucceeded(step=step.name, attempt=0))
    elif step.wait_for is not None:
        _signal_timed_out(deciding, step)
    elif over:
        error = f"not completed within {format_duration(step.completion_timeout)}"
        deciding.record(StepUnknown(step=step.name, attempt=due.attempts, error=error))
    elif step.completion is Completion.POLL:
        deciding.call(step, Direction.STATUS)


def _signal_timed_out(deciding: DecisionBuilder, step: Step) -> None:
    assert step.wait_for is not None
    timeout = format_duration(step.wait_for.timeout)
    error = f"signal {step.wait_for.signal} not received within {timeout}"
    if step.wait_for.on_timeout is OnTimeout.PARK:
        deciding.park(f"{step.name}: {error}")
    else:
        deciding.record(StepRejected(step=step.name, attempt=0, error=error))


def step_callback(deciding: DecisionBuilder, report: StepCallback) -> None:
    """Complete a step that waits for the callback; keep an early one, record a late one."""
    step = deciding.saga.definition.by_name.get(report.step)
    if step is None or step.completion is not Completion.CALLBACK:
        raise StepNotFound(deciding.saga.state.saga_id, report.step)
    state = deciding.saga.state.step(step.name)
    if state.status is StepStatus.WAITING:
        deciding.record(_event_for_awaited_callback(report, state.attempts))
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
        deciding.record(early)
    else:
        what = "completed by callback" if report.done else "failed by callback"
        late = LateReplyIgnored(
            step=step.name, what=what, error=report.error or None, actor=report.actor
        )
        deciding.record(late)


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


def child_finished(deciding: DecisionBuilder, child: ChildFinished) -> None:
    state = deciding.saga.state.step(child.step)
    if state.child_cancelled and child.status is not SagaStatus.PARKED:
        _record_cancelled_child(deciding, child.step, f"the child saga is {child.status}")
        return
    match state.status, child.status:
        case StepStatus.SUCCEEDED, SagaStatus.COMPENSATED:
            _child_compensated(deciding, child)
        case StepStatus.WAITING, SagaStatus.COMPLETED:
            done = StepSucceeded(step=child.step, attempt=0, output=dict(child.outputs))
            deciding.record(done)
        case StepStatus.WAITING, SagaStatus.COMPENSATED:
            deciding.record(StepRejected(step=child.step, attempt=0, error=child.error))
        case StepStatus.WAITING, SagaStatus.ABANDONED:
            deciding.record(StepUnknown(step=child.step, attempt=0, error=child.error))
        case StepStatus.COMPENSATING, SagaStatus.COMPENSATED:
            attempt = state.compensation_attempts
            deciding.record(CompensationSucceeded(step=child.step, attempt=attempt))
        case StepStatus.COMPENSATING, SagaStatus.ABANDONED:
            _fail_compensation(deciding, child.step, f"the child saga was abandoned: {child.error}")


def _child_compensated(deciding: DecisionBuilder, child: ChildFinished) -> None:
    """Revoke a child step that was done, unless the saga has come to its final rest."""
    status = deciding.saga.state.status
    if status.is_at_rest and status is not SagaStatus.PARKED:
        what = "the child saga is compensated"
        deciding.record(LateReplyIgnored(step=child.step, what=what))
    else:
        error = f"its child saga was undone: {child.error}"
        deciding.record(StepRejected(step=child.step, attempt=0, error=error))


def _record_cancelled_child(
    deciding: DecisionBuilder, step: str, what: str, error: str | None = None
) -> None:
    """Record the end of a child saga whose parent is abandoned."""
    deciding.record(LateReplyIgnored(step=step, what=what, error=error))


def child_instruction_refused(deciding: DecisionBuilder, child: ChildInstructionRefused) -> None:
    """Record that a child saga was not started, or cannot be compensated."""
    state = deciding.saga.state.step(child.step)
    back = deciding.saga.state.status is SagaStatus.COMPENSATING
    if state.child_cancelled:
        _record_cancelled_child(
            deciding, child.step, "the child saga was not cancelled", child.error
        )
    elif state.status is StepStatus.COMPENSATING:
        _fail_compensation(deciding, child.step, child.error)
    elif state.status is StepStatus.WAITING and not back:
        deciding.record(StepRejected(step=child.step, attempt=0, error=child.error))


def _fail_compensation(deciding: DecisionBuilder, step: str, error: str) -> None:
    attempt = deciding.saga.state.step(step).compensation_attempts
    deciding.record(CompensationFailed(step=step, attempt=attempt, error=error))
