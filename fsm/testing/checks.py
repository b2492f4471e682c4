"""What an orchestrator promises, checked from outside: from the log, the calls, and the truth.

Nothing here asks `decide` or trusts the folded state alone: the log is read with eyes of its own.
Each function returns what is broken, in words; an empty list is a kept promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from msgspec.structs import replace

from ..call_outcome import Direction
from ..decider.decide import is_idle
from ..events import (
    CallbackReceived,
    CompensationBackedOff,
    CompensationCalled,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    LateReplyIgnored,
    OutputNotReceived,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaPaused,
    SagaResumed,
    StatusQueried,
    StepAccepted,
    StepBackedOff,
    StepCalled,
    StepConfirmedNotExecuted,
    StepNotSent,
    StepRejected,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from ..instructions import CallParticipant, next_wakeup, pending_call, pending_instructions
from ..machines import SagaStatus
from ..saga import Saga
from .back_promises import (
    calls_have_their_time,
    deadlines_are_kept,
    nothing_is_sent_again,
    pivots_hold,
    requests_are_followed,
)
from .participants_model import ParticipantsModel
from .simulated_process import SimulatedProcess
from .truth import truth_at_rest
from .undo_promises import (
    ENDS,
    doubt_has_a_reason,
    failures_are_passed_over,
    failures_stop,
    undo_follows_the_graph,
    undo_is_tried_as_told,
    undo_runs_backwards,
    undo_settles_first,
)

UNDO_ANSWERED = (CompensationSucceeded, CompensationBackedOff, CompensationFailed)
ANSWERED = (
    *ENDS,
    OutputNotReceived,
    StepBackedOff,
    StepConfirmedNotExecuted,
    StepAccepted,
    *UNDO_ANSWERED,
)
SENDS = (StepCalled, StatusQueried, CompensationCalled, WaitStarted)
GOES_ON = (SagaResumed, CompensationRequested, CompensationStarted, SagaAbandoned)


CallId: TypeAlias = tuple[str, Direction, int]  # step, direction, attempt


def violated_invariants(process: SimulatedProcess, participants: ParticipantsModel) -> list[str]:
    """Everything that must hold at every moment."""
    history = process.history
    return [
        *terminal_states_absorb(history),
        *undo_settles_first(history),
        *undo_runs_backwards(process.definition, history),
        *undo_follows_the_graph(process.definition, history),
        *doubt_has_a_reason(history, participants),
        *failures_stop(process.definition, history),
        *failures_are_passed_over(process.definition, history),
        *undo_is_tried_as_told(process.definition, history),
        *pivots_hold(process.definition, history),
        *requests_are_followed(process.definition, history),
        *nothing_is_sent_again(process),
        *calls_have_their_time(process),
        *deadlines_are_kept(process),
        *races_have_one_winner(process),
        *callbacks_count(history),
        *pauses_hold(history),
        *intents_come_first(history, participants.received),
        *keys_are_constant(participants.received),
        *replay_tells_the_same(process),
        *nothing_is_forgotten(process.saga),
        *the_idle_can_be_forgotten(process.saga),
        *truth_at_rest(process, participants),
    ]


def terminal_states_absorb(history: Sequence[Event]) -> Iterator[str]:
    """I1. A completed saga can be turned back on request, and is one of those that go on.

    Who comes too late is recorded even there.
    """
    told = [one for one in history if not isinstance(one, LateReplyIgnored)]
    for end, following in pairwise(told):
        if isinstance(end, SagaCompensated):
            yield f"{following} follows the end"
        if isinstance(end, SagaCompleted) and not isinstance(following, CompensationStarted):
            yield f"{following} follows the completion"
        if isinstance(end, SagaAbandoned):
            yield f"{following} follows the giving up"


def races_have_one_winner(process: SimulatedProcess) -> Iterator[str]:
    """R6. Whoever comes second is recorded, and changes nothing. Looked at when it has come."""
    if not isinstance(process.history[-1], LateReplyIgnored):
        return
    before, after = process.replayed(len(process.log) - 1).state, process.replayed().state
    if replace(after, version=before.version, updated_at=before.updated_at) != before:
        yield f"{process.history[-1]} changed the saga"


def callbacks_count(history: Sequence[Event]) -> Iterator[str]:
    """R6. A callback that is in the log before the reply to its call decides, if no reply does."""
    heard: set[str] = set()
    given_up = any(isinstance(one, SagaAbandoned) for one in history)
    for event in () if given_up else history:
        if isinstance(event, CompensationStarted):
            return
        match event:
            case CallbackReceived(step=step):
                heard.add(step)
            case StepUnknown(step=step) | StepNotSent(step=step) if step in heard:
                yield f"{event}, and a callback had told what became of it"
            case StepSucceeded(step=step) | StepRejected(step=step):
                heard.discard(step)
            case _:
                pass


def pauses_hold(history: Sequence[Event]) -> Iterator[str]:
    """A paused saga sends nothing and waits for nothing new."""
    paused = False
    for event in history:
        paused = isinstance(event, SagaPaused) or (paused and not isinstance(event, GOES_ON))
        if paused and isinstance(event, SENDS):
            yield f"{event} in a pause"


def intents_come_first(
    history: Sequence[Event], received: Sequence[CallParticipant]
) -> Iterator[str]:
    """R1. I6."""
    recorded = {_call_of(event) for event in history}
    for call in received:
        if call_id(call) not in recorded:
            yield f"{call.step} {call.direction} {call.attempt} was never recorded"


def keys_are_constant(received: Sequence[CallParticipant]) -> Iterator[str]:
    """I7. And so is everything else that is sent under one key. A question has its action's."""
    first: dict[str, CallParticipant] = {}
    for call in received:
        undoes = call.direction is Direction.COMPENSATION
        if call.key != f"{call.saga_id}/{call.step}/{'compensation' if undoes else 'action'}":
            yield f"the key {call.key} is not that of {call.step}"
        known = first.setdefault(f"{call.direction} {call.key}", call)
        if (known.path, known.body, known.headers) != (call.path, call.body, call.headers):
            yield f"{call.key} was sent with two requests"


def replay_tells_the_same(process: SimulatedProcess) -> Iterator[str]:
    """I8. Versions are dense, too."""
    for version in list(process.states_by_version)[-2:]:
        if process.replayed(version).state != process.states_by_version[version]:
            yield f"replay differs at version {version}"
    if process.saga.state.version != len(process.log):
        yield f"version {process.saga.state.version} of {len(process.log)} events"


def nothing_is_forgotten(saga: Saga) -> Iterator[str]:
    """R8. I11. Who rests sends nothing; who does not waits for a call, a time, or a person."""
    paused, wakes = saga.state.paused_at is not None, next_wakeup(saga)
    waits = bool(pending_instructions(saga)) or wakes is not None or paused
    if saga.state.status.is_at_rest and pending_instructions(saga):
        under_way = [step.name for step, state in saga.steps if pending_call(state)]
        yield f"{saga.state.status}, and {under_way} is under way"
    if not saga.state.status.is_at_rest and not waits:
        yield f"{saga.state.status}, and waits for nothing"
    deadline = saga.state.deadline if saga.state.status is SagaStatus.RUNNING else None
    if deadline and not (paused or saga.pivot_is_uncertain or (wakes and wakes <= deadline)):
        yield f"running, and its deadline {deadline} does not wake it"


def the_idle_can_be_forgotten(saga: Saga) -> Iterator[str]:
    """Who only waits for a time or a person need not be in memory: nothing of it is out."""
    if is_idle(saga) and pending_instructions(saga):
        yield f"idle, and {pending_instructions(saga)} is under way"
    if is_idle(saga) and next_wakeup(saga) is None and saga.state.paused_at is None:
        yield "idle, and nothing wakes it"


def call_id(call: CallParticipant) -> CallId:
    return call.step, call.direction, call.attempt


def unanswered_calls(history: Sequence[Event]) -> list[CallId]:
    """What the log says is under way."""
    under_way: dict[str, CallId] = {}
    for event in history:
        if (call := _call_of(event)) is not None:
            under_way[call[0]] = call
        elif isinstance(event, ANSWERED):
            under_way.pop(event.step, None)
    return list(under_way.values())


def _call_of(event: Event) -> CallId | None:
    match event:
        case StepCalled(step=step, attempt=attempt):
            return step, Direction.ACTION, attempt
        case StatusQueried(step=step, attempt=attempt):
            return step, Direction.STATUS, attempt
        case CompensationCalled(step=step, attempt=attempt):
            return step, Direction.COMPENSATION, attempt
        case _:
            return None
