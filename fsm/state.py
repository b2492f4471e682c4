"""The state of a saga: its events, applied one by one.

`evolve` accepts every event that its machine allows and refuses the others as corruption; it never
asks whether an event was wise. The state holds no definition: a step without events is pending."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_never

from msgspec import Struct
from msgspec.structs import force_setattr, replace

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


class Parked(Struct, frozen=True, kw_only=True):
    """`without_output` as of the event, None where that does not say."""

    reason: str
    since: datetime
    without_output: tuple[str, ...] | None = ()


NOT_PAUSED = {"paused_at": None, "paused_by_operator": False, "paused_by_parent": False}
PAUSED_BY = {True: "paused_by_parent", False: "paused_by_operator"}

CALL_INTENTS = (StepCalled, StatusQueried, CompensationCalled)
_set = force_setattr  # only `fold` does so, to a state that nobody else holds yet


class Unrecorded(Struct, frozen=True):
    """What a process knows of a step and has not recorded: `logged` is the step as the log has it,
    and `events` lead from there to what it is."""

    recorded: StepState
    events: tuple[StepFact, ...] = ()


class SagaState(Struct, frozen=True, kw_only=True):
    """`version` is that of the last event folded; `finished` names steps in order of completion.

    `rest_version` is that of the event by which it last came to rest, `notified_version` that of
    which its callback was told. Two are known to a process and not to the log: `unanswered`, the
    steps whose call a process that died had sent, which is waited for until then and not sent
    again; and `unrecorded`, what has been repeated without news since the log was written.
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
    compensation_decided_at: datetime | None = None  # when it first went back, or was asked to
    rest_version: int = 0
    notified_version: int = 0
    parent: Parent | None = None
    paused_at: datetime | None = None
    paused_by_operator: bool = False
    paused_by_parent: bool = False
    signals: tuple[SignalReceived, ...] = ()  # that no step has waited for yet
    signal_keys: frozenset[tuple[str, str]] = frozenset()  # with the names that they are of
    applied_message_ids: frozenset[str] = frozenset()  # that were taken from other nodes
    input_checked: bool = True  # at the start, for all that its expressions need
    all_losses_accepted: bool = False  # all of them, in histories that do not name them
    reply_deadlines: dict[str, datetime] = {}
    unrecorded: dict[str, Unrecorded] = {}

    @property
    def depth(self) -> int:
        """How many sagas stand above it."""
        return 0 if self.parent is None else self.parent.depth

    def step(self, name: str) -> StepState:
        return self.steps.get(name, UNTOUCHED)


def initial_state(saga_id: str, event: SagaStarted, at: datetime) -> SagaState:
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
        input_checked=event.input_checked,
        created_at=at,
        updated_at=at,
        status=next_saga_status(SagaStatus.PENDING, event.trigger),
        steps={},
    )


def evolve(state: SagaState, event: Event, at: datetime) -> SagaState:
    """The state after `event`, which was recorded `at`. Raises CorruptStream."""
    after = draft_of(state)
    apply_event(after, event, at)
    return after


def draft_of(state: SagaState) -> SagaState:
    """The same state, of which whoever asks is the only holder."""
    return replace(state, steps={**state.steps})


def as_recorded(state: SagaState) -> SagaState:
    """The same state, without what only its process knows."""
    if not (state.reply_deadlines or state.unrecorded):
        return state
    return replace(without_unrecorded(state), reply_deadlines={})


def without_unrecorded(state: SagaState) -> SagaState:
    """The same state, with its steps as the log has them."""
    logged = {name: one.recorded for name, one in state.unrecorded.items()}
    return replace(state, steps={**state.steps, **logged}, unrecorded={})


def apply_unrecorded(state: SagaState, event: StepFact, at: datetime) -> None:
    """Make `state`, which nobody else may hold, the one after `event`, which is not recorded now.

    Of what is kept of a step the newest answer counts, with the question before it, if the log does
    not have one. Raises CorruptStream.
    """
    name = event.step
    before = state.steps.get(name, UNTOUCHED)
    kept = state.unrecorded.get(name) or Unrecorded(before)
    try:
        state.steps[name] = step_after(before, event, at)
    except IllegalTransition as error:
        raise CorruptStream(state.saga_id, state.version + 1, str(error)) from error
    events = kept.events
    if not isinstance(event, CALL_INTENTS):
        events = tuple([one for one in events[:1] if isinstance(one, CALL_INTENTS)])
    unrecorded = Unrecorded(kept.recorded, (*events, event))
    _set(state, "unrecorded", {**state.unrecorded, name: unrecorded})


class UnrecordedChanges(Struct, frozen=True):
    """What of a saga is not recorded, for as long as its log ends at `version`."""

    version: int
    steps: dict[str, StepState]
    unrecorded: dict[str, Unrecorded]


def unrecorded_changes_of(state: SagaState) -> UnrecordedChanges:
    steps = {name: state.steps[name] for name in state.unrecorded}
    return UnrecordedChanges(state.version, steps, state.unrecorded)


def with_unrecorded_changes(state: SagaState, kept: UnrecordedChanges) -> SagaState:
    """The state that its process knows, of the one that its log tells."""
    if kept.version != state.version:
        return state
    return replace(state, steps={**state.steps, **kept.steps}, unrecorded=kept.unrecorded)


def record_unrecorded(state: SagaState, at: datetime) -> list[StepFact]:
    """Make `state`, which nobody else may hold, what it is once its unrecorded events are recorded;
    returns these events."""
    kept, events = state.unrecorded, []
    _set(state, "unrecorded", {})
    for name, one in kept.items():
        state.steps[name] = one.recorded
        for event in one.events:
            apply_event(state, event, at)
            events.append(event)
    return events


def apply_event(state: SagaState, event: Event, at: datetime) -> None:
    """Make `state`, which nobody else may hold, the one after `event`. Raises CorruptStream.

    A decision and a replay fold several events into one state, which they have made for that.
    """
    try:
        if not isinstance(event, StepEvent):
            _apply_saga_event(state, event, at)
            return
        name = event.step
        before = state.steps.get(name, UNTOUCHED)
        after = step_after(before, event, at)
    except IllegalTransition as error:
        raise CorruptStream(state.saga_id, state.version + 1, str(error)) from error
    if state.paused_at is not None and isinstance(event, StepConfirmedNotExecuted):
        after = replace(after, next_attempt_at=state.paused_at)
    state.steps[name] = after
    if name in state.reply_deadlines and not _has_call_in_flight(after):
        left = {one: due for one, due in state.reply_deadlines.items() if one != name}
        _set(state, "reply_deadlines", left)
    _set(state, "version", state.version + 1)
    _set(state, "updated_at", at)
    if after.finished_at is None:
        if before.finished_at is not None:
            _set(state, "finished", tuple([one for one in state.finished if one != name]))
    elif before.finished_at is None:
        _set(state, "finished", (*state.finished, name))
    if isinstance(event, StepSucceeded) and event.signal is not None:
        _set(state, "signals", _without_first(state.signals, event.signal))


def _has_call_in_flight(step: StepState) -> bool:
    return step.status is StepStatus.CALLING or step.output_awaited


def _without_first(signals: tuple[SignalReceived, ...], name: str) -> tuple[SignalReceived, ...]:
    place = next((place for place, one in enumerate(signals) if one.name == name), len(signals))
    return signals[:place] + signals[place + 1 :]


def _apply_saga_event(state: SagaState, event: SagaFact, at: datetime) -> None:
    status = next_saga_status(state.status, event.trigger)
    told = _changes(state, event, at)
    _set(state, "version", state.version + 1)
    if status.is_at_rest and not state.status.is_at_rest:
        _set(state, "rest_version", state.version)
    _set(state, "status", status)
    _set(state, "updated_at", at)
    for name, value in told.items():
        _set(state, name, value)


def _changes(  # noqa: C901 - a table, one line of thought an event
    state: SagaState, event: SagaFact, at: datetime
) -> Mapping[str, Any]:
    """What an event says beside the status that it leads to."""
    match event:
        case SagaCompleted() | SagaCompensated() | ScheduledStartReached() | RetryRequested():
            return {}
        case SagaStarted():
            raise CorruptStream(state.saga_id, state.version + 1, "a saga starts once")
        case CompensationRequested():
            return {
                "compensation_requested": event,
                "compensation_decided_at": state.compensation_decided_at or at,
                **_resumed(state, at),
            }
        case CompensationStarted(cause=cause, error=error):
            ended = {"parked": None, "compensation_requested": None, **NOT_PAUSED}
            turned_at = state.compensation_decided_at or at
            return {"cause": cause, "error": error, "compensation_decided_at": turned_at, **ended}
        case SagaParked(reason=why, without_output=without_output):
            parked = Parked(reason=why, since=at, without_output=without_output)
            return {"parked": parked, "error": state.error or why}
        case SagaUnparked():
            return _unparked(state, event, at)
        case SagaPaused(by_parent=by_parent):
            return {"paused_at": state.paused_at or at, PAUSED_BY[by_parent]: True}
        case SagaResumed(by_parent=by_parent):
            still = state.paused_by_operator if by_parent else state.paused_by_parent
            return {PAUSED_BY[by_parent]: False} if still else _resumed(state, at)
        case SagaAbandoned():
            return _abandoned(state, event)
        case SignalReceived(name=name, key=key):
            keys = state.signal_keys | ({(name, key)} if key is not None else set())
            return {"signals": (*state.signals, event), "signal_keys": keys}
        case ForwardedInputApplied(message_id=message_id):
            return {"applied_message_ids": state.applied_message_ids | {message_id}}
        case CompletionWebhookDelivered(rested_version=told):
            return {"notified_version": max(told, state.notified_version)}
        case _:
            assert_never(event)


def _unparked(state: SagaState, event: SagaUnparked, at: datetime) -> Mapping[str, Any]:
    """Forward it has no error any more, and no deadline that has passed."""
    over = state.deadline is not None and state.deadline <= at
    return {
        "parked": None,
        "error": state.error if event.back else None,
        "deadline": None if over else state.deadline,
        "all_losses_accepted": state.all_losses_accepted or event.accepted is None,
        "steps": {name: _unparked_step(step, name, event) for name, step in state.steps.items()},
    }


def _unparked_step(step: StepState, name: str, event: SagaUnparked) -> StepState:
    """Return the step with what the operator who unparked the saga has decided about it."""
    failed = step.status is StepStatus.COMPENSATION_FAILED
    if failed and (event.undo_again is None or name in event.undo_again):
        return replace(step, compensation_retry_requested=True)
    if event.accepted is not None and name in event.accepted:
        return replace(step, loss_accepted=True)
    return step


def _abandoned(state: SagaState, event: SagaAbandoned) -> Mapping[str, Any]:
    said: dict[str, Any] = {
        "parked": None,
        "error": state.error or f"abandoned: {event.reason}",
        **NOT_PAUSED,
    }
    if event.children_cancelled:
        said["steps"] = {
            name: replace(step, child_cancelled=True) if step.child_id in event.children else step
            for name, step in state.steps.items()
        }
    return said


def _resumed(state: SagaState, at: datetime) -> Mapping[str, Any]:
    """The clocks of a paused saga have stood still."""
    by = at - (state.paused_at or at)
    return {
        **NOT_PAUSED,
        "deadline": state.deadline and state.deadline + by,
        "start_at": state.start_at and state.start_at + by,
        "steps": {name: step.postponed(by) for name, step in state.steps.items()},
    }
