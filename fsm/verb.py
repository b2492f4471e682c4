"""What operators ask of a saga: what is legal now, and what is recorded of it.

WHY_NOT says why a verb is not possible now, or None, as far as that is the same for all steps. Each
verb is an event with actor and reason. `trials` are what is tried to know what can be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NoReturn, assert_never

from .command import CallParticipant, call_of, children_under_way, prepare_again
from .consequence import given_up
from .deciding import Deciding
from .definition import Step
from .errors import (
    ChildrenUnderWay,
    NoSuchStep,
    NotAllowed,
    NotCompensatable,
    TooManySignals,
    UnknownSignal,
    WouldParkAgain,
)
from .events import (
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
from .expression import ExpressionError
from .forward import is_called_again, is_lost, is_turning, turned_back_on
from .happening import (
    AbandonAsked,
    Asked,
    CancelAsked,
    ChildPolicy,
    CompensationAsked,
    Happening,
    PauseAsked,
    ResolveAsked,
    ResumeAsked,
    RetryAsked,
    SignalSent,
    SkipAsked,
    Verb,
)
from .machines import SagaStatus, StepStatus, is_step_trigger
from .outcome import Direction
from .parked import Parked
from .reaction import call_again
from .saga import Saga
from .step_state import StepState

UNDO_BACKING_OFF = StepStatus.COMPENSATION_BACKING_OFF
MOST_SIGNALS = 100  # of one name, that no step has waited for yet
WAITS_TO_RETRY = (StepStatus.BACKING_OFF, StepStatus.COMPENSATION_BACKING_OFF)
# Attempts that may be repeated with the same key, so that their requests must stay the same.
MAY_BE_SENT_AGAIN = (StepStatus.BACKING_OFF, StepStatus.WAITING, StepStatus.UNKNOWN)
MOST_NAMED = 5  # steps that a refusal names
STATES: Mapping[StepStatus, str] = {
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
UNDO_MAY_BE_SENT_AGAIN = (UNDO_BACKING_OFF, StepStatus.COMPENSATION_FAILED)


def apply(deciding: Deciding, verb: Verb) -> None:
    """Raises NotAllowed and its kinds, NoSuchStep, and UnknownSignal."""
    match verb:
        case CompensationAsked() | CancelAsked():
            _ask_back(deciding, verb)
        case RetryAsked():
            _demand(deciding.saga, "retry")
            parked = deciding.saga.state.status is SagaStatus.PARKED
            _retry_parked(deciding, verb) if parked else _hurry(deciding, verb)
        case PauseAsked():
            _pause(deciding, verb)
        case ResumeAsked():
            if not verb.by_parent:
                _demand(deciding.saga, "resume")
            _resume(deciding, verb)
        case AbandonAsked():
            _demand(deciding.saga, "abandon")
            _abandon(deciding, verb)
        case SkipAsked():
            _skip(deciding, verb)
        case ResolveAsked():
            _resolve(deciding, verb)
        case SignalSent():
            _hear(deciding, verb)
        case _:
            assert_never(verb)


def trials(saga: Saga) -> Iterator[tuple[str, Iterable[Verb]]]:
    """Yield what can be asked with each verb; of steps only where it is possible of any."""
    yield "compensate", [CompensationAsked()]
    yield "cancel", [CancelAsked()]
    yield "retry", _of_each_step(saga, "retry", _retries)
    yield "pause", [PauseAsked()]
    yield "resume", [ResumeAsked()]
    yield "abandon", [AbandonAsked(reason="tried", children=ChildPolicy.LEAVE)]
    yield "skip", _of_each_step(saga, "skip", _skips)
    yield "resolve", _of_each_step(saga, "resolve", _verdicts)
    yield "signal", [SignalSent(name=name) for name in saga.definition.signals]


def _of_each_step(saga: Saga, verb: str, asks: Callable[[Saga], Iterator[Verb]]) -> Iterable[Verb]:
    return asks(saga) if WHY_NOT[verb](saga) is None else ()


def _retries(saga: Saga) -> Iterator[RetryAsked]:
    yield RetryAsked()
    for step in saga.definition.steps:
        yield RetryAsked(step=step.name)


def _skips(saga: Saga) -> Iterator[Verb]:
    for step in saga.steps_in(StepStatus.PENDING):
        yield SkipAsked(step=step.name)


def _verdicts(saga: Saga) -> Iterator[ResolveAsked]:
    for step, state in saga.steps:
        output = state.output or {}
        for verdict in Resolution:
            yield ResolveAsked(step=step.name, verdict=verdict, evidence="tried", output=output)


def instead_of(asked: Happening, saga: Saga) -> Iterator[Verb]:
    """Yield what may be asked instead of a retry or a verdict that a parked saga refuses."""
    match asked:
        case RetryAsked():
            yield from _retries(saga)
            yield from _verdicts(saga)
        case ResolveAsked(step=step):
            verdicts = list(_verdicts(saga))
            of_step = [one for one in verdicts if one.step == step]
            yield from of_step
            yield from (one for one in verdicts if one.step != step)


def described(saga: Saga, verbs: Iterable[Verb]) -> tuple[str, ...]:
    """Say what `verbs` ask for, in the words of their requests; not more than MOST_NAMED steps."""
    said: dict[str, list[str]] = {}
    for verb in verbs:
        match verb:
            case RetryAsked(step=None):
                said["retry"] = []
            case RetryAsked(step=step):
                said[f'retry with {{"step": "{step}"}}'] = []
            case ResolveAsked(step=step, verdict=verdict):
                is_done = saga.status_of(step) is StepStatus.SUCCEEDED
                supplies = is_done and verdict is Resolution.DONE
                outcome = f"{verdict} and its output" if supplies else verdict
                said.setdefault(f"resolve of {step} with outcome", []).append(outcome)
    words = [" ".join([what, " or ".join(outcomes)]).rstrip() for what, outcomes in said.items()]
    return tuple(words[:MOST_NAMED])


def demand_effect(before: Saga, asked: Happening, deciding: Deciding) -> None:
    """Refuse a retry that would do no more than park the saga again for the same reason, and an
    output that lacks what is needed of it."""
    parked = before.state.parked
    if parked is None:
        return
    match asked, deciding.events:
        case RetryAsked(), [SagaUnparked(accepted=()), SagaParked(reason=why)] if why == parked.why:
            _refuse_to_park_again(before, "retry", why)
        case ResolveAsked(), [StepResolved(), SagaUnparked(), SagaParked() as again]:
            if _gives_output(asked) and _lacks_what_is_needed(asked.step, again, deciding, parked):
                _refuse_to_park_again(before, "resolve", again.reason)


def _lacks_what_is_needed(step: str, again: SagaParked, deciding: Deciding, parked: Parked) -> bool:
    """Whether the saga parks `again` for the output of `step`, and not for that of another."""
    is_only_cause = again.without_output == (step,)
    is_still_cause = step in (again.without_output or ()) and again.reason == parked.why
    return step in deciding.lacking or is_only_cause or is_still_cause


def _gives_output(asked: ResolveAsked) -> bool:
    return asked.output is not None or asked.output_is_null


def _refuse_to_park_again(saga: Saga, verb: str, why: str) -> NoReturn:
    raise WouldParkAgain(saga.state.saga_id, verb, f"it would park again: {why}")


def _demand(saga: Saga, verb: str) -> None:
    if why := WHY_NOT[verb](saga):
        refusal = NotCompensatable if verb == "compensate" else NotAllowed
        raise refusal(saga.state.saga_id, verb, why)


def _ask_back(deciding: Deciding, asked: Asked) -> None:
    """Asking again changes nothing. While a pivot is in doubt, its outcome decides."""
    saga = deciding.saga
    verb = "cancel" if isinstance(asked, CancelAsked) else "compensate"
    if saga.state.status in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED):
        if verb == "cancel" and saga.state.paused_at is not None:
            _resume(deciding, asked)
        return
    _demand(saga, verb)
    request = CompensationRequested(actor=asked.actor, reason=asked.reason)
    if saga.state.status is SagaStatus.RUNNING and saga.pivot_in_doubt:
        if saga.state.asked_back is None or saga.state.paused_at is not None:
            deciding.record(request)
            deciding.command_children()
    else:
        deciding.turn_back(turned_back_on(request))


def _pause(deciding: Deciding, asked: PauseAsked) -> None:
    """Record a pause, of the parent's or of the saga's own: the two are ended separately."""
    state = deciding.saga.state
    if not (state.paused_by_parent if asked.by_parent else state.paused_by_operator):
        _demand(deciding.saga, "pause")
        by_parent = asked.by_parent
        deciding.record(SagaPaused(actor=asked.actor, reason=asked.reason, by_parent=by_parent))
        deciding.command_children()


def _resume(deciding: Deciding, asked: Asked) -> None:
    """End every pause of the saga; for its parent only the parent's."""
    state, parent_only = deciding.saga.state, isinstance(asked, ResumeAsked) and asked.by_parent
    actor, reason = asked.actor, asked.reason
    if state.paused_by_parent:
        deciding.record(SagaResumed(actor=actor, reason=reason, by_parent=True))
    if state.paused_by_operator and not parent_only:
        deciding.record(SagaResumed(actor=actor, reason=reason))
    deciding.command_children()


def _hurry(deciding: Deciding, asked: RetryAsked) -> None:
    """Call now what waits for its next try."""
    saga = deciding.saga
    named = None if asked.step is None else _step(saga, asked.step)
    if named is not None and (status := saga.status_of(named.name)) not in WAITS_TO_RETRY:
        _refuse(saga, "retry", f"{named.name} {STATES[status]}, and no next try of it waits")
    deciding.record(RetryRequested(step=asked.step, actor=asked.actor, reason=asked.reason))
    for step, state in deciding.saga.steps:
        if named is not None and step is not named:
            continue
        match deciding.saga.state.status, state.status:  # a call that cannot be made parks it
            case SagaStatus.RUNNING, StepStatus.BACKING_OFF:
                call_again(deciding, step, state)
            case SagaStatus.COMPENSATING, StepStatus.COMPENSATION_BACKING_OFF:
                deciding.call(step, Direction.COMPENSATION)


def _retry_parked(deciding: Deciding, asked: RetryAsked) -> None:
    """Call again all that failed, or what is named. A step that ended badly while the saga was
    parked turns it back instead, unless a pivot keeps it from that."""
    saga = deciding.saga
    if asked.step is not None:
        _retry_step(deciding, asked, _step(saga, asked.step))
    elif saga.state.cause is not None:
        failed = saga.steps_in(StepStatus.COMPENSATION_FAILED)
        _unpark(deciding, asked, undo_again=[step.name for step in failed])
    else:
        _unpark(deciding, asked, accepted=_named_losses(saga))
        if is_turning(deciding):
            return
        for step, state in saga.steps:
            if deciding.saga.state.status is SagaStatus.RUNNING:
                _call_forward(deciding, step, state)


def _retry_step(deciding: Deciding, asked: RetryAsked, step: Step) -> None:
    saga = deciding.saga
    state = saga.state.step(step.name)
    if saga.state.cause is not None:
        if state.status is not StepStatus.COMPENSATION_FAILED:
            why = f"{step.name} {STATES[state.status]}, and its compensation has not failed"
            _refuse(saga, "retry", why)
        _unpark(deciding, asked, undo_again=[step.name])
    elif state.status is StepStatus.SUCCEEDED:
        _demand_missing_output(saga, "retry", step)
        if step.action is None:
            why = f"{step.name} calls no participant; supply its output with a resolve"
            _refuse(saga, "retry", why)
        if (reader := _sent_again_with(saga, step)) is not None:
            why = f"{reader} may be sent again, and is made of the output of {step.name} as it is"
            _refuse(saga, "retry", why)
        if (read := _changed_since(saga, step, state)) is not None:
            why = f"{step.name} was called before the output of {read} was changed"
            _refuse(saga, "retry", f"{why}, so the same key would carry another request")
        _unpark(deciding, asked)
        deciding.call_for_output(step)
    else:
        _unpark(deciding, asked)
        if is_turning(deciding) or not _call_forward(deciding, step, state):
            why = f"{step.name} {STATES[state.status]}, and its call is not one to be repeated"
            _refuse(saga, "retry", why)


def _call_forward(deciding: Deciding, step: Step, state: StepState) -> bool:
    """Call the step again if a retry is for it; return whether it is."""
    if state.status is StepStatus.BACKING_OFF:
        call_again(deciding, step, state)
    elif is_called_again(deciding.saga, step, state.status):
        deciding.begin(step)
    elif step.wait_for is not None and state.until is not None and state.until <= deciding.now:
        deciding.await_signal(step)
    else:
        return False
    return True


def _named_losses(saga: Saga) -> list[str]:
    """Return the steps whose lost outputs the saga was parked for; all if its event names none."""
    parked = saga.state.parked
    named = None if parked is None else parked.without_output
    lost = [step.name for step, state in saga.steps if is_lost(saga, state)]
    return lost if named is None else [name for name in lost if name in named]


def _demand_missing_output(saga: Saga, verb: str, step: Step) -> None:
    """Refuse to change the output of a done step that the saga is not parked for. An event of
    schema version 1 does not say which that is, and leaves it to the operator."""
    parked = saga.state.parked
    named = None if parked is None else parked.without_output
    if named is not None and step.name not in named:
        _refuse(saga, verb, f"{step.name} is done, and the saga is not parked for its output")


def _sent_again_with(saga: Saga, step: Step) -> str | None:
    """Return a step whose request reads of `step`, and was sent without a definite answer."""
    for other, direction in _may_be_sent_again(saga):
        read = call_of(other, direction).steps_read
        if other is not step and (read is None or step.name in read):
            return other.name
    return None


def _changed_since(saga: Saga, step: Step, state: StepState) -> str | None:
    """Return a step that the request of `step` reads, and whose output was changed since."""
    assert step.action is not None
    assert state.finished_at is not None
    read = step.action.steps_read
    for name, other in saga.state.steps.items():
        changed = other.output_changed_at
        if (read is None or name in read) and changed is not None and changed >= state.finished_at:
            return name
    return None


def _may_be_sent_again(saga: Saga) -> Iterator[tuple[Step, Direction]]:
    for step, state in saga.steps:
        waits_to_retry = state.status is StepStatus.BACKING_OFF
        if waits_to_retry and not state.may_have_happened:
            continue
        if step.action is not None and state.attempts and state.status in MAY_BE_SENT_AGAIN:
            yield step, Direction.ACTION
        if step.compensation is not None and state.status in UNDO_MAY_BE_SENT_AGAIN:
            yield step, Direction.COMPENSATION


def _unpark(
    deciding: Deciding,
    asked: Asked,
    *,
    accepted: Iterable[str] = (),
    undo_again: Iterable[str] = (),
) -> None:
    deciding.record(
        SagaUnparked(
            back=deciding.saga.state.cause is not None,
            actor=asked.actor,
            reason=asked.reason,
            accepted=tuple(accepted),
            undo_again=tuple(undo_again),
        )
    )


def _abandon(deciding: Deciding, asked: AbandonAsked) -> None:
    """What is under way is given up too: what may have taken effect stays, and is named."""
    children = children_under_way(deciding.saga)
    if children and asked.children is None:
        raise ChildrenUnderWay(deciding.saga.state.saga_id, children)
    for step, state in deciding.saga.steps:
        if (end := given_up(step, state)) is not None:
            deciding.record(end)
    saga = deciding.saga
    back = saga.state.cause is not None
    deciding.record(
        SagaAbandoned(
            reason=asked.reason or "",
            actor=asked.actor,
            not_done=() if back else saga.not_done,
            not_undone=saga.not_undone,
            children=tuple(children),
            children_cancelled=bool(children) and asked.children is ChildPolicy.CANCEL,
        )
    )
    deciding.command_children()


def _skip(deciding: Deciding, asked: SkipAsked) -> None:
    """Leave out a pending step. A parked saga goes on: it may have been parked for that step."""
    step = _step(deciding.saga, asked.step)
    status = deciding.saga.status_of(step.name)
    _demand(deciding.saga, "skip")
    if status is not StepStatus.PENDING:
        _refuse(
            deciding.saga,
            "skip",
            f"{step.name} {STATES[status]}, and only a pending step is skipped",
        )
    deciding.record(StepSkipped(step=step.name, actor=asked.actor, reason=asked.reason))
    if deciding.saga.state.status is SagaStatus.PARKED:
        _unpark(deciding, asked)


def _resolve(deciding: Deciding, asked: ResolveAsked) -> None:
    step = _step(deciding.saga, asked.step)
    _demand(deciding.saga, "resolve")
    status = deciding.saga.status_of(step.name)
    if not is_step_trigger(status, f"resolve_{asked.verdict}"):
        why = f"{step.name} {STATES[status]}, so its outcome cannot be {asked.verdict}"
        _refuse(deciding.saga, "resolve", why)
    if asked.verdict is Resolution.UNDONE and deciding.saga.state.cause is None:
        _refuse(deciding.saga, "resolve", "it is on its way forward, where nothing is undone")
    supplies = asked.verdict is Resolution.DONE and status is StepStatus.SUCCEEDED
    if supplies:
        _demand_supply(deciding.saga, asked, step)
    before = deciding.saga
    deciding.record(
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
        _demand_same_requests(before, deciding.saga, step)
    _unpark(deciding, asked)
    forward = deciding.saga.state.status is SagaStatus.RUNNING and deciding.saga.pivot_passed
    if forward and asked.verdict is Resolution.NOT_DONE:
        deciding.begin(step)


def _demand_supply(saga: Saga, asked: ResolveAsked, step: Step) -> None:
    _demand_missing_output(saga, "resolve", step)
    if not _gives_output(asked):
        _refuse(saga, "resolve", f"{step.name} is done; give the output that is missing")


def _demand_same_requests(before: Saga, after: Saga, step: Step) -> None:
    """Refuse an output that changes a request which may be sent again with the same key."""
    for other, direction in _may_be_sent_again(before):
        if _request(before, other, direction) != _request(after, other, direction):
            why = f"{other.name} may be sent again, and that output would change its request"
            _refuse(before, "resolve", f"{why}; decide about {other.name} first")


def _hear(deciding: Deciding, signal: SignalSent) -> None:
    """A signal that is there already, by its name and key, changes nothing."""
    if (signal.name, signal.key) in deciding.saga.state.signal_keys:
        return
    _demand(deciding.saga, "signal")
    saga_id, known = deciding.saga.state.saga_id, deciding.saga.definition.signals
    if signal.name not in known:
        raise UnknownSignal(saga_id, signal.name, sorted(known))
    kept = sum(one.name == signal.name for one in deciding.saga.state.signals)
    if kept >= MOST_SIGNALS:
        why = f"{MOST_SIGNALS} signals {signal.name} are kept already, and no step has taken them"
        raise TooManySignals(saga_id, "signal", why)
    deciding.record(
        SignalReceived(name=signal.name, body=signal.body, key=signal.key, actor=signal.actor)
    )


def _step(saga: Saga, name: str) -> Step:
    if (step := saga.definition.by_name.get(name)) is None:
        raise NoSuchStep(saga.state.saga_id, name)
    return step


def _refuse(saga: Saga, verb: str, why: str) -> NoReturn:
    raise NotAllowed(saga.state.saga_id, verb, why)


def _request(saga: Saga, step: Step, direction: Direction) -> CallParticipant | None:
    try:
        return prepare_again(saga, step, direction, attempt=1)
    except ExpressionError:
        return None


def _not_undoable(saga: Saga) -> str | None:
    status = saga.state.status
    if saga.pivot_passed:
        return "a pivot was passed, so it only goes forward"
    if status is SagaStatus.ABANDONED:
        return "it was abandoned"
    if status is SagaStatus.PARKED and saga.state.cause is not None:
        return "it is parked on its way back"
    if status is SagaStatus.PARKED and saga.pivot_in_doubt:
        return "whether its pivot happened is unknown"
    if status in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED):
        return f"it is {status}"
    return None


def _not_cancellable(saga: Saga) -> str | None:
    done = saga.state.status is SagaStatus.COMPLETED
    return "it is completed; compensate it instead" if done else _not_undoable(saga)


def _not_retryable(saga: Saga) -> str | None:
    if saga.state.status is SagaStatus.PARKED:
        return None
    if saga.state.paused_at is not None:
        return "it is paused"
    waits = not saga.state.status.rests and saga.steps_in(*WAITS_TO_RETRY)
    return None if waits else "nothing is parked, and nothing waits for its next try"


def _not_pausable(saga: Saga) -> str | None:
    if saga.state.status.rests:
        return f"it is {saga.state.status}"
    return None


def _not_resumable(saga: Saga) -> str | None:
    return "it is not paused" if saga.state.paused_at is None else None


def _not_abandonable(saga: Saga) -> str | None:
    status = saga.state.status
    over = status.rests and status is not SagaStatus.PARKED
    return f"it is {status}" if over else None


def _not_skippable(saga: Saga) -> str | None:
    status = saga.state.status
    if status.rests and status is not SagaStatus.PARKED:
        return f"it is {status}"
    if saga.state.cause is not None:
        return "it is on its way back, where nothing is skipped"
    return None if saga.steps_in(StepStatus.PENDING) else "no step of it is pending"


def _not_resolvable(saga: Saga) -> str | None:
    parked = saga.state.status is SagaStatus.PARKED
    return None if parked else "it is not parked, so nothing waits for a verdict"


def _not_audible(saga: Saga) -> str | None:
    return f"it is {saga.state.status}" if saga.state.status.rests else None


WHY_NOT: Mapping[str, Callable[[Saga], str | None]] = {
    "compensate": _not_undoable,
    "cancel": _not_cancellable,
    "retry": _not_retryable,
    "pause": _not_pausable,
    "resume": _not_resumable,
    "abandon": _not_abandonable,
    "skip": _not_skippable,
    "resolve": _not_resolvable,
    "signal": _not_audible,
}
