"""What a history says: events folded, one by one, into the state of a saga.

`evolve` accepts every event that its machine allows and refuses the others as corruption; it never
asks whether an event was wise. The state holds no definition: a step nobody has touched is pending.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from .errors import CorruptStream
from .events import (
    CallbackDelivered,
    CallbackReceived,
    Cause,
    CompensationBackedOff,
    CompensationCalled,
    CompensationCovered,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    LateReplyIgnored,
    MessageTaken,
    Parent,
    Resolution,
    RetryRequested,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaFact,
    SagaFellDue,
    SagaParked,
    SagaPaused,
    SagaResumed,
    SagaStarted,
    SagaUnparked,
    SignalReceived,
    StatusAsked,
    StepAccepted,
    StepBackedOff,
    StepCalled,
    StepEvent,
    StepFact,
    StepFoundNotDone,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from .frozen import changed
from .machines import (
    IllegalTransition,
    SagaStatus,
    StepStatus,
    next_saga_status,
    next_step_status,
)
from .outcome import Outcome, OutputLoss
from .parked import Parked
from .strict_json import Json, JsonObject

FREE = (Outcome.BUSY, Outcome.THROTTLED, Outcome.HELD)  # what uses no attempt up


@dataclass(frozen=True, kw_only=True)
class StepState:
    """`doubtful`: an attempt ended unknown, so the action may have happened whatever came later.
    `was_busy`: one was still at it. `asking`: what is called is not the action but its status.

    `next_attempt_at` is when it must be looked at again, `until` when its waiting is over.
    `floor` and `compensation_floor` are the attempts that were used up before a person's retry.
    """

    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    floor: int = 0
    compensation_attempts: int = 0
    compensation_floor: int = 0
    undo_again: bool = False  # its compensation had failed, and a person wants it tried again
    last_outcome: Outcome | None = None  # of the attempt that is backed off from
    doubtful: bool = False
    was_busy: bool = False
    asking: bool = False
    polls: int = 0
    signal: str | None = None  # that it waits for
    child_id: str | None = None
    callback: CallbackReceived | None = None  # that came before its time
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
    until: datetime | None = None
    last_error: str | None = None
    output: Json = None
    output_loss: OutputLoss | None = None

    @property
    def next_attempt(self) -> int:
        """Of the action. Busy and throttled use no attempt up."""
        return self.attempts + self._uses_up(StepStatus.BACKING_OFF)

    @property
    def next_compensation_attempt(self) -> int:
        return self.compensation_attempts + self._uses_up(StepStatus.COMPENSATION_BACKING_OFF)

    def _uses_up(self, backing_off: StepStatus) -> bool:
        repeats = self.last_outcome in FREE
        return not (self.status is backing_off and repeats)

    def put_off(self, by: timedelta) -> StepState:
        """All that it waits for comes later."""
        return changed(
            self,
            next_attempt_at=self.next_attempt_at and self.next_attempt_at + by,
            until=self.until and self.until + by,
        )


@dataclass(frozen=True, kw_only=True)
class SagaState:
    """`version` is that of the last event folded; `finished` names steps in order of completion.

    `rested_version` is that of the event by which it last came to rest, `told_version` that of
    which its callback was told.
    """

    saga_id: str
    saga_type: str
    definition_version: int
    entity_id: Json
    input: JsonObject
    tags: Mapping[str, str]
    callback_url: str | None
    deadline: datetime | None
    start_at: datetime | None
    created_at: datetime
    updated_at: datetime
    status: SagaStatus
    version: int = 1
    steps: Mapping[str, StepState] = field(default_factory=dict)
    finished: tuple[str, ...] = ()
    error: str | None = None
    cause: Cause | None = None
    parked: Parked | None = None
    asked_back: CompensationRequested | None = None
    rested_version: int = 0
    told_version: int = 0
    parent: Parent | None = None
    paused_at: datetime | None = None
    signals: tuple[SignalReceived, ...] = ()  # that no step has waited for yet
    signal_keys: frozenset[tuple[str, str]] = frozenset()  # with the names that they are of
    messages: frozenset[str] = frozenset()  # that were taken from other nodes
    losses_accepted: bool = False  # a person goes on without the outputs that were lost

    def step(self, name: str) -> StepState:
        return self.steps.get(name, UNTOUCHED)


UNTOUCHED = StepState()


def begin(saga_id: str, event: SagaStarted, at: datetime) -> SagaState:
    """The state after the first event."""
    return SagaState(
        saga_id=saga_id,
        saga_type=event.saga_type,
        definition_version=event.definition_version,
        entity_id=event.entity_id,
        input=event.input,
        tags=event.tags,
        callback_url=event.callback_url,
        deadline=event.deadline,
        start_at=event.start_at,
        parent=event.parent,
        created_at=at,
        updated_at=at,
        status=next_saga_status(SagaStatus.PENDING, event.trigger),
    )


def evolve(state: SagaState, event: Event, at: datetime) -> SagaState:
    """The state after `event`, which was recorded `at`. Raises CorruptStream."""
    try:
        if isinstance(event, StepEvent):
            return _evolve_step(state, event, at)
        return _evolve_saga(state, event, at)
    except IllegalTransition as error:
        raise CorruptStream(state.saga_id, state.version + 1, str(error)) from error


def _evolve_saga(  # noqa: C901 - a table, one line of thought an event
    state: SagaState, event: SagaFact, at: datetime
) -> SagaState:
    status, version = next_saga_status(state.status, event.trigger), state.version + 1
    moved = changed(state, status=status, version=version, updated_at=at)
    if status.rests and not state.status.rests:
        moved = changed(moved, rested_version=version)
    match event:
        case SagaStarted():
            raise CorruptStream(state.saga_id, moved.version, "a saga starts once")
        case CompensationRequested():
            return _resumed(changed(moved, asked_back=event), at)
        case CompensationStarted(cause=cause, error=error):
            back = changed(moved, cause=cause, error=error, parked=None, asked_back=None)
            return changed(back, paused_at=None)
        case SagaParked(why=why):
            parked = Parked(why=why, since=at)
            return changed(moved, parked=parked, error=state.error or why)
        case SagaUnparked(back=back):
            return _unparked(moved, at, back=back)
        case SagaPaused():
            return changed(moved, paused_at=state.paused_at or at)
        case SagaResumed():
            return _resumed(moved, at)
        case SagaAbandoned(reason=reason):
            error = state.error or f"abandoned: {reason}"
            return changed(moved, parked=None, paused_at=None, error=error)
        case SignalReceived(name=name, key=key):
            keys = state.signal_keys | ({(name, key)} if key is not None else set())
            return changed(moved, signals=(*state.signals, event), signal_keys=keys)
        case MessageTaken(message_id=message_id):
            return changed(moved, messages=state.messages | {message_id})
        case CallbackDelivered(rested_version=told):
            return changed(moved, told_version=max(told, state.told_version))
        case SagaFellDue() | SagaCompleted() | SagaCompensated() | RetryRequested():
            return moved
        case _:
            assert_never(event)


def _unparked(state: SagaState, at: datetime, *, back: bool) -> SagaState:
    """Forward it has no error any more, and no deadline that has passed."""
    over = state.deadline is not None and state.deadline <= at
    return changed(
        state,
        parked=None,
        error=state.error if back else None,
        deadline=None if over else state.deadline,
        losses_accepted=True,
        steps={name: _tried_again(step) for name, step in state.steps.items()},
    )


def _tried_again(step: StepState) -> StepState:
    if step.status is not StepStatus.COMPENSATION_FAILED:
        return step
    return changed(step, undo_again=True)


def _resumed(state: SagaState, at: datetime) -> SagaState:
    """The clocks of a paused saga have stood still."""
    by = at - (state.paused_at or at)
    return changed(
        state,
        paused_at=None,
        deadline=state.deadline and state.deadline + by,
        start_at=state.start_at and state.start_at + by,
        steps={name: step.put_off(by) for name, step in state.steps.items()},
    )


def _evolve_step(state: SagaState, event: StepFact, at: datetime) -> SagaState:
    before = state.step(event.step)
    after = step_after(before, event, at)
    if state.paused_at is not None and isinstance(event, StepFoundNotDone):
        after = changed(after, next_attempt_at=state.paused_at)
    finished, signals = state.finished, state.signals
    if after.finished_at is None and before.finished_at is not None:
        finished = tuple(name for name in finished if name != event.step)
    elif after.finished_at is not None and before.finished_at is None:
        finished = (*finished, event.step)
    if isinstance(event, StepSucceeded) and event.signal is not None:
        signals = _without_first(signals, event.signal)
    return changed(
        state,
        steps={**state.steps, event.step: after},
        finished=finished,
        signals=signals,
        version=state.version + 1,
        updated_at=at,
    )


def _without_first(signals: tuple[SignalReceived, ...], name: str) -> tuple[SignalReceived, ...]:
    place = next((place for place, one in enumerate(signals) if one.name == name), len(signals))
    return signals[:place] + signals[place + 1 :]


def step_after(  # noqa: C901 - a table, one line of thought an event
    step: StepState, event: StepFact, at: datetime
) -> StepState:
    """Raises IllegalTransition."""
    after = changed(step, status=next_step_status(step.status, _trigger(step, event)))
    match event:
        case StepCalled(attempt=attempt):
            return _called(step, after, attempt, at)
        case StatusAsked():
            return changed(after, asking=True, next_attempt_at=None)
        case StepSkipped():
            return changed(after, finished_at=at)
        case WaitStarted(until=until, signal=signal, child_id=child_id):
            waits = changed(after, started_at=step.started_at or at, next_attempt_at=until)
            anew = changed(waits, finished_at=None)
            return changed(anew, until=until, signal=signal, child_id=child_id)
        case StepAccepted(until=until, next_poll=next_poll):
            looked_at = min(next_poll or until, until)
            accepted = changed(after, asking=False, polls=step.polls + 1)
            return changed(accepted, until=until, next_attempt_at=looked_at)
        case StepSucceeded(output=output, output_loss=loss, error=error):
            return changed(
                after,
                finished_at=at,
                next_attempt_at=None,
                until=None,
                output=output,
                output_loss=loss,
                last_error=error,
            )
        case StepRejected() | StepUnknown() | StepNotSent():
            ended = changed(after, finished_at=at, next_attempt_at=None, until=None)
            in_doubt = step.doubtful or after.status is StepStatus.UNKNOWN
            return changed(ended, last_error=event.error, doubtful=in_doubt)
        case StepBackedOff() | StepFoundNotDone():
            return _backed_off(after, event, at)
        case CallbackReceived():
            return changed(after, callback=event)
        case LateReplyIgnored():
            return after
        case StepResolved(verdict=verdict, output=output):
            return _resolved(after, verdict, output, at)
        case CompensationCalled(attempt=attempt):
            again = step.status is StepStatus.COMPENSATION_FAILED
            floor = attempt - 1 if again else step.compensation_floor
            called = changed(after, compensation_attempts=attempt, compensation_floor=floor)
            return changed(called, next_attempt_at=None, undo_again=False)
        case CompensationBackedOff(outcome=outcome):
            waits = changed(after, last_outcome=outcome, last_error=event.error)
            return changed(waits, next_attempt_at=event.until)
        case CompensationFailed(error=error):
            return changed(after, last_error=error)
        case CompensationSucceeded() | CompensationCovered():
            return after
        case _:
            assert_never(event)


def _called(step: StepState, after: StepState, attempt: int, at: datetime) -> StepState:
    """One that had ended, and that a person wants tried again, has all its attempts once more."""
    again = step.finished_at is not None
    return changed(
        after,
        attempts=attempt,
        floor=attempt - 1 if again else step.floor,
        asking=False,
        callback=None if again else step.callback,
        started_at=step.started_at or at,
        finished_at=None,
        next_attempt_at=None,
    )


def _backed_off(
    after: StepState, event: StepBackedOff | StepFoundNotDone, at: datetime
) -> StepState:
    waits = changed(after, attempts=event.attempt, last_error=event.error, asking=False)
    if isinstance(event, StepFoundNotDone):
        sure = changed(waits, last_outcome=Outcome.NOT_DONE, doubtful=False, was_busy=False)
        return changed(sure, next_attempt_at=at)
    return changed(
        waits,
        last_outcome=event.outcome,
        doubtful=after.doubtful or event.resent or event.outcome is Outcome.UNKNOWN,
        was_busy=after.was_busy or event.outcome is Outcome.BUSY,
        next_attempt_at=event.until,
    )


def _resolved(after: StepState, verdict: Resolution, output: Json, at: datetime) -> StepState:
    match verdict:
        case Resolution.DONE:
            return changed(after, output=output, finished_at=at, last_error=None)
        case Resolution.NOT_DONE:
            return changed(after, finished_at=at, doubtful=False, was_busy=False)
        case Resolution.UNDONE:
            return after


def _trigger(step: StepState, event: StepFact) -> str:
    """A no, where an earlier try may have worked, leaves the step in doubt."""
    said_done = step.callback is not None and step.callback.done
    if isinstance(event, StepRejected) and (step.doubtful or event.resent or said_done):
        return "reject_in_doubt"
    return event.trigger
