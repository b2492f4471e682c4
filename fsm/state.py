"""The state of a saga: its events, applied one by one.

`evolve` accepts every event that its machine allows and refuses the others as corruption; it never
judges whether an event should have happened. The state holds no definition: a step without events
is pending."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from .errors import CorruptStream
from .events import (
    Cause,
    CompensationCalled,
    CompensationRequested,
    CompensationStarted,
    CompletionWebhookDelivered,
    Event,
    ForwardedInputApplied,
    Parent,
    RetryRequested,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaFact,
    SagaParked,
    SagaPaused,
    SagaResumed,
    SagaStarted,
    SagaUnparked,
    ScheduledStartReached,
    SignalReceived,
    StatusQueried,
    StepCalled,
    StepConfirmedNotExecuted,
    StepEvent,
    StepFact,
    StepSucceeded,
)
from .formats.strict_json import Json, JsonObject
from .machines import IllegalTransition, SagaStatus, StepStatus, next_saga_status
from .step_state import UNTOUCHED, StepState, step_after


class Parked(Struct, frozen=True, gc=False, kw_only=True):
    """The reason why a saga is parked, and the time since when. `without_output` as in
    `SagaParked`."""

    reason: str
    since: datetime
    without_output: tuple[str, ...] | None = ()


CALL_INTENTS = (StepCalled, StatusQueried, CompensationCalled)


class Unrecorded(Struct, frozen=True, gc=False):
    """The unrecorded events of a step, and the step as recorded, from which they lead to its state.

    Repetitions without news are not recorded; until the next record this process alone knows them.
    """

    recorded: StepState
    events: tuple[StepFact, ...] = ()


class SagaState(Struct, frozen=True, gc=False, kw_only=True):
    """The state of a saga after the event of `version`. `finished` names steps in order of
    completion.

    `rest_version` is the version at which the saga last came to rest, `notified_version` the one
    that the receiver of `callback_url` has acknowledged. Two members are known to the process and
    not in the log: `reply_deadlines`, the times until which the process awaits replies to calls
    that a crashed process sent; and `unrecorded`, repetitions without news.
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
    steps: dict[str, StepState]
    version: int = 1
    finished: tuple[str, ...] = ()
    error: str | None = None
    cause: Cause | None = None
    parked: Parked | None = None
    compensation_requested: CompensationRequested | None = None
    compensation_decided_at: datetime | None = (
        None  # when it was first compensated, or requested to be
    )
    rest_version: int = 0
    notified_version: int = 0
    parent: Parent | None = None
    paused_at: datetime | None = None
    paused_by_operator: bool = False
    paused_by_parent: bool = False
    signals: tuple[SignalReceived, ...] = ()  # that no step has consumed yet
    signal_keys: frozenset[tuple[str, str]] = frozenset()  # each with the name of its signal
    applied_message_ids: frozenset[str] = frozenset()  # of inputs from other nodes
    input_checked: bool = True  # the start has checked that it has all that expressions need
    all_losses_accepted: bool = False  # in histories that do not name the steps
    reply_deadlines: dict[str, datetime] = {}
    unrecorded: dict[str, Unrecorded] = {}

    @property
    def depth(self) -> int:
        """The number of sagas above this one."""
        return 0 if self.parent is None else self.parent.depth

    def step(self, name: str) -> StepState:
        return self.steps.get(name, UNTOUCHED)


def initial_state(saga_id: str, event: SagaStarted, at: datetime) -> SagaState:
    """Return the state after the first event."""
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
        input_checked=event.input_checked,
        created_at=at,
        updated_at=at,
        status=next_saga_status(SagaStatus.PENDING, event.trigger),
        steps={},
    )


def evolve(state: SagaState, event: Event, at: datetime) -> SagaState:
    """Return the state after `event`, which was recorded `at`. Raises CorruptStream."""
    try:
        if isinstance(event, StepEvent):
            return _after_step_event(state, event, at)
        return _after_saga_event(state, event, at)
    except IllegalTransition as error:
        raise CorruptStream(state.saga_id, state.version + 1, str(error)) from error


def as_recorded(state: SagaState) -> SagaState:
    """Return the state without what only its process knows."""
    if not (state.reply_deadlines or state.unrecorded):
        return state
    return replace(without_unrecorded(state), reply_deadlines={})


def without_unrecorded(state: SagaState) -> SagaState:
    """Return the state with its steps as recorded."""
    logged = {name: changes.recorded for name, changes in state.unrecorded.items()}
    return replace(state, steps={**state.steps, **logged}, unrecorded={})


def apply_unrecorded(state: SagaState, event: StepFact, at: datetime) -> SagaState:
    """Return the state after `event`, which is not recorded now. Raises CorruptStream.

    Of the unrecorded events of a step only the newest result is kept, with the intent before it if
    that is not recorded either.
    """
    name = event.step
    before = state.steps.get(name, UNTOUCHED)
    kept = state.unrecorded.get(name) or Unrecorded(before)
    try:
        after = step_after(before, event, at)
    except IllegalTransition as error:
        raise CorruptStream(state.saga_id, state.version + 1, str(error)) from error
    events = kept.events
    if not isinstance(event, CALL_INTENTS):
        events = tuple([first for first in events[:1] if isinstance(first, CALL_INTENTS)])
    unrecorded = Unrecorded(kept.recorded, (*events, event))
    return replace(
        state,
        steps={**state.steps, name: after},
        unrecorded={**state.unrecorded, name: unrecorded},
    )


class UnrecordedChanges(Struct, frozen=True, gc=False):
    """The unrecorded changes of a saga; they are void once its log passes `version`."""

    version: int
    steps: dict[str, StepState]
    unrecorded: dict[str, Unrecorded]


def unrecorded_changes_of(state: SagaState) -> UnrecordedChanges:
    steps = {name: state.steps[name] for name in state.unrecorded}
    return UnrecordedChanges(state.version, steps, state.unrecorded)


def with_unrecorded_changes(state: SagaState, kept: UnrecordedChanges) -> SagaState:
    """Return the recorded `state` with the unrecorded changes, unless the log has moved on."""
    if kept.version != state.version:
        return state
    return replace(state, steps={**state.steps, **kept.steps}, unrecorded=kept.unrecorded)


def record_unrecorded(state: SagaState, at: datetime) -> tuple[SagaState, list[StepFact]]:
    """Return the state once its unrecorded events are recorded, and these events."""
    events = [event for kept in state.unrecorded.values() for event in kept.events]
    recorded = without_unrecorded(state)
    for event in events:
        recorded = evolve(recorded, event, at)
    return recorded, events


def _after_step_event(state: SagaState, event: StepFact, at: datetime) -> SagaState:
    name = event.step
    before = state.steps.get(name, UNTOUCHED)
    after = step_after(before, event, at)
    if state.paused_at is not None and isinstance(event, StepConfirmedNotExecuted):
        after = replace(after, next_attempt_at=state.paused_at)
    finished, deadlines = state.finished, state.reply_deadlines
    if (before.finished_at is None) is not (after.finished_at is None):
        finished = (*finished, name) if after.finished_at else _without(finished, name)
    if name in deadlines and not (after.status is StepStatus.CALLING or after.output_awaited):
        deadlines = {other: due for other, due in deadlines.items() if other != name}
    consumed = event.signal if isinstance(event, StepSucceeded) else None
    return replace(
        state,
        version=state.version + 1,
        updated_at=at,
        steps={**state.steps, name: after},
        finished=finished,
        signals=state.signals if consumed is None else _without_first(state.signals, consumed),
        reply_deadlines=deadlines,
    )


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple([other for other in names if other != name])


def _without_first(signals: tuple[SignalReceived, ...], name: str) -> tuple[SignalReceived, ...]:
    first = next((i for i, signal in enumerate(signals) if signal.name == name), len(signals))
    return signals[:first] + signals[first + 1 :]


def _after_saga_event(  # noqa: C901 - a table, one line of thought an event
    before: SagaState, event: SagaFact, at: datetime
) -> SagaState:
    status, version = next_saga_status(before.status, event.trigger), before.version + 1
    comes_to_rest = status.is_at_rest and not before.status.is_at_rest
    state = replace(
        before,
        status=status,
        version=version,
        updated_at=at,
        rest_version=version if comes_to_rest else before.rest_version,
    )
    match event:
        case SagaCompleted() | SagaCompensated() | ScheduledStartReached() | RetryRequested():
            return state
        case SagaStarted():
            raise CorruptStream(state.saga_id, version, "a saga starts once")
        case CompensationRequested():
            turned_at = state.compensation_decided_at or at
            return replace(
                _resumed(state, at), compensation_requested=event, compensation_decided_at=turned_at
            )
        case CompensationStarted(cause=cause, error=error):
            return replace(
                _unpaused(state),
                cause=cause,
                error=error,
                parked=None,
                compensation_requested=None,
                compensation_decided_at=state.compensation_decided_at or at,
            )
        case SagaParked(reason=reason, without_output=without_output):
            parked = Parked(reason=reason, since=at, without_output=without_output)
            return replace(state, parked=parked, error=state.error or reason)
        case SagaUnparked():
            return _unparked(state, event, at)
        case SagaPaused(by_parent=True):
            return replace(state, paused_at=state.paused_at or at, paused_by_parent=True)
        case SagaPaused():
            return replace(state, paused_at=state.paused_at or at, paused_by_operator=True)
        case SagaResumed(by_parent=True) if state.paused_by_operator:
            return replace(state, paused_by_parent=False)
        case SagaResumed(by_parent=False) if state.paused_by_parent:
            return replace(state, paused_by_operator=False)
        case SagaResumed():
            return _resumed(state, at)
        case SagaAbandoned():
            return _abandoned(state, event)
        case SignalReceived(name=name, key=key):
            keys = state.signal_keys if key is None else state.signal_keys | {(name, key)}
            return replace(state, signals=(*state.signals, event), signal_keys=keys)
        case ForwardedInputApplied(message_id=message_id):
            return replace(state, applied_message_ids=state.applied_message_ids | {message_id})
        case CompletionWebhookDelivered(rested_version=rested_version):
            return replace(state, notified_version=max(rested_version, state.notified_version))
        case _:
            assert_never(event)


def _unparked(state: SagaState, event: SagaUnparked, at: datetime) -> SagaState:
    """Return the saga as it goes on: forward it has no error any more, and no past deadline."""
    over = state.deadline is not None and state.deadline <= at
    return replace(
        state,
        parked=None,
        error=state.error if event.back else None,
        deadline=None if over else state.deadline,
        all_losses_accepted=state.all_losses_accepted or event.accepted is None,
        steps={name: _unparked_step(step, name, event) for name, step in state.steps.items()},
    )


def _unparked_step(step: StepState, name: str, event: SagaUnparked) -> StepState:
    """Return the step with what the operator has decided about it."""
    failed = step.status is StepStatus.COMPENSATION_FAILED
    if failed and (event.undo_again is None or name in event.undo_again):
        return replace(step, compensation_retry_requested=True)
    if event.accepted is not None and name in event.accepted:
        return replace(step, loss_accepted=True)
    return step


def _abandoned(state: SagaState, event: SagaAbandoned) -> SagaState:
    steps = state.steps
    if event.children_cancelled:
        steps = {
            name: replace(step, child_cancelled=True) if step.child_id in event.children else step
            for name, step in steps.items()
        }
    error = state.error or f"abandoned: {event.reason}"
    return replace(_unpaused(state), parked=None, error=error, steps=steps)


def _unpaused(state: SagaState) -> SagaState:
    return replace(state, paused_at=None, paused_by_operator=False, paused_by_parent=False)


def _resumed(state: SagaState, at: datetime) -> SagaState:
    """Postpone all times by the length of the pause, during which the clocks of the saga were
    stopped."""
    by = at - (state.paused_at or at)
    return replace(
        _unpaused(state),
        deadline=state.deadline and state.deadline + by,
        start_at=state.start_at and state.start_at + by,
        steps={name: step.postponed(by) for name, step in state.steps.items()},
    )
