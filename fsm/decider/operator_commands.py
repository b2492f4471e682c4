"""Operator commands: which are legal now, and which events they lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NoReturn, assert_never

from ..call_outcome import Direction
from ..definitions.definition import Step
from ..errors import (
    ChildrenUnderWay,
    NotAllowed,
    NotCompensatable,
    StepNotFound,
    TooManySignals,
    UnknownSignal,
    WouldParkAgain,
)
from ..events import (
    CompensationRequested,
    Resolution,
    RetryRequested,
    SagaAbandoned,
    SagaParked,
    SagaPaused,
    SagaResumed,
    SagaUnparked,
    SignalReceived,
    StepResolved,
    StepSkipped,
)
from ..expressions.expression import ExpressionError
from ..inputs import (
    Abandon,
    BaseCommand,
    Cancel,
    ChildPolicy,
    Compensate,
    Input,
    OperatorCommand,
    Pause,
    ResolveStep,
    Resume,
    Retry,
    SendSignal,
    SkipStep,
)
from ..instructions import CallParticipant, active_children, call_of, rebuild_call
from ..machines import SagaStatus, StepStatus, accepts_trigger
from ..saga import Saga
from ..state import Parked
from ..step_state import StepState
from .call_results import event_for_abandoned_step
from .decision import DecisionBuilder
from .forward import compensation_on_request, is_about_to_turn, is_called_again, is_lost
from .reactions import call_again

COMPENSATION_BACKING_OFF = StepStatus.COMPENSATION_BACKING_OFF
MAX_BUFFERED_SIGNALS = 100  # of one name, that no step has waited for yet
WAITS_TO_RETRY = (StepStatus.BACKING_OFF, StepStatus.COMPENSATION_BACKING_OFF)
# Attempts that may be repeated with the same key, so that their requests must stay the same.
ACTION_MAY_BE_RESENT = (StepStatus.BACKING_OFF, StepStatus.WAITING, StepStatus.UNKNOWN)
MAX_SUGGESTIONS = 5  # steps that a refusal names
STATUS_PHRASES: Mapping[StepStatus, str] = {
    StepStatus.PENDING: "has not begun",
    StepStatus.CALLING: "is being called",
    StepStatus.BACKING_OFF: "waits for its next try",
    StepStatus.WAITING: "is waiting",
    StepStatus.SUCCEEDED: "is done",
    StepStatus.REJECTED: "was rejected",
    StepStatus.UNKNOWN: "has an unknown outcome",
    StepStatus.NOT_SENT: "was not executed",
    StepStatus.SKIPPED: "was skipped",
    StepStatus.COMPENSATING: "is being compensated",
    StepStatus.COMPENSATION_BACKING_OFF: "waits for the next try of its compensation",
    StepStatus.COMPENSATED: "is compensated",
    StepStatus.COMPENSATION_FAILED: "could not be compensated",
    StepStatus.RESOLVED: "was undone by hand",
}
COMPENSATION_MAY_BE_RESENT = (COMPENSATION_BACKING_OFF, StepStatus.COMPENSATION_FAILED)


def apply(builder: DecisionBuilder, verb: OperatorCommand) -> None:
    """Apply a command. Raises NotAllowed and its subclasses, NoSuchStep and UnknownSignal."""
    match verb:
        case Compensate() | Cancel():
            _compensate(builder, verb)
        case Retry():
            _require_allowed(builder.saga, "retry")
            parked = builder.saga.state.status is SagaStatus.PARKED
            _retry_parked(builder, verb) if parked else _retry_now(builder, verb)
        case Pause():
            _pause(builder, verb)
        case Resume():
            if not verb.by_parent:
                _require_allowed(builder.saga, "resume")
            _resume(builder, verb)
        case Abandon():
            _require_allowed(builder.saga, "abandon")
            _abandon(builder, verb)
        case SkipStep():
            _skip(builder, verb)
        case ResolveStep():
            _resolve(builder, verb)
        case SendSignal():
            _receive_signal(builder, verb)
        case _:
            assert_never(verb)


def candidate_commands(saga: Saga) -> Iterator[tuple[str, Iterable[OperatorCommand]]]:
    """Yield for each verb the commands to try, none for a verb that no step can get."""
    yield "compensate", [Compensate()]
    yield "cancel", [Cancel()]
    yield "retry", _if_possible(saga, "retry", _retries)
    yield "pause", [Pause()]
    yield "resume", [Resume()]
    yield "abandon", [Abandon(reason="tried", children=ChildPolicy.LEAVE)]
    yield "skip", _if_possible(saga, "skip", _skips)
    yield "resolve", _if_possible(saga, "resolve", _resolutions)
    yield "signal", [SendSignal(name=name) for name in saga.definition.signals]


def _if_possible(
    saga: Saga, verb: str, asks: Callable[[Saga], Iterator[OperatorCommand]]
) -> Iterable[OperatorCommand]:
    return asks(saga) if REFUSAL_REASONS[verb](saga) is None else ()


def _retries(saga: Saga) -> Iterator[Retry]:
    yield Retry()
    for step in saga.definition.steps:
        yield Retry(step=step.name)


def _skips(saga: Saga) -> Iterator[OperatorCommand]:
    for step in saga.steps_in(StepStatus.PENDING):
        yield SkipStep(step=step.name)


def _resolutions(saga: Saga) -> Iterator[ResolveStep]:
    for step, state in saga.steps:
        output = state.output or {}
        for verdict in Resolution:
            yield ResolveStep(step=step.name, verdict=verdict, evidence="tried", output=output)


def alternatives_to(asked: Input, saga: Saga) -> Iterator[OperatorCommand]:
    """Yield commands to suggest instead of a retry or resolve that a parked saga refuses."""
    match asked:
        case Retry():
            yield from _retries(saga)
            yield from _resolutions(saga)
        case ResolveStep(step=step):
            verdicts = list(_resolutions(saga))
            of_step = [one for one in verdicts if one.step == step]
            yield from of_step
            yield from (one for one in verdicts if one.step != step)


def described(saga: Saga, verbs: Iterable[OperatorCommand]) -> tuple[str, ...]:
    """Describe commands in the words of their requests; at most MOST_NAMED of them."""
    said: dict[str, list[str]] = {}
    for verb in verbs:
        match verb:
            case Retry(step=None):
                said["retry"] = []
            case Retry(step=step):
                said[f'retry with {{"step": "{step}"}}'] = []
            case ResolveStep(step=step, verdict=verdict):
                is_done = saga.status_of(step) is StepStatus.SUCCEEDED
                supplies = is_done and verdict is Resolution.DONE
                outcome = f"{verdict} and its output" if supplies else verdict
                said.setdefault(f"resolve of {step} with outcome", []).append(outcome)
    words = [" ".join([what, " or ".join(outcomes)]).rstrip() for what, outcomes in said.items()]
    return tuple(words[:MAX_SUGGESTIONS])


def require_effect(before: Saga, asked: Input, builder: DecisionBuilder) -> None:
    """Refuse a retry that would only park the saga again for the same reason, and an output that
    still lacks what the parked request needs."""
    parked = before.state.parked
    if parked is None:
        return
    match asked, builder.events:
        case Retry(), [SagaUnparked(accepted=()), SagaParked(reason=why)] if why == parked.reason:
            _refuse_to_park_again(before, "retry", why)
        case ResolveStep(), [StepResolved(), SagaUnparked(), SagaParked() as again]:
            if _gives_output(asked) and _output_is_insufficient(asked.step, again, builder, parked):
                _refuse_to_park_again(before, "resolve", again.reason)


def _output_is_insufficient(
    step: str, again: SagaParked, builder: DecisionBuilder, parked: Parked
) -> bool:
    """True if the saga parks again because of the output of `step`."""
    is_only_cause = again.without_output == (step,)
    is_still_cause = step in (again.without_output or ()) and again.reason == parked.reason
    return step in builder.lacking or is_only_cause or is_still_cause


def _gives_output(asked: ResolveStep) -> bool:
    return asked.output is not None or asked.output_is_null


def _refuse_to_park_again(saga: Saga, verb: str, why: str) -> NoReturn:
    raise WouldParkAgain(saga.state.saga_id, verb, f"it would park again: {why}")


def _require_allowed(saga: Saga, verb: str) -> None:
    if why := REFUSAL_REASONS[verb](saga):
        refusal = NotCompensatable if verb == "compensate" else NotAllowed
        raise refusal(saga.state.saga_id, verb, why)


def _compensate(builder: DecisionBuilder, asked: BaseCommand) -> None:
    """Compensate, or leave the decision to an uncertain pivot. A repeated command has no effect."""
    saga = builder.saga
    verb = "cancel" if isinstance(asked, Cancel) else "compensate"
    if saga.state.status in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED):
        if verb == "cancel" and saga.state.paused_at is not None:
            _resume(builder, asked)
        return
    _require_allowed(saga, verb)
    request = CompensationRequested(actor=asked.actor, reason=asked.reason)
    if saga.state.status is SagaStatus.RUNNING and saga.pivot_is_uncertain:
        if saga.state.compensation_requested is None or saga.state.paused_at is not None:
            builder.record(request)
            builder.instruct_children()
    else:
        builder.start_compensation(compensation_on_request(request))


def _pause(builder: DecisionBuilder, asked: Pause) -> None:
    """Record a pause by the parent or by an operator: the two end separately."""
    state = builder.saga.state
    if not (state.paused_by_parent if asked.by_parent else state.paused_by_operator):
        _require_allowed(builder.saga, "pause")
        by_parent = asked.by_parent
        builder.record(SagaPaused(actor=asked.actor, reason=asked.reason, by_parent=by_parent))
        builder.instruct_children()


def _resume(builder: DecisionBuilder, asked: BaseCommand) -> None:
    """End all pauses of the saga; a parent ends only its own."""
    state, parent_only = builder.saga.state, isinstance(asked, Resume) and asked.by_parent
    actor, reason = asked.actor, asked.reason
    if state.paused_by_parent:
        builder.record(SagaResumed(actor=actor, reason=reason, by_parent=True))
    if state.paused_by_operator and not parent_only:
        builder.record(SagaResumed(actor=actor, reason=reason))
    builder.instruct_children()


def _retry_now(builder: DecisionBuilder, asked: Retry) -> None:
    """Skip the current back-off."""
    saga = builder.saga
    named = None if asked.step is None else _step(saga, asked.step)
    if named is not None and (status := saga.status_of(named.name)) not in WAITS_TO_RETRY:
        _refuse(
            saga, "retry", f"{named.name} {STATUS_PHRASES[status]}, and no next try of it waits"
        )
    builder.record(RetryRequested(step=asked.step, actor=asked.actor, reason=asked.reason))
    for step, state in builder.saga.steps:
        if named is not None and step is not named:
            continue
        match builder.saga.state.status, state.status:  # a call that cannot be made parks it
            case SagaStatus.RUNNING, StepStatus.BACKING_OFF:
                call_again(builder, step, state)
            case SagaStatus.COMPENSATING, StepStatus.COMPENSATION_BACKING_OFF:
                builder.call(step, Direction.COMPENSATION)


def _retry_parked(builder: DecisionBuilder, asked: Retry) -> None:
    """Retry all that failed, or the named step.

    A step that failed while the saga was parked makes the saga compensate instead, unless a pivot
    prevents that.
    """
    saga = builder.saga
    if asked.step is not None:
        _retry_step(builder, asked, _step(saga, asked.step))
    elif saga.state.cause is not None:
        failed = saga.steps_in(StepStatus.COMPENSATION_FAILED)
        _unpark(builder, asked, undo_again=[step.name for step in failed])
    else:
        _unpark(builder, asked, accepted=_named_losses(saga))
        if is_about_to_turn(builder):
            return
        for step, state in saga.steps:
            if builder.saga.state.status is SagaStatus.RUNNING:
                _call_forward(builder, step, state)


def _retry_step(builder: DecisionBuilder, asked: Retry, step: Step) -> None:
    saga = builder.saga
    state = saga.state.step(step.name)
    if saga.state.cause is not None:
        if state.status is not StepStatus.COMPENSATION_FAILED:
            why = f"{step.name} {STATUS_PHRASES[state.status]}, and its compensation has not failed"
            _refuse(saga, "retry", why)
        _unpark(builder, asked, undo_again=[step.name])
    elif state.status is StepStatus.SUCCEEDED:
        _require_missing_output(saga, "retry", step)
        if step.action is None:
            why = f"{step.name} calls no participant; supply its output with a resolve"
            _refuse(saga, "retry", why)
        if (reader := _resendable_reader_of(saga, step)) is not None:
            why = f"{reader} may be sent again, and is made of the output of {step.name} as it is"
            _refuse(saga, "retry", why)
        if (read := _input_changed_since(saga, step, state)) is not None:
            why = f"{step.name} was called before the output of {read} was changed"
            _refuse(saga, "retry", f"{why}, so the same key would carry another request")
        _unpark(builder, asked)
        builder.call_for_output(step)
    else:
        _unpark(builder, asked)
        if is_about_to_turn(builder) or not _call_forward(builder, step, state):
            status = STATUS_PHRASES[state.status]
            why = f"{step.name} {status}, and its call is not one to be repeated"
            _refuse(saga, "retry", why)


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


def _require_missing_output(saga: Saga, verb: str, step: Step) -> None:
    """Refuse to change the output of a done step that the saga is not parked for.

    An event of schema version 1 does not name the steps and leaves the choice to the operator.
    """
    parked = saga.state.parked
    named = None if parked is None else parked.without_output
    if named is not None and step.name not in named:
        _refuse(saga, verb, f"{step.name} is done, and the saga is not parked for its output")


def _resendable_reader_of(saga: Saga, step: Step) -> str | None:
    """Return a step whose request reads the output of `step` and may be sent again."""
    for other, direction in _resendable_calls(saga):
        read = call_of(other, direction).steps_read
        if other is not step and (read is None or step.name in read):
            return other.name
    return None


def _input_changed_since(saga: Saga, step: Step, state: StepState) -> str | None:
    """Return a step that the request of `step` reads and whose output has changed since."""
    assert step.action is not None
    assert state.finished_at is not None
    read = step.action.steps_read
    for name, other in saga.state.steps.items():
        changed = other.output_changed_at
        if (read is None or name in read) and changed is not None and changed >= state.finished_at:
            return name
    return None


def _resendable_calls(saga: Saga) -> Iterator[tuple[Step, Direction]]:
    for step, state in saga.steps:
        waits_to_retry = state.status is StepStatus.BACKING_OFF
        if waits_to_retry and not state.may_have_happened:
            continue
        if step.action is not None and state.attempts and state.status in ACTION_MAY_BE_RESENT:
            yield step, Direction.ACTION
        if step.compensation is not None and state.status in COMPENSATION_MAY_BE_RESENT:
            yield step, Direction.COMPENSATION


def _unpark(
    builder: DecisionBuilder,
    asked: BaseCommand,
    *,
    accepted: Iterable[str] = (),
    undo_again: Iterable[str] = (),
) -> None:
    builder.record(
        SagaUnparked(
            back=builder.saga.state.cause is not None,
            actor=asked.actor,
            reason=asked.reason,
            accepted=tuple(accepted),
            undo_again=tuple(undo_again),
        )
    )


def _abandon(builder: DecisionBuilder, asked: Abandon) -> None:
    """Give up all active steps; those that may have taken effect are named."""
    children = active_children(builder.saga)
    if children and asked.children is None:
        raise ChildrenUnderWay(builder.saga.state.saga_id, children)
    for step, state in builder.saga.steps:
        if (end := event_for_abandoned_step(step, state)) is not None:
            builder.record(end)
    saga = builder.saga
    back = saga.state.cause is not None
    builder.record(
        SagaAbandoned(
            reason=asked.reason or "",
            actor=asked.actor,
            not_done=() if back else saga.not_done,
            not_undone=saga.not_undone,
            children=tuple(children),
            children_cancelled=bool(children) and asked.children is ChildPolicy.CANCEL,
        )
    )
    builder.instruct_children()


def _skip(builder: DecisionBuilder, asked: SkipStep) -> None:
    """Skip a pending step. A parked saga goes on, because it may be parked for that step."""
    step = _step(builder.saga, asked.step)
    status = builder.saga.status_of(step.name)
    _require_allowed(builder.saga, "skip")
    if status is not StepStatus.PENDING:
        _refuse(
            builder.saga,
            "skip",
            f"{step.name} {STATUS_PHRASES[status]}, and only a pending step is skipped",
        )
    builder.record(StepSkipped(step=step.name, actor=asked.actor, reason=asked.reason))
    if builder.saga.state.status is SagaStatus.PARKED:
        _unpark(builder, asked)


def _resolve(builder: DecisionBuilder, asked: ResolveStep) -> None:
    step = _step(builder.saga, asked.step)
    _require_allowed(builder.saga, "resolve")
    status = builder.saga.status_of(step.name)
    if not accepts_trigger(status, f"resolve_{asked.verdict}"):
        why = f"{step.name} {STATUS_PHRASES[status]}, so its outcome cannot be {asked.verdict}"
        _refuse(builder.saga, "resolve", why)
    if asked.verdict is Resolution.UNDONE and builder.saga.state.cause is None:
        _refuse(
            builder.saga,
            "resolve",
            "it is not compensating, and only a compensation can be resolved as undone",
        )
    supplies = asked.verdict is Resolution.DONE and status is StepStatus.SUCCEEDED
    if supplies:
        _require_output(builder.saga, asked, step)
    before = builder.saga
    builder.record(
        StepResolved(
            step=step.name,
            verdict=asked.verdict,
            evidence=asked.evidence,
            output=asked.output,
            output_is_null=asked.output_is_null,
            actor=asked.actor,
            reason=asked.reason,
        )
    )
    if supplies:
        _require_unchanged_requests(before, builder.saga, step)
    _unpark(builder, asked)
    forward = builder.saga.state.status is SagaStatus.RUNNING and builder.saga.pivot_succeeded
    if forward and asked.verdict is Resolution.NOT_DONE:
        builder.begin_step(step)


def _require_output(saga: Saga, asked: ResolveStep, step: Step) -> None:
    _require_missing_output(saga, "resolve", step)
    if not _gives_output(asked):
        _refuse(saga, "resolve", f"{step.name} is done; give the output that is missing")


def _require_unchanged_requests(before: Saga, after: Saga, step: Step) -> None:
    """Refuse an output that would change a request which may be sent again under its key."""
    for other, direction in _resendable_calls(before):
        if _request(before, other, direction) != _request(after, other, direction):
            why = f"{other.name} may be sent again, and that output would change its request"
            _refuse(before, "resolve", f"{why}; decide about {other.name} first")


def _receive_signal(builder: DecisionBuilder, signal: SendSignal) -> None:
    """Buffer a signal, unless one of the same name and key was received."""
    if (signal.name, signal.key) in builder.saga.state.signal_keys:
        return
    _require_allowed(builder.saga, "signal")
    saga_id, known = builder.saga.state.saga_id, builder.saga.definition.signals
    if signal.name not in known:
        raise UnknownSignal(saga_id, signal.name, sorted(known))
    kept = sum(one.name == signal.name for one in builder.saga.state.signals)
    if kept >= MAX_BUFFERED_SIGNALS:
        count = f"{MAX_BUFFERED_SIGNALS} signals {signal.name} are kept already"
        why = f"{count}, and no step has taken them"
        raise TooManySignals(saga_id, "signal", why)
    builder.record(
        SignalReceived(name=signal.name, body=signal.body, key=signal.key, actor=signal.actor)
    )


def _step(saga: Saga, name: str) -> Step:
    if (step := saga.definition.by_name.get(name)) is None:
        raise StepNotFound(saga.state.saga_id, name)
    return step


def _refuse(saga: Saga, verb: str, why: str) -> NoReturn:
    raise NotAllowed(saga.state.saga_id, verb, why)


def _request(saga: Saga, step: Step, direction: Direction) -> CallParticipant | None:
    try:
        return rebuild_call(saga, step, direction, attempt=1)
    except ExpressionError:
        return None


def _why_not_compensate(saga: Saga) -> str | None:
    status = saga.state.status
    if saga.pivot_succeeded:
        return "its pivot has succeeded, so it can only go forward"
    if status is SagaStatus.ABANDONED:
        return "it was abandoned"
    if status is SagaStatus.PARKED and saga.state.cause is not None:
        return "it is parked while compensating"
    if status is SagaStatus.PARKED and saga.pivot_is_uncertain:
        return "the outcome of its pivot is unknown"
    if status in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED):
        return f"it is {status}"
    return None


def _why_not_cancel(saga: Saga) -> str | None:
    done = saga.state.status is SagaStatus.COMPLETED
    return "it is completed; compensate it instead" if done else _why_not_compensate(saga)


def _why_not_retry(saga: Saga) -> str | None:
    if saga.state.status is SagaStatus.PARKED:
        return None
    if saga.state.paused_at is not None:
        return "it is paused"
    waits = not saga.state.status.is_at_rest and saga.steps_in(*WAITS_TO_RETRY)
    return None if waits else "nothing is parked, and nothing waits for its next try"


def _why_not_pause(saga: Saga) -> str | None:
    if saga.state.status.is_at_rest:
        return f"it is {saga.state.status}"
    return None


def _why_not_resume(saga: Saga) -> str | None:
    return "it is not paused" if saga.state.paused_at is None else None


def _why_not_abandon(saga: Saga) -> str | None:
    status = saga.state.status
    over = status.is_at_rest and status is not SagaStatus.PARKED
    return f"it is {status}" if over else None


def _why_not_skip(saga: Saga) -> str | None:
    status = saga.state.status
    if status.is_at_rest and status is not SagaStatus.PARKED:
        return f"it is {status}"
    if saga.state.cause is not None:
        return "it is compensating, and no step of it can be skipped any more"
    return None if saga.steps_in(StepStatus.PENDING) else "no step of it is pending"


def _why_not_resolve(saga: Saga) -> str | None:
    parked = saga.state.status is SagaStatus.PARKED
    return None if parked else "it is not parked, so nothing waits for a verdict"


def _why_not_signal(saga: Saga) -> str | None:
    return f"it is {saga.state.status}" if saga.state.status.is_at_rest else None


REFUSAL_REASONS: Mapping[str, Callable[[Saga], str | None]] = {
    "compensate": _why_not_compensate,
    "cancel": _why_not_cancel,
    "retry": _why_not_retry,
    "pause": _why_not_pause,
    "resume": _why_not_resume,
    "abandon": _why_not_abandon,
    "skip": _why_not_skip,
    "resolve": _why_not_resolve,
    "signal": _why_not_signal,
}
