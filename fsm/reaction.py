"""What is recorded of what happens to a saga: an answer, a time, a callback, a child."""

from __future__ import annotations

from .command import awaited
from .consequence import (
    of_action,
    of_callback,
    of_compensation,
    of_done,
    of_status,
    output_not_received,
    wait,
)
from .deciding import Deciding
from .definition import Completion, OnTimeout, Step
from .duration import format_duration
from .errors import NoSuchStep
from .events import (
    CallbackReceived,
    CompensationFailed,
    CompensationSucceeded,
    LateReplyIgnored,
    OutputNotReceived,
    SagaFellDue,
    StepBackedOff,
    StepFact,
    StepFoundNotDone,
    StepNotSent,
    StepRejected,
    StepSucceeded,
    StepUnknown,
)
from .forward import is_overdue, is_turning
from .happening import CallAnswered, ChildRefused, ChildRested, StepReported
from .machines import SagaStatus, StepStatus
from .outcome import Direction, Outcome
from .step_state import UNTOUCHED, StepState

# Asked for with every answer: Python takes four times longer to find `SagaStatus.ABANDONED`.
ABANDONED, DONE, COMPENSATION = SagaStatus.ABANDONED, Outcome.DONE, Direction.COMPENSATION
CUT_OFF = "the service was restarted before its answer came"


def answered(deciding: Deciding, answer: CallAnswered) -> None:
    saga = deciding.saga
    step = saga.definition.by_name[answer.step]
    state = saga.state.steps.get(answer.step, UNTOUCHED)
    if saga.state.status is ABANDONED:
        what = f"the {answer.direction} was answered: {answer.verdict.outcome}"
        error = answer.verdict.reason or None
        deciding.record(LateReplyIgnored(step=step.name, what=what, error=error))
        return
    undoes = answer.direction is COMPENSATION
    tried = state.compensation_attempts if undoes else state.attempts
    if answer.attempt != tried or awaited(state) is not answer.direction:
        return
    if answer.verdict.outcome is DONE:
        deciding.record(of_done(step, answer))
        return
    if state.output_awaited:
        deciding.record(output_not_received(step, answer))
        return
    until = deciding.after(wait(step, state, answer, deciding.jitter))
    next_try = until if saga.state.status is SagaStatus.RUNNING else None
    match answer.direction:
        case Direction.ACTION:
            said = of_action(step, state, answer, deciding.saga_time, next_try)
            deciding.record_answer(_unless_heard(state, said))
        case Direction.STATUS:
            said = of_status(step, state, answer, deciding.saga_time, next_try)
            _told_status(deciding, step, _unless_heard(state, said))
        case Direction.COMPENSATION:
            deciding.record_answer(of_compensation(step, state, answer, until))


def _unless_heard(state: StepState, said: StepFact) -> StepFact:
    """Where no reply says what became of a step, a callback that came before it does."""
    if state.callback is None or not isinstance(said, StepUnknown | StepNotSent):
        return said
    return of_callback(state.callback, said.attempt)


def _told_status(deciding: Deciding, step: Step, fact: StepFact) -> None:
    """An action that has certainly not happened is tried again at once, unless the saga turns."""
    deciding.record_answer(fact)
    paused = deciding.saga.state.paused_at is not None
    if isinstance(fact, StepFoundNotDone) and not (paused or is_turning(deciding)):
        deciding.call(step, Direction.ACTION)


def time_passed(deciding: Deciding) -> None:
    state = deciding.saga.state
    if state.paused_at is not None:
        return
    if state.status is SagaStatus.PENDING and state.start_at and state.start_at <= deciding.now:
        deciding.record(SagaFellDue())
    if is_overdue(deciding):
        return  # nothing new is sent; what follows turns the saga round
    for name, answer_due in sorted(state.unanswered.items()):
        if answer_due <= deciding.now:
            _answer_fell_due(deciding, deciding.saga.definition[name])
    for step, due in deciding.saga.steps:
        if due.next_attempt_at is not None and due.next_attempt_at <= deciding.now:
            _fell_due(deciding, step, due)


def _fell_due(deciding: Deciding, step: Step, due: StepState) -> None:
    match deciding.saga.state.status, due.status:
        case SagaStatus.RUNNING, StepStatus.BACKING_OFF:
            call_again(deciding, step, due)
        case SagaStatus.RUNNING, StepStatus.WAITING:
            _waited(deciding, step, due)
        case SagaStatus.COMPENSATING, StepStatus.COMPENSATION_BACKING_OFF:
            deciding.call(step, Direction.COMPENSATION)


def _answer_fell_due(deciding: Deciding, step: Step) -> None:
    """A call that was out when its process died: its participant is asked, if it can be."""
    state = deciding.saga.state.step(step.name)
    attempt, why = state.attempts, CUT_OFF
    if state.output_awaited:
        deciding.record(OutputNotReceived(step=step.name, attempt=attempt, error=why))
        return
    if step.status is None or state.callback is not None:
        unknown = StepUnknown(step=step.name, attempt=attempt, error=why)
        deciding.record(_unless_heard(state, unknown))
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


def participant_back(deciding: Deciding, participant: str) -> None:
    for step, state in deciding.saga.steps:
        held = state.status is StepStatus.BACKING_OFF and state.last_outcome is Outcome.HELD
        running = deciding.saga.state.status is SagaStatus.RUNNING
        if held and running and step.participant == participant:
            call_again(deciding, step, state)


def call_again(deciding: Deciding, step: Step, due: StepState) -> None:
    """Before an action whose outcome is unknown is repeated, its participant is asked.

    A saga that turns, as the next thing that is decided, sends nothing forward any more.
    """
    if is_turning(deciding):
        return
    asks = step.status is not None and due.doubtful
    deciding.call(step, Direction.STATUS if asks else Direction.ACTION)


def _waited(deciding: Deciding, step: Step, due: StepState) -> None:
    """The time that a step waits for has come, or is over."""
    over = due.until is not None and due.until <= deciding.now
    if step.sleep is not None:
        deciding.record(StepSucceeded(step=step.name, attempt=0))
    elif step.wait_for is not None:
        _unheard(deciding, step)
    elif over:
        error = f"nobody said within {format_duration(step.completion_timeout)} that it is done"
        deciding.record(StepUnknown(step=step.name, attempt=due.attempts, error=error))
    elif step.completion is Completion.POLL:
        deciding.call(step, Direction.STATUS)


def _unheard(deciding: Deciding, step: Step) -> None:
    assert step.wait_for is not None
    error = f"no signal {step.wait_for.signal} came within {format_duration(step.wait_for.timeout)}"
    if step.wait_for.on_timeout is OnTimeout.PARK:
        deciding.park(f"{step.name}: {error}")
    else:
        deciding.record(StepRejected(step=step.name, attempt=0, error=error))


def reported(deciding: Deciding, report: StepReported) -> None:
    """A callback: kept if it is early, counted if it is awaited, else only recorded."""
    step = deciding.saga.definition.by_name.get(report.step)
    if step is None or step.completion is not Completion.CALLBACK:
        raise NoSuchStep(deciding.saga.state.saga_id, report.step)
    state = deciding.saga.state.step(step.name)
    if state.status is StepStatus.WAITING:
        deciding.record(_reported_end(report, state.attempts))
    elif state.status in (StepStatus.CALLING, StepStatus.BACKING_OFF) and state.callback is None:
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


def _reported_end(report: StepReported, attempt: int) -> StepSucceeded | StepRejected:
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


def child_rested(deciding: Deciding, child: ChildRested) -> None:
    state = deciding.saga.state.step(child.step)
    if state.child_cancelled and child.status is not SagaStatus.PARKED:
        _child_was_cancelled(deciding, child.step, f"the child saga is {child.status}")
        return
    match state.status, child.status:
        case StepStatus.SUCCEEDED, SagaStatus.COMPENSATED:
            _child_undone(deciding, child)
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
            _fail_undo(deciding, child.step, f"the child saga was abandoned: {child.error}")


def _child_undone(deciding: Deciding, child: ChildRested) -> None:
    """Take back a child that was counted as done, if the saga can still be held up."""
    status = deciding.saga.state.status
    if status.rests and status is not SagaStatus.PARKED:
        what = "the child saga is compensated"
        deciding.record(LateReplyIgnored(step=child.step, what=what))
    else:
        error = f"its child saga was undone: {child.error}"
        deciding.record(StepRejected(step=child.step, attempt=0, error=error))


def _child_was_cancelled(
    deciding: Deciding, step: str, what: str, error: str | None = None
) -> None:
    """Record the end of a child whose parent is abandoned; nothing more is asked of it."""
    deciding.record(LateReplyIgnored(step=step, what=what, error=error))


def child_refused(deciding: Deciding, child: ChildRefused) -> None:
    """It could not be started; or it cannot be undone, and if it is under way it goes on."""
    state = deciding.saga.state.step(child.step)
    back = deciding.saga.state.status is SagaStatus.COMPENSATING
    if state.child_cancelled:
        _child_was_cancelled(deciding, child.step, "the child saga was not cancelled", child.error)
    elif state.status is StepStatus.COMPENSATING:
        _fail_undo(deciding, child.step, child.error)
    elif state.status is StepStatus.WAITING and not back:
        deciding.record(StepRejected(step=child.step, attempt=0, error=child.error))


def _fail_undo(deciding: Deciding, step: str, error: str) -> None:
    attempt = deciding.saga.state.step(step).compensation_attempts
    deciding.record(CompensationFailed(step=step, attempt=attempt, error=error))
