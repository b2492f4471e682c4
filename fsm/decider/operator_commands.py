"""Operator commands: the events that each one leads to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from ..call_outcome import Direction
from ..definitions.definition import Step
from ..errors import ChildrenUnderWay, TooManySignals, UnknownSignal
from ..events import (
    CompensationRequested,
    Resolution,
    RetryRequested,
    SagaAbandoned,
    SagaPaused,
    SagaResumed,
    SagaUnparked,
    SignalReceived,
    StepResolved,
    StepSkipped,
)
from ..inputs import (
    Abandon,
    BaseCommand,
    Cancel,
    ChildPolicy,
    Compensate,
    OperatorCommand,
    Pause,
    ResolveStep,
    Resume,
    Retry,
    SendSignal,
    SkipStep,
)
from ..instructions import active_children
from ..machines import SagaStatus, StepStatus, accepts_trigger
from ..saga import Saga
from ..step_state import StepState
from .call_results import event_for_abandoned_step
from .decision import DecisionBuilder
from .forward import compensation_on_request, is_about_to_turn, is_called_again, is_lost
from .output_guards import (
    input_changed_since,
    require_missing_output,
    require_output,
    require_unchanged_requests,
    resendable_reader_of,
)
from .reactions import call_again
from .refusals import STATUS_PHRASES, WAITS_TO_RETRY, find_step, refuse, require_allowed

MAX_BUFFERED_SIGNALS = 100  # of one name, that no step has consumed yet


def apply(builder: DecisionBuilder, command: OperatorCommand) -> None:
    """Apply a command. Raises NotAllowed and its subclasses, StepNotFound and UnknownSignal."""
    match command:
        case Compensate() | Cancel():
            _compensate(builder, command)
        case Retry():
            require_allowed(builder.saga, command.verb)
            is_parked = builder.saga.state.status is SagaStatus.PARKED
            _retry_parked(builder, command) if is_parked else _retry_now(builder, command)
        case Pause():
            _pause(builder, command)
        case Resume():
            if not command.by_parent:
                require_allowed(builder.saga, command.verb)
            _resume(builder, command)
        case Abandon():
            require_allowed(builder.saga, command.verb)
            _abandon(builder, command)
        case SkipStep():
            _skip(builder, command)
        case ResolveStep():
            _resolve(builder, command)
        case SendSignal():
            _receive_signal(builder, command)
        case _:
            assert_never(command)


def _compensate(builder: DecisionBuilder, command: Compensate | Cancel) -> None:
    """Compensate, or leave the decision to an uncertain pivot. A repeated command has no effect."""
    saga = builder.saga
    if saga.state.status in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED):
        if isinstance(command, Cancel) and saga.state.paused_at is not None:
            _resume(builder, command)
        return
    require_allowed(saga, command.verb)
    request = CompensationRequested(actor=command.actor, reason=command.reason)
    if saga.state.status is SagaStatus.RUNNING and saga.pivot_is_uncertain:
        if saga.state.compensation_requested is None or saga.state.paused_at is not None:
            builder.record(request)
            builder.instruct_children()
    else:
        builder.start_compensation(compensation_on_request(request))


def _pause(builder: DecisionBuilder, command: Pause) -> None:
    """Record a pause by the parent or by an operator: the two end separately."""
    state = builder.saga.state
    if not (state.paused_by_parent if command.by_parent else state.paused_by_operator):
        require_allowed(builder.saga, command.verb)
        by_parent = command.by_parent
        builder.record(SagaPaused(actor=command.actor, reason=command.reason, by_parent=by_parent))
        builder.instruct_children()


def _resume(builder: DecisionBuilder, command: BaseCommand) -> None:
    """End all pauses of the saga; a parent ends only its own."""
    state, parent_only = builder.saga.state, isinstance(command, Resume) and command.by_parent
    actor, reason = command.actor, command.reason
    if state.paused_by_parent:
        builder.record(SagaResumed(actor=actor, reason=reason, by_parent=True))
    if state.paused_by_operator and not parent_only:
        builder.record(SagaResumed(actor=actor, reason=reason))
    builder.instruct_children()


def _retry_now(builder: DecisionBuilder, command: Retry) -> None:
    """Skip the current back-off."""
    saga = builder.saga
    named = None if command.step is None else find_step(saga, command.step)
    if named is not None and (status := saga.status_of(named.name)) not in WAITS_TO_RETRY:
        refuse(saga, "retry", f"{named.name} {STATUS_PHRASES[status]}, and no next try of it waits")
    builder.record(RetryRequested(step=command.step, actor=command.actor, reason=command.reason))
    for step, state in builder.saga.steps:
        if named is not None and step is not named:
            continue
        match builder.saga.state.status, state.status:  # a call that cannot be built parks the saga
            case SagaStatus.RUNNING, StepStatus.BACKING_OFF:
                call_again(builder, step, state)
            case SagaStatus.COMPENSATING, StepStatus.COMPENSATION_BACKING_OFF:
                builder.call(step, Direction.COMPENSATION)


def _retry_parked(builder: DecisionBuilder, command: Retry) -> None:
    """Retry all that failed, or the named step.

    A step that failed while the saga was parked makes the saga compensate instead, unless a pivot
    prevents that.
    """
    saga = builder.saga
    if command.step is not None:
        _retry_step(builder, command, find_step(saga, command.step))
    elif saga.state.cause is not None:
        failed = saga.steps_in(StepStatus.COMPENSATION_FAILED)
        _unpark(builder, command, undo_again=[step.name for step in failed])
    else:
        _unpark(builder, command, accepted=_named_losses(saga))
        if is_about_to_turn(builder):
            return
        for step, state in saga.steps:
            if builder.saga.state.status is SagaStatus.RUNNING:
                _call_forward(builder, step, state)


def _retry_step(builder: DecisionBuilder, command: Retry, step: Step) -> None:
    saga = builder.saga
    state = saga.state.step(step.name)
    if saga.state.cause is not None:
        if state.status is not StepStatus.COMPENSATION_FAILED:
            reason = (
                f"{step.name} {STATUS_PHRASES[state.status]}, and its compensation has not failed"
            )
            refuse(saga, "retry", reason)
        _unpark(builder, command, undo_again=[step.name])
    elif state.status is StepStatus.SUCCEEDED:
        require_missing_output(saga, "retry", step)
        if step.action is None:
            reason = f"{step.name} calls no participant; supply its output with a resolve"
            refuse(saga, "retry", reason)
        if (reader := resendable_reader_of(saga, step)) is not None:
            reason = (
                f"{reader} may be sent again, and is made of the output of {step.name} as it is"
            )
            refuse(saga, "retry", reason)
        if (read := input_changed_since(saga, step, state)) is not None:
            reason = f"{step.name} was called before the output of {read} was changed"
            refuse(saga, "retry", f"{reason}, so the same key would carry another request")
        _unpark(builder, command)
        builder.call_for_output(step)
    else:
        _unpark(builder, command)
        if is_about_to_turn(builder) or not _call_forward(builder, step, state):
            status = STATUS_PHRASES[state.status]
            reason = f"{step.name} {status}, and its call is not one to be repeated"
            refuse(saga, "retry", reason)


def _call_forward(builder: DecisionBuilder, step: Step, state: StepState) -> bool:
    """Call the step again if a retry applies to it; return whether it does."""
    if state.status is StepStatus.BACKING_OFF:
        call_again(builder, step, state)
    elif is_called_again(builder.saga, step, state.status):
        builder.begin_step(step)
    elif (
        step.wait_for is not None
        and state.wait_deadline is not None
        and state.wait_deadline <= builder.now
    ):
        builder.await_signal(step)
    else:
        return False
    return True


def _named_losses(saga: Saga) -> list[str]:
    """Return the steps whose lost outputs the saga was parked for; all if its event names none."""
    parked = saga.state.parked
    named = None if parked is None else parked.without_output
    lost = [step.name for step, state in saga.steps if is_lost(saga, state)]
    return lost if named is None else [name for name in lost if name in named]


def _unpark(
    builder: DecisionBuilder,
    command: BaseCommand,
    *,
    accepted: Iterable[str] = (),
    undo_again: Iterable[str] = (),
) -> None:
    builder.record(
        SagaUnparked(
            back=builder.saga.state.cause is not None,
            actor=command.actor,
            reason=command.reason,
            accepted=tuple(accepted),
            undo_again=tuple(undo_again),
        )
    )


def _abandon(builder: DecisionBuilder, command: Abandon) -> None:
    """Give up all active steps; those that may have taken effect are named."""
    children = active_children(builder.saga)
    if children and command.children is None:
        raise ChildrenUnderWay(builder.saga.state.saga_id, children)
    for step, state in builder.saga.steps:
        if (end := event_for_abandoned_step(step, state)) is not None:
            builder.record(end)
    saga = builder.saga
    back = saga.state.cause is not None
    builder.record(
        SagaAbandoned(
            reason=command.reason or "",
            actor=command.actor,
            not_done=() if back else saga.not_done,
            not_undone=saga.not_undone,
            children=tuple(children),
            children_cancelled=bool(children) and command.children is ChildPolicy.CANCEL,
        )
    )
    builder.instruct_children()


def _skip(builder: DecisionBuilder, command: SkipStep) -> None:
    """Skip a pending step. A parked saga goes on, because it may be parked for that step."""
    step = find_step(builder.saga, command.step)
    status = builder.saga.status_of(step.name)
    require_allowed(builder.saga, command.verb)
    if status is not StepStatus.PENDING:
        refuse(
            builder.saga,
            "skip",
            f"{step.name} {STATUS_PHRASES[status]}, and only a pending step is skipped",
        )
    builder.record(StepSkipped(step=step.name, actor=command.actor, reason=command.reason))
    if builder.saga.state.status is SagaStatus.PARKED:
        _unpark(builder, command)


def _resolve(builder: DecisionBuilder, command: ResolveStep) -> None:
    step = find_step(builder.saga, command.step)
    require_allowed(builder.saga, command.verb)
    status = builder.saga.status_of(step.name)
    if not accepts_trigger(status, f"resolve_{command.verdict}"):
        reason = f"{step.name} {STATUS_PHRASES[status]}, so its outcome cannot be {command.verdict}"
        refuse(builder.saga, "resolve", reason)
    if command.verdict is Resolution.UNDONE and builder.saga.state.cause is None:
        refuse(
            builder.saga,
            "resolve",
            "it is not compensating, and only a compensation can be resolved as undone",
        )
    supplies = command.verdict is Resolution.DONE and status is StepStatus.SUCCEEDED
    if supplies:
        require_output(builder.saga, command, step)
    before = builder.saga
    builder.record(
        StepResolved(
            step=step.name,
            verdict=command.verdict,
            evidence=command.evidence,
            output=command.output,
            output_is_null=command.output_is_null,
            actor=command.actor,
            reason=command.reason,
        )
    )
    if supplies:
        require_unchanged_requests(before, builder.saga, step)
    _unpark(builder, command)
    forward = builder.saga.state.status is SagaStatus.RUNNING and builder.saga.pivot_succeeded
    if forward and command.verdict is Resolution.NOT_DONE:
        builder.begin_step(step)


def _receive_signal(builder: DecisionBuilder, signal: SendSignal) -> None:
    """Buffer a signal, unless one of the same name and key was received."""
    if (signal.name, signal.key) in builder.saga.state.signal_keys:
        return
    require_allowed(builder.saga, signal.verb)
    saga_id, known = builder.saga.state.saga_id, builder.saga.definition.signals
    if signal.name not in known:
        raise UnknownSignal(saga_id, signal.name, sorted(known))
    buffered = sum(other.name == signal.name for other in builder.saga.state.signals)
    if buffered >= MAX_BUFFERED_SIGNALS:
        count = f"{MAX_BUFFERED_SIGNALS} signals {signal.name} are kept already"
        reason = f"{count}, and no step has taken them"
        raise TooManySignals(saga_id, "signal", reason)
    builder.record(
        SignalReceived(name=signal.name, body=signal.body, key=signal.key, actor=signal.actor)
    )
