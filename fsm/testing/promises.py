"""What an orchestrator promises, checked from outside: from the log, the calls, and the truth.

Nothing here asks `decide` or trusts the folded state alone: the log is read with eyes of its own.
Each function returns what is broken, in words; an empty list is a kept promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from ..command import CallParticipant, awaited, commands, wake_up
from ..decide import is_idle
from ..definition import Definition, OnFailure
from ..events import (
    CompensationCalled,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    LateReplyIgnored,
    RetryRequested,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaPaused,
    SagaResumed,
    SagaUnparked,
    StatusAsked,
    StepAccepted,
    StepBackedOff,
    StepCalled,
    StepFoundNotDone,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from ..outcome import Direction
from ..saga import Saga
from .participants_model import ParticipantsModel
from .process import Process
from .truth import may_have_happened, truth_at_rest

ENDS = (StepSucceeded, StepRejected, StepUnknown, StepNotSent)
ANSWERED = (*ENDS, StepBackedOff, StepFoundNotDone, StepAccepted)
SENDS = (StepCalled, StatusAsked, CompensationCalled, WaitStarted)
GOES_ON = (SagaResumed, CompensationRequested, CompensationStarted, SagaAbandoned)


def broken(process: Process, participants: ParticipantsModel) -> list[str]:
    """Everything that must hold at every moment."""
    history = process.history
    return [
        *terminal_states_absorb(history),
        *undo_settles_first(history),
        *undo_runs_backwards(process.definition, history),
        *undo_follows_the_graph(process.definition, history),
        *pivots_hold(process.definition, history),
        *failures_stop(process.definition, history),
        *pauses_hold(history),
        *intents_come_first(history, participants.received),
        *keys_are_constant(participants.received),
        *replay_tells_the_same(process),
        *nothing_is_forgotten(process.saga),
        *the_idle_can_be_forgotten(process.saga),
        *truth_at_rest(process, participants),
    ]


def terminal_states_absorb(history: Sequence[Event]) -> Iterator[str]:
    """I1. A completed saga can be turned back on request, and is one of those that go on."""
    for end, following in pairwise(history):
        if isinstance(end, SagaCompensated):
            yield f"{following} follows the end"
        if isinstance(end, SagaCompleted) and not isinstance(following, CompensationStarted):
            yield f"{following} follows the completion"
    given_up = [one for one in history if isinstance(one, SagaAbandoned)]
    for following in history[history.index(given_up[0]) + 1 :] if given_up else ():
        if not isinstance(following, LateReplyIgnored):
            yield f"{following} follows the giving up"


def undo_settles_first(history: Sequence[Event]) -> Iterator[str]:
    """R2. No compensation is called while an action is."""
    under_way: set[str] = set()
    for event in history:
        match event:
            case StepCalled(step=step) | StatusAsked(step=step):
                under_way.add(step)
            case CompensationCalled() if under_way:
                yield f"{event.step} is undone while {under_way} may still run"
            case _ if isinstance(event, ANSWERED):
                under_way.discard(event.step)


def undo_runs_backwards(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """I3, I4. Only what may have happened is undone, the last first, each in its turn."""
    ended = [event.step for event in history if isinstance(event, ENDS)]
    place = {step: number for number, step in enumerate(ended)}
    begun = dict.fromkeys(one.step for one in history if isinstance(one, CompensationCalled))
    for step in begun:
        if step not in may_have_happened(definition, history):
            yield f"{step} is undone and has nothing to undo"
    order = list(begun)
    if order != sorted(order, key=lambda step: -place.get(step, -1)):
        yield f"undone in the order {order} what ended in the order {ended}"


def undo_follows_the_graph(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """I4. Whoever came after a step is undone, or could not be, before that step is."""
    done: set[str] = set()
    over: set[str] = set()
    for event in history:
        match event:
            case StepSucceeded(step=step):
                done.add(step)
            case CompensationSucceeded(step=step) | CompensationFailed(step=step):
                over.add(step)
            case StepResolved(step=step):
                over.add(step)
            case CompensationCalled(step=undone):
                for name in sorted(done - over):
                    later = definition[name]
                    follows = undone in definition.before(name)
                    if follows and later.compensation is not None and later.has_effect:
                        yield f"{undone} is undone before {name}, which came after it"
            case _:
                pass


def pauses_hold(history: Sequence[Event]) -> Iterator[str]:
    """A paused saga sends nothing and waits for nothing new."""
    paused = False
    for event in history:
        paused = isinstance(event, SagaPaused) or (paused and not isinstance(event, GOES_ON))
        if paused and isinstance(event, SENDS):
            yield f"{event} in a pause"


def pivots_hold(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """I5. After a passed pivot nothing turns back."""
    passed = False
    for event in history:
        passed = passed or (isinstance(event, StepSucceeded) and event.step in definition.pivots)
        if passed and isinstance(event, CompensationStarted | CompensationCalled):
            yield f"{event} after a pivot"


def failures_stop(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """R5. After a failed compensation nothing else is undone, unless it may be passed over.

    What a person asks for after that begins anew.
    """
    stopped = False
    for event in history:
        stopped = stopped and not isinstance(event, SagaUnparked | RetryRequested)
        if isinstance(event, CompensationFailed):
            undo = definition[event.step].compensation
            stopped = stopped or (undo is not None and undo.on_failure is OnFailure.PARK)
        if stopped and isinstance(event, CompensationCalled):
            yield f"{event} after a failure that stops"


def intents_come_first(
    history: Sequence[Event], received: Sequence[CallParticipant]
) -> Iterator[str]:
    """I6."""
    recorded = {_call_of(event) for event in history}
    for call in received:
        if (call.step, call.direction, call.attempt) not in recorded:
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


def replay_tells_the_same(process: Process) -> Iterator[str]:
    """I8. Versions are dense, too."""
    for version in list(process.seen)[-2:]:
        if process.replayed(version).state != process.seen[version]:
            yield f"replay differs at version {version}"
    if process.saga.state.version != len(process.log):
        yield f"version {process.saga.state.version} of {len(process.log)} events"


def nothing_is_forgotten(saga: Saga) -> Iterator[str]:
    """I11. Who rests sends nothing; who does not waits for a call, a time, or a person."""
    paused = saga.state.paused_at is not None
    waits = bool(commands(saga)) or wake_up(saga) is not None or paused
    if saga.state.status.rests and commands(saga):
        under_way = [step.name for step, state in saga.steps if awaited(state)]
        yield f"{saga.state.status}, and {under_way} is under way"
    if not saga.state.status.rests and not waits:
        yield f"{saga.state.status}, and waits for nothing"


def the_idle_can_be_forgotten(saga: Saga) -> Iterator[str]:
    """Who only waits for a time or a person need not be in memory: nothing of it is out."""
    if is_idle(saga) and commands(saga):
        yield f"idle, and {commands(saga)} is under way"
    if is_idle(saga) and wake_up(saga) is None and saga.state.paused_at is None:
        yield "idle, and nothing wakes it"


def _call_of(event: Event) -> tuple[str, Direction, int] | None:
    match event:
        case StepCalled(step=step, attempt=attempt):
            return step, Direction.ACTION, attempt
        case StatusAsked(step=step, attempt=attempt):
            return step, Direction.STATUS, attempt
        case CompensationCalled(step=step, attempt=attempt):
            return step, Direction.COMPENSATION, attempt
        case _:
            return None
