"""What people ask of a saga: what is legal now, and what is recorded of it.

Each verb has one line in WHY_NOT, which says why it is not possible now, or None; `allowed_actions`
is the rest of the table. Each is an event with actor and reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

from .consequence import given_up
from .deciding import Deciding
from .definition import Step
from .errors import NoSuchStep, NotAllowed, NotCompensatable
from .events import (
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
from .forward import FAILED, turned_back_on
from .happening import (
    AbandonAsked,
    Asked,
    CancelAsked,
    CompensationAsked,
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
from .reaction import call_again
from .saga import Saga
from .step_state import StepState

UNDO_BACKING_OFF = StepStatus.COMPENSATION_BACKING_OFF
MOST_SIGNALS = 100  # that no step has waited for yet
WAITS_TO_RETRY = (StepStatus.BACKING_OFF, StepStatus.COMPENSATION_BACKING_OFF)


def apply(deciding: Deciding, verb: Verb) -> None:
    """Raises NotAllowed and its kind NotCompensatable, and NoSuchStep."""
    match verb:
        case CompensationAsked() | CancelAsked():
            _ask_back(deciding, verb)
        case RetryAsked():
            _demand(deciding.saga, "retry")
            _retry(deciding, verb)
        case PauseAsked():
            if deciding.saga.state.paused_at is None:
                _demand(deciding.saga, "pause")
                deciding.record(SagaPaused(actor=verb.actor, reason=verb.reason))
        case ResumeAsked():
            _demand(deciding.saga, "resume")
            deciding.record(SagaResumed(actor=verb.actor, reason=verb.reason))
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


def allowed_actions(saga: Saga) -> tuple[str, ...]:
    """The verbs that are legal now."""
    return tuple(verb for verb, why_not in WHY_NOT.items() if why_not(saga) is None)


def _demand(saga: Saga, verb: str) -> None:
    if why := WHY_NOT[verb](saga):
        refusal = NotCompensatable if verb == "compensate" else NotAllowed
        raise refusal(saga.state.saga_id, verb, why, allowed_actions(saga))


def _ask_back(deciding: Deciding, asked: Asked) -> None:
    """Asking again changes nothing. While a pivot is in doubt, its outcome decides."""
    saga = deciding.saga
    verb = "cancel" if isinstance(asked, CancelAsked) else "compensate"
    if saga.state.status in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED):
        return
    _demand(saga, verb)
    request = CompensationRequested(actor=asked.actor, reason=asked.reason)
    if saga.state.status is SagaStatus.RUNNING and saga.pivot_in_doubt:
        if saga.state.asked_back is None:
            deciding.record(request)
    else:
        deciding.turn_back(turned_back_on(request))


def _retry(deciding: Deciding, asked: Asked) -> None:
    """What had failed, or waits for its next try, is called now; failed undos one by one."""
    if deciding.saga.state.status is SagaStatus.PARKED:
        _unpark(deciding, asked)
    else:
        deciding.record(RetryRequested(actor=asked.actor, reason=asked.reason))
    for step, state in deciding.saga.steps:
        match deciding.saga.state.status:  # a call that cannot be made parks it again
            case SagaStatus.RUNNING:
                _retry_forward(deciding, step, state)
            case SagaStatus.COMPENSATING if state.status is UNDO_BACKING_OFF:
                deciding.call(step, Direction.COMPENSATION)


def _retry_forward(deciding: Deciding, step: Step, state: StepState) -> None:
    if state.status is StepStatus.BACKING_OFF:
        call_again(deciding, step, state)
    elif state.status in FAILED:
        deciding.begin(step)
    elif step.wait_for is not None and state.until is not None and state.until <= deciding.now:
        deciding.await_signal(step)


def _unpark(deciding: Deciding, asked: Asked) -> None:
    back = deciding.saga.state.cause is not None
    deciding.record(SagaUnparked(back=back, actor=asked.actor, reason=asked.reason))


def _abandon(deciding: Deciding, asked: Asked) -> None:
    """What is under way is given up too: what may have taken effect stays, and is named."""
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
        )
    )


def _skip(deciding: Deciding, asked: SkipAsked) -> None:
    step = _step(deciding.saga, asked.step)
    status = deciding.saga.status_of(step.name)
    _demand(deciding.saga, "skip")
    if status is not StepStatus.PENDING:
        _refuse(deciding.saga, "skip", f"{step.name} is {status}, not pending")
    deciding.record(StepSkipped(step=step.name, actor=asked.actor, reason=asked.reason))


def _resolve(deciding: Deciding, asked: ResolveAsked) -> None:
    step = _step(deciding.saga, asked.step)
    _demand(deciding.saga, "resolve")
    status = deciding.saga.status_of(step.name)
    if not is_step_trigger(status, f"resolve_{asked.verdict}"):
        _refuse(deciding.saga, "resolve", f"{step.name} is {status}, which is not {asked.verdict}")
    if asked.verdict is Resolution.UNDONE and deciding.saga.state.cause is None:
        _refuse(deciding.saga, "resolve", "it is on its way forward, where nothing is undone")
    deciding.record(
        StepResolved(
            step=step.name,
            verdict=asked.verdict,
            evidence=asked.evidence,
            output=asked.output,
            actor=asked.actor,
            reason=asked.reason,
        )
    )
    _unpark(deciding, asked)
    forward = deciding.saga.state.status is SagaStatus.RUNNING and deciding.saga.pivot_passed
    if forward and asked.verdict is Resolution.NOT_DONE:
        deciding.begin(step)


def _hear(deciding: Deciding, signal: SignalSent) -> None:
    """A signal that is there already, by its name and key, changes nothing."""
    if (signal.name, signal.key) in deciding.saga.state.signal_keys:
        return
    _demand(deciding.saga, "signal")
    if len(deciding.saga.state.signals) >= MOST_SIGNALS:
        _refuse(deciding.saga, "signal", f"{MOST_SIGNALS} signals wait already")
    deciding.record(
        SignalReceived(name=signal.name, body=signal.body, key=signal.key, actor=signal.actor)
    )


def _step(saga: Saga, name: str) -> Step:
    if (step := saga.definition.by_name.get(name)) is None:
        raise NoSuchStep(saga.state.saga_id, name)
    return step


def _refuse(saga: Saga, verb: str, why: str) -> None:
    raise NotAllowed(saga.state.saga_id, verb, why, allowed_actions(saga))


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
    return "it is paused" if saga.state.paused_at is not None else None


def _not_resumable(saga: Saga) -> str | None:
    return "it is not paused" if saga.state.paused_at is None else None


def _not_abandonable(saga: Saga) -> str | None:
    status = saga.state.status
    over = status.rests and status is not SagaStatus.PARKED
    return f"it is {status}" if over else None


def _not_skippable(saga: Saga) -> str | None:
    pending = saga.steps_in(StepStatus.PENDING)
    forward = saga.state.status in (SagaStatus.PENDING, SagaStatus.RUNNING)
    return None if forward and pending else "no step of it is pending"


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
