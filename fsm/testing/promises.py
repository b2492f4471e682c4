"""What an orchestrator promises, checked from outside: from the log, the calls, and the truth.

Nothing here asks `decide` or trusts the folded state alone: the log is read with eyes of its own.
Each function returns what is broken, in words; an empty list is a kept promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from ..command import CallParticipant, commands, wake_up
from ..definition import Definition, OnFailure, Step
from ..events import (
    CompensationCalled,
    CompensationCovered,
    CompensationFailed,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    SagaCompensated,
    SagaCompleted,
    SagaParked,
    StatusAsked,
    StepBackedOff,
    StepCalled,
    StepFoundNotDone,
    StepNotSent,
    StepRejected,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
)
from ..machines import SagaStatus
from ..outcome import Direction
from ..saga import Saga
from .participants_model import ParticipantsModel
from .process import Process

ENDS = (StepSucceeded, StepRejected, StepUnknown, StepNotSent)
ANSWERED = (*ENDS, StepBackedOff, StepFoundNotDone)


def broken(process: Process, participants: ParticipantsModel) -> list[str]:
    """Everything that must hold at every moment."""
    history = process.history
    return [
        *terminal_states_absorb(history),
        *undo_settles_first(history),
        *undo_runs_backwards(process.definition, history),
        *pivots_hold(process.definition, history),
        *failures_stop(process.definition, history),
        *intents_come_first(history, participants.received),
        *keys_are_constant(participants.received),
        *replay_tells_the_same(process),
        *nothing_is_forgotten(process.saga),
        *truth_at_rest(process, participants),
    ]


def terminal_states_absorb(history: Sequence[Event]) -> Iterator[str]:
    """I1. A completed saga can be turned back on request, and is one of those that go on."""
    for end, following in pairwise(history):
        if isinstance(end, SagaCompensated):
            yield f"{following} follows the end"
        if isinstance(end, SagaCompleted) and not isinstance(following, CompensationStarted):
            yield f"{following} follows the completion"


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
        if step not in _may_have_happened(definition, history):
            yield f"{step} is undone and has nothing to undo"
    order = list(begun)
    if order != sorted(order, key=lambda step: -place.get(step, -1)):
        yield f"undone in the order {order} what ended in the order {ended}"


def pivots_hold(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """I5. After a passed pivot nothing turns back."""
    passed = False
    for event in history:
        passed = passed or (isinstance(event, StepSucceeded) and event.step in definition.pivots)
        if passed and isinstance(event, CompensationStarted | CompensationCalled):
            yield f"{event} after a pivot"


def failures_stop(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """R5. After a failed compensation nothing else is undone, unless it may be passed over."""
    stopped = False
    for event in history:
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
    """I11. Who rests sends nothing; who does not waits for a call or for a time."""
    waits = bool(commands(saga)) or wake_up(saga) is not None
    if saga.state.status.rests and commands(saga):
        yield f"{saga.state.status}, and {[one.step for one in commands(saga)]} is under way"
    if not saga.state.status.rests and not waits:
        yield f"{saga.state.status}, and waits for nothing"


def truth_at_rest(process: Process, participants: ParticipantsModel) -> Iterator[str]:
    """I2. What is told of a resting saga is what its participants have done."""
    effectful = [step for step in process.definition.steps if step.has_effect]
    standing = [step.name for step in effectful if _stands(process.definition, step, participants)]
    match process.saga.state.status:
        case SagaStatus.COMPLETED:
            yield from _all_done_once(process, participants)
        case SagaStatus.COMPENSATED:
            stakes = _at_stake(process.definition, process.history)
            if left := sorted({*standing, *stakes}):
                yield f"compensated, and {left} still stand"
        case SagaStatus.PARKED:
            yield from _parked_truly(process, standing, participants)
        case _:
            pass


def _all_done_once(process: Process, participants: ParticipantsModel) -> Iterator[str]:
    done = [one.step for one in participants.effects if one.direction is Direction.ACTION]
    skipped = {event.step for event in process.history if isinstance(event, StepSkipped)}
    if done != [step.name for step in process.definition.steps if step.name not in skipped]:
        yield f"completed without {skipped}, and done were {done}"
    if undone := [
        one.step for one in participants.effects if one.direction is not Direction.ACTION
    ]:
        yield f"completed, and undone were {undone}"


def _parked_truly(
    process: Process, standing: Sequence[str], participants: ParticipantsModel
) -> Iterator[str]:
    parked, history = process.history[-1], process.history
    if not isinstance(parked, SagaParked):
        yield f"parked, and then {parked}"
        return
    if any(isinstance(event, CompensationStarted) for event in history):
        stakes = _at_stake(process.definition, history)
        if set(parked.not_undone) != stakes:
            yield f"parked with {parked.not_undone} not undone, but it is {stakes}"
        if unlisted := set(standing) - set(parked.not_undone):
            yield f"parked without a word of {unlisted}"
    else:
        done = {event.step for event in history if isinstance(event, StepSucceeded)}
        skipped = {event.step for event in history if isinstance(event, StepSkipped)}
        names = [step.name for step in process.definition.steps]
        not_done = [name for name in names if name not in done | skipped]
        if list(parked.not_done) != not_done:
            yield f"parked with {parked.not_done} not done, but it is {not_done}"
        if lies := [one for one in done if not participants.has_done(one)]:
            yield f"{lies} are called done"


def _stands(definition: Definition, step: Step, participants: ParticipantsModel) -> bool:
    """Whether its effect is there; who is undone by another step goes with that one."""
    undone = participants.has_undone(step.undone_by or step.name)
    return participants.has_done(step.name) and not undone


def _at_stake(definition: Definition, history: Sequence[Event]) -> set[str]:
    """The steps that have to be undone to go back, and are not yet."""
    undone = {
        one.step for one in history if isinstance(one, CompensationSucceeded | CompensationCovered)
    }
    return _may_have_happened(definition, history) - undone


def _may_have_happened(definition: Definition, history: Sequence[Event]) -> set[str]:
    """R3: of the steps with an effect; a rejected one counts if it asks for it."""
    stakes: set[str] = set()
    doubted: set[str] = set()
    for event in history:
        match event:
            case StepSucceeded(step=step) | StepUnknown(step=step):
                stakes.add(step)
            case StepBackedOff(step=step) if event.resent or event.outcome == "unknown":
                doubted.add(step)
            case StepFoundNotDone(step=step):
                doubted.discard(step)
            case StepRejected(step=step):
                asks = definition[step].compensate_on_reject
                if asks or event.resent or step in doubted:
                    stakes.add(step)
            case _:
                pass
    return {step for step in stakes if definition[step].has_effect}


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
