"""What a history says: events folded, one by one, into the state of a saga.

`evolve` accepts every event that its machine allows and refuses the others as corruption; it never
asks whether an event was wise. The state holds no definition: a step nobody has touched is pending.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from .errors import CorruptStream
from .events import (
    CallbackDelivered,
    Cause,
    CompensationBackedOff,
    CompensationCalled,
    CompensationCovered,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    SagaCompensated,
    SagaCompleted,
    SagaFact,
    SagaFellDue,
    SagaParked,
    SagaStarted,
    StatusAsked,
    StepBackedOff,
    StepCalled,
    StepEvent,
    StepFact,
    StepFoundNotDone,
    StepNotSent,
    StepRejected,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
    UndoFact,
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
from .strict_json import Json, JsonObject


@dataclass(frozen=True, kw_only=True)
class StepState:
    """`doubtful`: an attempt ended unknown, so the action may have happened whatever came later.
    `was_busy`: one was still at it. `asking`: what is called is not the action but its status.
    """

    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    compensation_attempts: int = 0
    last_outcome: Outcome | None = None  # of the attempt that is backed off from
    doubtful: bool = False
    was_busy: bool = False
    asking: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
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
        repeats = self.last_outcome in (Outcome.BUSY, Outcome.THROTTLED)
        return not (self.status is backing_off and repeats)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    why: str
    since: datetime
    not_done: tuple[str, ...]
    not_undone: tuple[str, ...]


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


def _evolve_saga(state: SagaState, event: SagaFact, at: datetime) -> SagaState:
    status, version = next_saga_status(state.status, event.trigger), state.version + 1
    moved = changed(state, status=status, version=version, updated_at=at)
    if status.rests and not state.status.rests:
        moved = changed(moved, rested_version=version)
    match event:
        case SagaStarted():
            raise CorruptStream(state.saga_id, moved.version, "a saga starts once")
        case CompensationRequested():
            return changed(moved, asked_back=event)
        case CompensationStarted(cause=cause, error=error):
            return changed(moved, cause=cause, error=error, parked=None, asked_back=None)
        case SagaParked(why=why, not_done=not_done, not_undone=not_undone):
            parked = Parked(why=why, since=at, not_done=not_done, not_undone=not_undone)
            return changed(moved, parked=parked, error=state.error or why)
        case CallbackDelivered(rested_version=told):
            return changed(moved, told_version=max(told, state.told_version))
        case SagaFellDue() | SagaCompleted() | SagaCompensated():
            return moved
        case _:
            assert_never(event)


def _evolve_step(state: SagaState, event: StepFact, at: datetime) -> SagaState:
    before = state.step(event.step)
    after = step_after(before, event, at)
    finished = state.finished
    if after.finished_at is not None and before.finished_at is None:
        finished = (*finished, event.step)
    return changed(
        state,
        steps={**state.steps, event.step: after},
        finished=finished,
        version=state.version + 1,
        updated_at=at,
    )


def step_after(step: StepState, event: StepFact, at: datetime) -> StepState:
    """Raises IllegalTransition."""
    status = next_step_status(step.status, _trigger(step, event))
    match event:
        case StepCalled(attempt=attempt):
            started = step.started_at or at
            return changed(
                step,
                status=status,
                attempts=attempt,
                asking=False,
                started_at=started,
                next_attempt_at=None,
            )
        case StatusAsked():
            return changed(step, status=status, asking=True, next_attempt_at=None)
        case StepFoundNotDone(attempt=attempt):
            return changed(
                step,
                status=status,
                attempts=attempt,
                last_outcome=Outcome.NOT_DONE,
                doubtful=False,
                was_busy=False,
                last_error=event.error,
                next_attempt_at=at,
            )
        case StepSkipped():
            return changed(step, status=status, finished_at=at)
        case StepSucceeded(output=output, output_loss=loss, error=error):
            return changed(
                step,
                status=status,
                finished_at=at,
                output=output,
                output_loss=loss,
                last_error=error,
            )
        case StepRejected() | StepUnknown() | StepNotSent():
            return changed(
                step, status=status, finished_at=at, last_error=event.error, next_attempt_at=None
            )
        case StepBackedOff(attempt=attempt, outcome=outcome, resent=resent):
            return changed(
                step,
                status=status,
                attempts=attempt,
                last_outcome=outcome,
                doubtful=step.doubtful or resent or outcome is Outcome.UNKNOWN,
                was_busy=step.was_busy or outcome is Outcome.BUSY,
                last_error=event.error,
                next_attempt_at=event.until,
            )
        case _:
            return _step_after_undo(step, status, event)


def _step_after_undo(step: StepState, status: StepStatus, event: UndoFact) -> StepState:
    match event:
        case CompensationBackedOff(outcome=outcome):
            return changed(
                step,
                status=status,
                last_outcome=outcome,
                last_error=event.error,
                next_attempt_at=event.until,
            )
        case CompensationCalled(attempt=attempt):
            return changed(step, status=status, compensation_attempts=attempt, next_attempt_at=None)
        case CompensationFailed(error=error):
            return changed(step, status=status, last_error=error)
        case CompensationSucceeded() | CompensationCovered():
            return changed(step, status=status)
        case _:
            assert_never(event)


def _trigger(step: StepState, event: StepFact) -> str:
    """A no, where an earlier try may have worked, leaves the step in doubt."""
    if isinstance(event, StepRejected) and (step.doubtful or event.resent):
        return "reject_in_doubt"
    return event.trigger
